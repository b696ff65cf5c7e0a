"""What scripts rely on."""

import pytest

from skerry.cli.errors import exit_code
from skerry.core import errors

CODES = {
    "SkerryError": 1,
    "InvalidInput": 2,
    "BadImage": 2,
    "UnsupportedMedia": 2,
    "ConfigError": 2,
    "NotFound": 3,
    "Gone": 3,
    "NotAuthenticated": 4,
    "Forbidden": 4,
    "Conflict": 5,
    "WrongOffset": 5,
    "FeedRefused": 5,
    "NoData": 5,
    "RangeNotSatisfiable": 5,
    "UpstreamAway": 6,
    "IdentityAway": 6,
    "AccountRefused": 6,
    "BrokenOff": 6,
    "Busy": 6,
    "TooSlow": 6,
    "TooLarge": 7,
    "NoSpace": 7,
    "WrongBytes": 8,
    "StoreFailed": 1,
    "UpstreamFailed": 1,
    "UnknownFormat": 1,
}


def tree(kind: type[errors.SkerryError]) -> list[type[errors.SkerryError]]:
    children = (child for child in kind.__subclasses__() if child.__module__ == errors.__name__)
    return [kind, *(below for child in children for below in tree(child))]


@pytest.mark.parametrize("kind", tree(errors.SkerryError), ids=lambda kind: str(kind.__name__))
def test_every_error_has_its_exit_code(kind: type[errors.SkerryError]) -> None:
    assert exit_code(kind.__new__(kind)) == CODES[kind.__name__]


def test_an_error_of_no_kind_is_a_failure() -> None:
    assert exit_code(OSError()) == 1
