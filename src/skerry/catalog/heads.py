"""What this site vouches for its own streams."""

from dataclasses import replace
from datetime import datetime, timedelta

from skerry.core.clock import Clock
from skerry.core.feed.entry import Head, Signed, Stream, sign_head
from skerry.core.feed.journal import Standing
from skerry.core.signing import SigningKey


class Heads:
    """Heads of the own streams, signed when they are asked for; they are kept in memory alone.

    A head is good for `lifetime`; it is signed afresh when its stream has changed, or half of that is over.
    """

    def __init__(self, key: SigningKey, clock: Clock, *, lifetime: timedelta) -> None:
        self._key = key
        self._clock = clock
        self._lifetime = lifetime
        self._heads: dict[Stream, tuple[Head, Signed]] = {}

    def vouch(self, standing: Standing) -> Standing:
        """The standing of an own stream with a head that is true now; on any thread."""
        now = self._clock.now().replace(microsecond=0)
        known = self._heads.get(standing.stream)
        if known is None or not self._still_good(known[0], standing, now):
            head = Head(
                standing.stream,
                standing.epoch,
                standing.revision,
                standing.digest,
                now,
                now + self._lifetime,
                standing.horizon,
            )
            known = self._heads[standing.stream] = head, sign_head(head, self._key)
        head, signed = known
        return replace(standing, head=signed, as_of=head.at, expires=head.expires)

    def _still_good(self, head: Head, standing: Standing, now: datetime) -> bool:
        said = (head.epoch, head.revision, head.horizon, head.digest)
        same = said == (standing.epoch, standing.revision, standing.horizon, standing.digest)
        return same and head.at <= now < head.at + self._lifetime / 2
