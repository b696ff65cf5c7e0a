"""The one tree of errors.

Each class says what went wrong in the words of the field; an instance carries a message for a person, a hint
that names the remedy, and the ids concerned. Two maps read this tree and nothing else does: `api.errors`
(to HTTP) and `cli.errors` (to an exit code).
"""


class SkerryError(Exception):
    """Something a caller can be told about.

    `code` is stable and machine-readable; `retry` says whether the same call may succeed later unchanged;
    `hint` is what a person can do about it, or empty; `retry_after` is in seconds, or None.
    """

    code = "error"
    retry = False

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None, **ids: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.retry_after = retry_after
        self.ids = ids

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class InvalidInput(SkerryError):
    """The request cannot be understood or breaks a rule of the API, whoever sends it."""

    code = "invalid_input"


class NotAuthenticated(SkerryError):
    """Nobody knows who is asking."""

    code = "not_authenticated"


class BrokenOff(InvalidInput):
    """The body ended before its end: the sender went away."""

    code = "broken_off"
    retry = True


class Forbidden(SkerryError):
    """It is known who asks, and they may not."""

    code = "forbidden"


class NotFound(SkerryError):
    """There is no such thing, or the caller may not know that there is."""

    code = "not_found"


class Gone(NotFound):
    """There was such a thing and it is deleted."""

    code = "gone"


class Conflict(SkerryError):
    """The state of the thing does not allow it: wrong status, already there, protected."""

    code = "conflict"


class WrongOffset(Conflict):
    """A resumable upload was continued elsewhere than at byte `offset`, where it stands."""

    code = "wrong_offset"

    def __init__(self, message: str, *, offset: int, hint: str = "", **ids: str) -> None:
        super().__init__(message, hint=hint, retry_after=None, **ids)
        self.offset = offset


class NoData(SkerryError):
    """The image has no bytes yet."""

    code = "no_data"


class UnsupportedMedia(SkerryError):
    """The content type of the body is not one that this call takes."""

    code = "unsupported_media"


class RangeNotSatisfiable(SkerryError):
    """The range asked for lies outside the image. `size` is the size of the image in bytes."""

    code = "range_not_satisfiable"

    def __init__(self, message: str, *, size: int) -> None:
        super().__init__(message)
        self.size = size


class TooLarge(SkerryError):
    """Over a limit of this site: image size, body, number of properties, tags or members."""

    code = "too_large"


class TooSlow(SkerryError):
    """The peer sent or read less than the least rate for too long."""

    code = "too_slow"
    retry = True


class NoSpace(SkerryError):
    """The disk is full, or the cache can make no room. Nothing was kept."""

    code = "no_space"
    retry = True


class StoreFailed(SkerryError):
    """The store answered with an error other than a full disk."""

    code = "store_failed"
    retry = True


class BadImage(InvalidInput):
    """The bytes are not what they are said to be, or are of a kind that is refused."""

    code = "bad_image"


class WrongBytes(SkerryError):
    """Bytes that came do not have the digest of the record."""

    code = "wrong_bytes"
    retry = True


class UnknownFormat(SkerryError):
    """A file of another site has a format that this version does not know; the image can be fetched whole."""

    code = "unknown_format"


class UpstreamAway(SkerryError):
    """The site above did not answer in time, or the line is known to be cut."""

    code = "upstream_away"
    retry = True


class UpstreamFailed(SkerryError):
    """The site above answered, with something that this site cannot use. `status` is its HTTP status."""

    code = "upstream_failed"
    retry = True

    def __init__(self, message: str, *, status: int = 0, hint: str = "", **ids: str) -> None:
        super().__init__(message, hint=hint, retry_after=None, **ids)
        self.status = status


class Busy(SkerryError):
    """This site has as much to do as it can take; `retry_after` says when to come back."""

    code = "busy"
    retry = True


class FeedRefused(Conflict):
    """What another site gives out as records is not taken. `trouble` is a core.feed.journal.Trouble."""

    code = "feed_refused"

    def __init__(self, message: str, *, trouble: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.trouble = trouble


class IdentityAway(SkerryError):
    """The identity service does not answer, and what is known of this token from before does not do."""

    code = "identity_away"
    retry = True


class AccountRefused(IdentityAway):
    """The identity service answers, and refuses this site's own account: no fault of the caller's."""

    code = "account_refused"


class ConfigError(SkerryError):
    """The configuration cannot be used. The message names the file, the key and what to write instead."""

    code = "config"
