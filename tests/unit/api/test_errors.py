"""Each error has its status: the whole map, pinned."""

import pytest
from aiohttp.test_utils import make_mocked_request

from skerry.api.errors import answer_error, status_of
from skerry.core import errors

EXPECTED = {
    "AccountRefused": 503,
    "BadImage": 415,
    "BrokenOff": 400,
    "Busy": 503,
    "ConfigError": 500,
    "Conflict": 409,
    "FeedRefused": 409,
    "Forbidden": 403,
    "Gone": 404,
    "IdentityAway": 503,
    "InvalidInput": 400,
    "NoData": 204,
    "NoSpace": 507,
    "NotAuthenticated": 401,
    "NotFound": 404,
    "RangeNotSatisfiable": 416,
    "SkerryError": 500,
    "StoreFailed": 503,
    "TooLarge": 413,
    "TooSlow": 408,
    "UnknownFormat": 502,
    "UnsupportedMedia": 415,
    "UpstreamAway": 503,
    "UpstreamFailed": 502,
    "WrongBytes": 502,
    "WrongOffset": 409,
}


def make(kind: type[errors.SkerryError]) -> errors.SkerryError:
    more: dict[str, int | str] = {}
    if kind is errors.RangeNotSatisfiable:
        more = {"size": 10}
    if kind is errors.WrongOffset:
        more = {"offset": 10}
    if kind is errors.FeedRefused:
        more = {"trouble": "mixed"}
    return kind("It went wrong.", **more)  # type: ignore[arg-type]


KINDS = [
    kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.SkerryError)
]


def test_every_error_has_the_status_that_clients_rely_on() -> None:
    assert {kind.__name__: status_of(make(kind)).value for kind in KINDS} == EXPECTED


def test_what_a_client_needs_to_go_on_is_in_the_headers() -> None:
    request = make_mocked_request("GET", "/")
    unknown = answer_error(request, errors.NotAuthenticated("Who?"), challenge="Keystone uri='x'")
    assert unknown.headers["WWW-Authenticate"] == "Keystone uri='x'"
    outside = answer_error(request, make(errors.RangeNotSatisfiable), challenge="")
    assert outside.headers["Content-Range"] == "bytes */10"
    away = answer_error(request, errors.UpstreamAway("The line is cut.", retry_after=0.2), challenge="")
    assert away.headers["Retry-After"] == "1"
    media = answer_error(make_mocked_request("PATCH", "/"), make(errors.UnsupportedMedia), challenge="")
    assert "application/openstack-images-v2.1-json-patch" in media.headers["Accept-Patch"]


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "text/html"),
        ("*/*", "text/html"),
        ("application/json", "application/json"),
        ("application/json, */*", "text/html"),
        ("application/json, */*;q=0.1", "application/json"),
        ("application/*, text/html;q=0.9", "application/json"),
        ("text/html;q=nonsense, application/json;q=0.1", "application/json"),
    ],
)
def test_the_form_of_an_error_follows_the_accept_header(accept: str | None, kind: str) -> None:
    request = make_mocked_request("GET", "/", headers={"Accept": accept} if accept else {})
    answer = answer_error(request, errors.NotFound("No <such> image."), challenge="")
    assert answer.content_type == kind


def test_a_message_is_told_with_its_remedy_and_cannot_become_html() -> None:
    request = make_mocked_request("GET", "/")
    answer = answer_error(request, errors.Conflict("<script>", hint="Try again."), challenge="")
    assert answer.text is not None
    assert "&lt;script&gt; Try again.<br />" in answer.text
