"""What the API and the transfer ask of a catalogue, whichever kind it is.

`Records` (`catalog.records`) is a primary: its own database, written here. `RemoteCatalogue`
(`catalog.remote`) asks upstream and keeps the answers; it is read only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from skerry.core.freshness import Staleness
from skerry.core.image import Image, Member, MemberStatus
from skerry.core.query import Query, Scope


@dataclass(frozen=True, slots=True)
class Known:
    """A record and how good our knowledge of it is; `stale` is None when it is as good as asked for."""

    image: Image
    stale: Staleness | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list, in order. `next_marker` is the id to go on from, or None at the end."""

    images: Sequence[Image]
    next_marker: str | None


class Catalogue(Protocol):
    """Reading. Every kind of catalogue does this, and never waits for a line that is known to be cut."""

    async def get(self, image_id: str) -> Known:
        """The record. Raises NotFound; UpstreamAway when nothing is known and nobody can be asked."""
        ...

    async def freshen(self, query: Query, scope: Scope) -> Staleness | None:
        """Bring the catalogue up to date for this list, as far as can be; says what is lacking then."""
        ...

    async def page(self, query: Query, scope: Scope) -> Page:
        """The images that `query` selects among those that `scope` may list."""
        ...

    async def members(self, image_id: str) -> Sequence[Member]:
        """The members of an image, oldest first; empty when it has none."""
        ...


class EdgeCatalogue(Catalogue, Protocol):
    """Reading at a site that lives from an upstream."""

    def invalidate(self, image_id: str | None) -> None:
        """Something was just written through this site (None: a new image)."""
        ...

    async def reached(self, revision: int) -> None:
        """Wait, not for long, until a change that the home calls `revision` is known here as well."""
        ...

    async def knows(self, image_id: str) -> bool:
        """Whether there may be such an image; where False is answered its copy is of no more use."""
        ...

    async def flush(self) -> None:
        """Write down what is worth keeping and cheap to lose."""
        ...


class PrimaryCatalogue(Catalogue, Protocol):
    """Writing, at the home of the records. Each call is one durable transaction that grows the revision.

    A rule is a pure function from the image as it is to the image as it shall be; it runs inside the
    transaction, so nothing is lost between reading and writing, and what it raises undoes everything.
    The catalogue sets `revision`, and `updated_at` unless the rule returned an equal image.
    """

    @property
    def revision(self) -> int:
        """The number of the last change: two equal answers mean that nothing changed in between."""
        ...

    async def create(self, image: Image) -> Image:
        """Add a record. Raises Conflict when the id is or ever was in use."""
        ...

    async def change(self, image_id: str, rule: Callable[[Image], Image]) -> Image:
        """Apply a rule to a record. Raises NotFound and what the rule raises."""
        ...

    async def delete(self, image_id: str, rule: Callable[[Image], Image]) -> Image:
        """Replace the record by a tombstone once `rule` has let it pass. Returns the last record."""
        ...

    async def add_member(self, image_id: str, project_id: str, *, most: int) -> Member:
        """Share an image (status pending). Conflict when it is, TooLarge over `most` members."""
        ...

    async def set_member_status(self, image_id: str, project_id: str, status: MemberStatus) -> Member:
        """Record what the project answered. Raises NotFound."""
        ...

    async def remove_member(self, image_id: str, project_id: str) -> None:
        """End the sharing. Raises NotFound."""
        ...
