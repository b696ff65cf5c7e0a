"""What is to be fetched when there is time: in which order, from when on, how fast.

What somebody waits for is not queued. It is fetched at once, and what is queued gives way to it.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from skerry.core.clock import Clock
from skerry.core.copy import Copy
from skerry.core.retries import Retries

_RETRY = 30.0
_LAST_RETRY = 3600.0
"""Seconds before an image that could not be fetched is tried again: after the first time, and at most."""


@dataclass(frozen=True, slots=True)
class Order:
    """How an image is to be brought: the higher `priority` the earlier, `pinned` before what is not.

    Not before the time `not_before` (seconds since the epoch); at `rate` bytes a second, None for as fast as
    can be.
    """

    priority: int = 0
    pinned: bool = False
    rate: int | None = None
    not_before: float | None = None


_ORDINARY = Order()


class Queue:
    """The orders that are out, and what has failed and waits for its next try."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._orders: Mapping[str, Order] = {}
        self._failed = Retries(first=_RETRY, longest=_LAST_RETRY)
        self.errors: dict[str, str] = {}
        """Why an image could not be fetched the last time, until it is."""

    def order(self, orders: Mapping[str, Order]) -> None:
        """These are the orders from now on; what has none is fetched as any other image."""
        self._orders = dict(orders)

    def failed(self, image_id: str, error: Exception) -> None:
        """A try has failed."""
        self._failed.failed(image_id, time.monotonic())
        self.errors[image_id] = str(error)

    def forget(self, image_id: str) -> None:
        """It is here, or is no more, or somebody wants it now: what has failed before does not count."""
        self._failed.forget(image_id)
        self.errors.pop(image_id, None)

    def retry_at(self, image_id: str) -> float | None:
        """When it may be tried again, in seconds since the epoch; None when nothing has failed."""
        pause = self._failed.pause(image_id, time.monotonic())
        return None if pause is None else self._clock.now().timestamp() + pause

    def rate(self, image_id: str) -> int | None:
        """How many bytes a second it may come at when nobody waits for it; None for any."""
        return self._orders.get(image_id, _ORDINARY).rate

    def due(self, copies: Iterable[Copy]) -> list[str]:
        """Ids of those that may be fetched now, the first one first."""
        now = self._clock.now().timestamp()
        found = []
        for copy in copies:
            order = self._orders.get(copy.image_id, _ORDINARY)
            waits = order.not_before is not None and order.not_before > now
            if not waits and not copy.paused and self._failed.due(copy.image_id, time.monotonic()):
                found.append((not (copy.pinned or order.pinned), -order.priority, copy.since, copy.image_id))
        return [image_id for *_, image_id in sorted(found)]

    def wait(self) -> float | None:
        """Seconds until time alone makes something due; None for never."""
        now = self._clock.now().timestamp()
        waits = [
            order.not_before - now
            for order in self._orders.values()
            if order.not_before is not None and order.not_before > now
        ]
        retry = self._failed.wait(time.monotonic())
        return min([*waits, *([] if retry is None else [retry])], default=None)
