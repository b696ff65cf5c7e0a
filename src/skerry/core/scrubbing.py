"""Which copies are read again, to see whether their bytes are still those that came."""

from collections.abc import Iterable

from skerry.core.copy import Copy, CopyState


def next_due(copies: Iterable[Copy], now: float, every: float) -> Copy | None:
    """The whole copy that was verified longest ago, if that is `every` seconds ago, or more."""
    oldest = min(_whole(copies), key=_age, default=None)
    return oldest if oldest is not None and oldest.verified_at + every <= now else None


def share_of(copies: Iterable[Copy], share: float) -> list[Copy]:
    """So much of all bytes, in (0, 1], and one copy at least: those that were verified longest ago."""
    whole = sorted(_whole(copies), key=_age)
    left = share * sum(copy.size or 0 for copy in whole)
    chosen: list[Copy] = []
    for copy in whole:
        if chosen and left <= 0:
            break
        chosen.append(copy)
        left -= copy.size or 0
    return chosen


def _whole(copies: Iterable[Copy]) -> list[Copy]:
    return [copy for copy in copies if copy.state is CopyState.COMPLETE]


def _age(copy: Copy) -> tuple[float, str]:
    return copy.verified_at, copy.image_id
