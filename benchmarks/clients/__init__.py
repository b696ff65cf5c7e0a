"""Who asks: curl, wrk, and one plain request at a time. The same for every side."""


class WrongAnswerError(Exception):
    """A side did not do what is being measured; its time would mean nothing."""
