"""How old everything is that a site keeps of its upstream's records."""

from collections.abc import Collection, Iterable

from sqlalchemy import Connection, bindparam, delete, insert, select

from skerry.catalog.schema import listings, replicas
from skerry.core.freshness import Staleness


class Ages:
    """When upstream last confirmed records, members and the list; in seconds since the epoch.

    One answer may confirm all records at once. An upstream that cannot ask its own upstream says how old its
    knowledge is: then the answer is as old as that, and what was said is remembered with it.
    """

    def __init__(self, url: str) -> None:
        self.listed: float | None = None
        """When the list was true; None when it is not known or something was written since."""
        self.etag: str | None = None
        self.etag_at = 0.0
        """The ETag of the list that was read last, and when that was."""
        self._url = url
        self._records: dict[str, float] = {}
        self._all = float("-inf")
        self._apart: set[str] = set()
        self._members: dict[str, float] = {}
        self._said: dict[str, tuple[float, Staleness]] = {}
        self._said_of_all: tuple[float, Staleness] | None = None
        self._unsaved: set[str] = set()

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._records

    def ids(self) -> set[str]:
        """The images whose records are kept."""
        return set(self._records)

    def record(self, image_id: str) -> float | None:
        """When the record was true last; None when none is kept."""
        one = self._records.get(image_id)
        return one if one is None or image_id in self._apart else max(one, self._all)

    def members(self, image_id: str) -> float | None:
        """When the members were true last; None when they are not known."""
        return self._members.get(image_id)

    def said(self, key: str) -> tuple[float | None, Staleness | None]:
        """What upstream said of the age of its own answer about `key`, and when it was asked."""
        said = self._said.get(key)
        of_all = self._said_of_all if key in self._records else None
        newest = max((one for one in (said, of_all) if one), key=lambda one: one[0], default=None)
        return newest or (None, None)

    def believe(self, key: str, asked: float, stale: Staleness | None) -> float:
        """Note what upstream said of an answer's age; returns when the answer was true."""
        if stale is None:
            self._said.pop(key, None)
            return asked
        self._said[key] = (asked, stale)
        return true_at(asked, stale)

    def confirm(self, image_ids: Iterable[str], asked: float, stale: Staleness | None = None) -> None:
        """These records were answered, as they are kept now."""
        for image_id in image_ids:
            at = self.believe(image_id, asked, stale)
            known = None if image_id in self._apart else self._records.get(image_id)
            self._records[image_id] = at if known is None else max(known, at)
            self._apart.discard(image_id)
            self._unsaved.add(image_id)

    def confirm_all(self, asked: float, stale: Staleness | None = None) -> None:
        """All records are as they are kept."""
        self._said_of_all = (asked, stale) if stale else None
        self._all = max(self._all, true_at(asked, stale))
        if stale is None:
            self._said.clear()
            self._apart.clear()

    def confirm_members(self, image_ids: Iterable[str], at: float) -> None:
        """The members of these images were answered."""
        for image_id in image_ids:
            self._members[image_id] = at
            self._unsaved.add(image_id)

    def confirm_members_since(self, since: float, at: float) -> set[str]:
        """Members that were read at `since` or later are as they were; returns the images with older ones."""
        older = {image_id for image_id, read in self._members.items() if read < since}
        self.confirm_members(self._members.keys() - older, at)
        return older

    def doubt(self, image_id: str | None, at: float) -> None:
        """Something was written (None: a new image): what is kept counts as confirmed at `at`, no later."""
        self.listed = None
        if image_id in self._records:
            self._records[image_id] = min(self.record(image_id) or at, at)
            self._apart.add(image_id)
            self._members.pop(image_id, None)
        self._said.clear()
        self._said_of_all = None

    def forget(self, image_id: str) -> None:
        """The record is not kept any more."""
        self._records.pop(image_id, None)
        self._members.pop(image_id, None)
        self._said.pop(image_id, None)
        self._apart.discard(image_id)

    def load(self, connection: Connection) -> None:
        """Read what was written down."""
        for row in connection.execute(select(replicas)):
            self._records[row.image_id] = row.checked_at
            if row.members_checked_at is not None:
                self._members[row.image_id] = row.members_checked_at
        listing = connection.execute(select(listings).where(listings.c.url == self._url)).first()
        if listing is not None:
            self.listed, self.etag = listing.listed_at, listing.etag
            self.etag_at = self._all = listing.listed_at

    def write(self, connection: Connection, image_ids: Collection[str], at: float = float("-inf")) -> None:
        """Write down the ages of some records; `at` is when those that are about to be kept were true."""
        rows = [
            {
                "image_id": image_id,
                "checked_at": max(self._records.get(image_id, at), at),
                "members_checked_at": self._members.get(image_id),
            }
            for image_id in image_ids
            if image_id in self._records or at > float("-inf")
        ]
        if rows:
            old = delete(replicas).where(replicas.c.image_id == bindparam("of"))
            connection.execute(old, [{"of": row["image_id"]} for row in rows])
            connection.execute(insert(replicas), rows)

    def save(self, connection: Connection) -> None:
        """Write down all that has changed since it was done last."""
        unsaved, self._unsaved = self._unsaved, set()
        self.write(connection, unsaved)
        connection.execute(delete(listings))
        if self.listed is not None:
            row = {"url": self._url, "listed_at": self.listed, "etag": self.etag}
            connection.execute(insert(listings), [row])


def true_at(asked: float, stale: Staleness | None) -> float:
    """When an answer was true: as it was asked for, unless upstream said that its knowledge is older."""
    return asked if stale is None else min(asked, stale.as_of.timestamp())
