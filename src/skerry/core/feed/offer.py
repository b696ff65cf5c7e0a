"""What a site gives to a follower: which part of a stream, and what of it the follower may read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from skerry.core.feed.entry import Signed
from skerry.core.feed.journal import Page, Place, Row, Standing, Veil

MayRead = Callable[[Row], bool]
"""Whether the follower may read an entry."""


@dataclass(frozen=True, slots=True)
class Span:
    """The part of a stream that a follower at `place` lacks: what is after `after`, from the beginning if
    `restart`."""

    place: Place
    after: int
    restart: bool


def lacks(standing: Standing, place: Place) -> bool:
    """Whether somebody at `place` can be given something, beside a newer head, of a stream that stands so."""
    if standing.epoch == 0:
        return False
    if place.epoch != standing.epoch or place.revision < standing.revision:
        return standing.whole or standing.revision > 0
    return standing.whole and (place.passing or place.revision > standing.revision)


def has_newer_head(standing: Standing, place: Place) -> bool:
    """Whether the home has vouched for its stream again since somebody at `place` heard of it."""
    return standing.whole and standing.as_of is not None and standing.as_of.timestamp() > place.as_of


def span(standing: Standing, place: Place) -> Span:
    """Which part to give. A follower that stands before the oldest tombstone begins anew.

    One that stands after all that is known here gets the head alone, and notices.
    """
    late = place.revision < standing.horizon and not place.passing
    restart = place.epoch != standing.epoch or place.revision == 0 or late
    return Span(place, 0 if restart else place.revision, restart)


def page(
    standing: Standing, span: Span, rows: Sequence[Row], ahead: Sequence[Row], *, most: int, may_read: MayRead
) -> Page:
    """The page for a span: `rows` are the next of the stream in order, and one beyond `most` if there is.

    `ahead` are urgent ones behind them. A stream whose end has not been reached here has no head.
    """
    more = len(rows) > most
    rows = rows[:most]
    return Page(
        standing.stream,
        standing.epoch,
        span.place,
        span.restart,
        [row.signed for row in ahead if row.signed is not None and may_read(row)] if more else (),
        [_shown(row, may_read) for row in rows],
        standing.head if standing.whole else None,
        more,
    )


def _shown(row: Row, may_read: MayRead) -> Signed | Veil:
    if row.signed is not None and may_read(row):
        return row.signed
    return Veil(row.revision, row.key, row.leaf, row.signature)
