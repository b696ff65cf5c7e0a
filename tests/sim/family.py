"""The tree of sites as one of them knows it: by the records that the centre has written."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from skerry.core.feed.entry import Kind, Stream
from skerry.core.feed.journal import Row
from skerry.core.feed.offer import MayRead
from skerry.core.placement.sites import Site as Placed
from skerry.core.placement.sites import SiteState as PlacedState
from skerry.core.signing import PublicKey
from skerry.core.site import SiteRecord, SiteState, check_admitted, site_from_body, subtree
from tests.sim.images import entry_of, readers_of
from tests.sim.keys import SimPublicKey

if TYPE_CHECKING:
    from tests.sim.site import Site

CENTRE = "centre"


class Family:
    """What a site knows of the others."""

    def __init__(self, site: "Site") -> None:
        self._site = site
        self._sites: dict[str, SiteRecord] = {}
        self._subtrees: dict[str, frozenset[str]] = {}
        self._version: object = None
        self._read: dict[str, tuple[Mapping[str, Any], SiteRecord]] = {}
        self.learn()

    def learn(self) -> None:
        """The centre's stream may have changed."""
        version = self._site.journal.version(Stream(CENTRE))
        if version is self._version:
            return
        self._version = version
        told = self._site.journal.objects(Kind.SITE, Stream(CENTRE))
        before, self._read = self._read, {}
        for name, body in sorted(told.items()):
            known = before.get(name)
            self._read[name] = known if known and known[0] is body else (body, _record(body))
        self._sites = {name: record for name, (_, record) in self._read.items()}
        self._subtrees = {}

    def keys(self, home: str) -> tuple[PublicKey, ...]:
        """With which a home may sign; that of the centre is pinned."""
        record = self._sites.get(home)
        known = () if record is None else record.keys
        return (*known, self._site.pinned) if home == CENTRE else known

    def subtree(self, site: str) -> frozenset[str]:
        """A site and all that are below it."""
        if site not in self._subtrees:
            self._subtrees[site] = subtree(self._sites, site)
        return self._subtrees[site]

    def check(self, site: str, key: PublicKey) -> None:
        """Raise Forbidden unless a site is let in with this key."""
        check_admitted(self._sites.get(site), site, key, self._site.clock.now())

    def may_read(self, site: str) -> MayRead:
        """What a site may read: what it is named for, or everybody."""

        def may(row: Row) -> bool:
            if row.signed is None or row.kind is not Kind.IMAGE:
                return row.signed is not None
            readers = readers_of(entry_of(row.signed).body)
            return readers is None or site in readers

        return may

    def placed(self) -> Placed:
        """This site as placements see it."""
        record = self._sites.get(self._site.name)
        if record is None:
            return Placed(self._site.name)
        state = PlacedState.DRAINING if record.state is SiteState.DRAINING else PlacedState.ACTIVE
        return Placed(record.name, record.labels, state)


def _record(body: Mapping[str, Any]) -> SiteRecord:
    record = site_from_body(body)
    return replace(record, keys=tuple(SimPublicKey(key.raw) for key in record.keys))
