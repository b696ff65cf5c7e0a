"""Settings of [sites] that cannot stand, and what is said about them."""

import pytest

from skerry.config import load
from skerry.core.errors import ConfigError

BASIC = {"IDENTITY_METHOD": "http_basic", "IDENTITY_HTPASSWD": "/etc/skerry/htpasswd"}
OUTSIDE = {**BASIC, "SITES_LISTEN": "0.0.0.0:9293"}


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"SITES_LISTEN": "9293"}, r"\[sites\] listen must be HOST:PORT"),
        ({"SITES_LISTEN": "127.0.0.1:99999"}, r"\[sites\] listen must be HOST:PORT"),
        ({"SITES_LISTEN": "0.0.0.0:9293", "SITES_URL": "https://central"}, "noauth makes everybody"),
        (OUTSIDE, r"\[sites\] url is needed"),
        ({**OUTSIDE, "SITES_URL": "http://central"}, "not an https URL"),
        ({"SITES_URL": "https://central"}, r"\[sites\] listen is not"),
        ({"SITES_LISTEN": "127.0.0.1:0", "UPSTREAM_URL": "http://glance"}, r"so is \[upstream\] url"),
        ({"SITES_CERT": "a.pem", "SITES_KEY": "b.pem"}, "belong together"),
    ],
)
def test_what_cannot_stand_is_refused_with_its_reason(variables: dict[str, str], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        load(None, {f"SKERRY_{name}": value for name, value in variables.items()})


@pytest.mark.parametrize(
    "variables",
    [
        {"SITES_LISTEN": "127.0.0.1:0"},
        {"SITES_LISTEN": "[::1]:9293"},
        {**OUTSIDE, "SITES_URL": "https://central:9293"},
        {"SITES_CERT": "a.pem", "SITES_KEY": "b.pem", "SITES_AUTHORITY": "c.pem"},
    ],
)
def test_what_can_stand_is_taken(variables: dict[str, str]) -> None:
    load(None, {f"SKERRY_{name}": value for name, value in variables.items()})
