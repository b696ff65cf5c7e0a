"""How the bytes of one image can come here, and what all ways have in common."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from skerry.core.errors import UpstreamAway
from skerry.core.image import Image
from skerry.stores.base import Partial, Store
from skerry.transfer.publish import Durable
from skerry.transfer.throttle import Throttle
from skerry.upstream.client import UpstreamImages

if TYPE_CHECKING:
    from skerry.transfer.siblings import Siblings

UPSTREAM = "upstream"
"""What upstream is called among the sources of an image."""


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What is to be brought, from where, and who is to hear of it.

    `stall` is in seconds: a stream that brings nothing for so long, or less than `pace.LEAST`, is broken off
    and asked for again.
    `throttle` holds up this image, `line` all that comes from upstream, both by limits of this site.
    `progressed` is called when more bytes are ready, `held_up` when upstream is cut off itself, with None
    when it no longer is. `siblings` finds others that have the image.
    """

    image: Image
    size: int
    store: Store
    upstream: UpstreamImages
    stall: float
    throttle: Throttle
    line: Throttle
    progressed: Callable[[], None]
    held_up: Callable[[UpstreamAway | None], None]
    siblings: "Siblings"

    async def passed(self, count: int, *, near: bool = False) -> None:
        """Bytes have been dealt with, from a sibling when `near`; returns when more may come."""
        await self.throttle.passed(count)
        if not near:
            await self.line.passed(count)

    def received(self, count: int) -> None:
        """Bytes have come over the line to upstream."""
        self.upstream.link.heard()
        self.upstream.received += count
        self.upstream.meter.passed(count, time.monotonic())
        self.held_up(None)


class Way(Protocol):
    """One way for one image. `fd` is the file in which it grows."""

    fd: int

    @property
    def partial(self) -> Partial:
        """That file for the store."""
        ...

    @property
    def durable(self) -> Durable:
        """What there is, for a checkpoint."""
        ...

    @property
    def index(self) -> bytes:
        """The file of its index, if that is known."""
        ...

    @property
    def proven(self) -> bool:
        """Whether what is ready is known to be right, and not only that it came from upstream."""
        ...

    @property
    def done(self) -> int:
        """Bytes of the image that are here."""
        ...

    @property
    def received(self) -> int:
        """Bytes that have come over the line for it."""
        ...

    @property
    def sources(self) -> Mapping[str, int]:
        """The same by where they came from: UPSTREAM, and names of siblings."""
        ...

    def ready(self, offset: int) -> int:
        """The end of the bytes that are right, from `offset` on; not more than `offset` when none are."""
        ...

    def want(self, offset: int) -> None:
        """Somebody waits for this byte: bring it soon, if that can be chosen."""
        ...

    async def bring(self) -> None:
        """Return when the file has the right bytes, not yet durable.

        Raises WrongBytes when it has not, and what goes wrong with the line or the disk.
        """
        ...

    async def anew(self) -> "Way":
        """After wrong bytes: the way on which to begin anew, from nothing."""
        ...

    async def close(self) -> None:
        """Stop; what is here can be gone on with. The file stays open."""
        ...
