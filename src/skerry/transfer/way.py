"""How the bytes of one image can come here, and what all ways have in common."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from skerry.core.errors import UpstreamAway
from skerry.core.image import Image
from skerry.stores.base import Partial, Store
from skerry.transfer.publish import Durable
from skerry.transfer.throttle import Throttle
from skerry.upstream.client import UpstreamImages


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What is to be brought, from where, and who is to hear of it.

    `stall` is in seconds: a stream that brings nothing for so long is broken off and asked for again.
    `progressed` is called when more bytes are ready, `held_up` when upstream is cut off itself, with None
    when it no longer is.
    """

    image: Image
    size: int
    store: Store
    upstream: UpstreamImages
    stall: float
    throttle: Throttle
    progressed: Callable[[], None]
    held_up: Callable[[UpstreamAway | None], None]

    def received(self, count: int) -> None:
        """Bytes have come over the line."""
        self.upstream.link.heard()
        self.upstream.received += count
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
    def done(self) -> int:
        """Bytes of the image that are here."""
        ...

    @property
    def received(self) -> int:
        """Bytes that have come over the line for it."""
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
