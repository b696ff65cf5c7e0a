"""What the feed has to know of the tree of sites."""

from collections.abc import Sequence
from typing import Protocol

from skerry.core.feed.entry import Stream
from skerry.core.feed.follow import Change
from skerry.core.feed.offer import MayRead
from skerry.core.signing import PublicKey


class Family(Protocol):
    """The sites as far as this one knows them. Looking costs no wait; `learn` keeps it up to date."""

    @property
    def name(self) -> str:
        """This site."""
        ...

    def keys(self, home: str) -> tuple[PublicKey, ...]:
        """With which a home may sign, the newest first; none when it is not known."""
        ...

    def subtree(self, site: str) -> frozenset[str]:
        """A site and all that are below it."""
        ...

    def may_read(self, site: str, stream: Stream) -> MayRead | None:
        """What of a stream a site may read; None is all of it."""
        ...

    async def learn(self, stream: Stream, changes: Sequence[Change]) -> None:
        """Hear what a page of a stream has changed."""
        ...
