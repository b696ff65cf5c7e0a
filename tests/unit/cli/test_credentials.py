"""The OS_ variables."""

from base64 import b64encode

import pytest

from skerry.cli.credentials import headers_from
from skerry.core.errors import NotAuthenticated


def test_nothing_set_is_nobody() -> None:
    assert headers_from({}) == {}
    assert headers_from({"OS_AUTH_TYPE": "none", "OS_ENDPOINT": "http://127.0.0.1:9292"}) == {}


def test_a_token_is_sent_as_it_is() -> None:
    assert headers_from({"OS_TOKEN": "secret", "OS_AUTH_URL": "http://127.0.0.1:1/v3"}) == {
        "X-Auth-Token": "secret"
    }


def test_http_basic_is_user_and_password() -> None:
    environ = {
        "OS_AUTH_TYPE": "http_basic",
        "OS_USERNAME": "ann",
        "OS_PASSWORD": "s3cret",
        "OS_ENDPOINT": "http://x",
    }
    assert headers_from(environ) == {"Authorization": "Basic " + b64encode(b"ann:s3cret").decode()}


@pytest.mark.parametrize(
    "environ",
    [
        {
            "OS_AUTH_URL": "http://127.0.0.1:1/v3",
            "OS_USERNAME": "ann",
            "OS_PASSWORD": "x",
            "OS_PROJECT_NAME": "p",
        },
        {"OS_AUTH_TYPE": "no-such-type"},
        {"OS_AUTH_TYPE": "password"},
    ],
    ids=["nobody answers", "unknown type", "no URL"],
)
def test_credentials_that_cannot_be_had_say_so(environ: dict[str, str]) -> None:
    with pytest.raises(NotAuthenticated, match="Check the OS_ variables"):
        headers_from(environ)
