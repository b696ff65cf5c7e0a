"""The map from errors to exit codes, for scripts that call `skerry`.

0 done, 1 failed, 2 the command is wrong, 3 not found, 4 not allowed, 5 the state of the image forbids it,
6 nobody answered (try again later), 7 no room, 8 wrong bytes, 130 interrupted.
"""

from skerry.core import errors

FAILED = 1
INTERRUPTED = 130

_CODES: dict[type[Exception], int] = {
    errors.InvalidInput: 2,
    errors.UnsupportedMedia: 2,
    errors.ConfigError: 2,
    errors.NotFound: 3,
    errors.NotAuthenticated: 4,
    errors.Forbidden: 4,
    errors.Conflict: 5,
    errors.NoData: 5,
    errors.RangeNotSatisfiable: 5,
    errors.BrokenOff: 6,
    errors.Busy: 6,
    errors.UpstreamAway: 6,
    errors.IdentityAway: 6,
    errors.TooSlow: 6,
    errors.TooLarge: 7,
    errors.NoSpace: 7,
    errors.WrongBytes: 8,
    errors.SkerryError: FAILED,
}


def exit_code(error: Exception) -> int:
    """The exit code for an error: that of its nearest class in the map."""
    return next((_CODES[kind] for kind in type(error).__mro__ if kind in _CODES), FAILED)
