"""What handlers work with: one site, its parts already put together by `service`.

What belongs to several sites is only named here: a site that stands alone does not load it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from aiohttp import web

from skerry.api.traffic import Traffic
from skerry.catalog.base import Catalogue, EdgeCatalogue, PrimaryCatalogue
from skerry.catalog.copies import Copies
from skerry.catalog.records import Records
from skerry.config import Config
from skerry.core.clock import Clock
from skerry.identity.base import Identity
from skerry.identity.policy import Policy
from skerry.stores.base import Store
from skerry.transfer.cache import Cache
from skerry.transfer.chunks import Chunks
from skerry.transfer.egress import Egress
from skerry.transfer.imports import Imports
from skerry.transfer.scrub import Scrubber
from skerry.transfer.uploads import Uploads
from skerry.upstream.client import UpstreamImages
from skerry.upstream.link import Link

if TYPE_CHECKING:
    from skerry.api.federation import Federation
    from skerry.api.renewal import Renewal
    from skerry.catalog.journal import Journal
    from skerry.sync.family import Family
    from skerry.sync.follower import Follower
    from skerry.sync.knowing import Knowing
    from skerry.sync.placements import Placements
    from skerry.sync.reconciler import Reconciler
    from skerry.sync.scopes import Scopes
    from skerry.sync.source import Source
    from skerry.transfer.deposits import Deposits

Peer = Callable[[web.Request], str | None]
"""The name of the site that makes a request; None when no site does."""


@dataclass(frozen=True, slots=True)
class Home:
    """What a site has that is home to images: a primary catalogue and the ways in for bytes."""

    catalogue: PrimaryCatalogue
    uploads: Uploads
    imports: Imports


@dataclass(frozen=True, slots=True)
class Edge:
    """What a site has that lives from an upstream: its API, what is known of its records, and the cache."""

    upstream: UpstreamImages
    catalogue: EdgeCatalogue
    cache: Cache

    @property
    def link(self) -> Link:
        """The line to the upstream."""
        return self.upstream.link


@dataclass(frozen=True, slots=True)
class Feed:
    """What a site has that is one of several: its journal, what it gives to sites below and takes from them,
    what it follows above (None at the centre), and how it knows from which site a request comes."""

    journal: "Journal"
    family: "Family"
    source: "Source"
    deposits: "Deposits"
    follower: "Follower | None"
    peer: Peer


@dataclass(frozen=True, slots=True)
class Placing:
    """What a site has that is one of several: what ought to be where, what can be said of it, what each site
    may have, and who sees to it here (nobody at the centre, which is home to what it has)."""

    placements: "Placements"
    knowing: "Knowing"
    scopes: "Scopes"
    reconciler: "Reconciler | None"


@dataclass(frozen=True, slots=True)
class Site:
    """One running site. It is a home, an edge, or as a member of a tree of sites both; `catalogue` is what
    its readers are answered from, `records` what is on disk, `traffic` what it has been asked, `chunks` its
    images as other sites want them.
    `federation` is what makes it one of several, `renewal` keeps its key. `egress` is what siblings get,
    `scrubber` reads copies again (an aide has none).
    """

    config: Config
    clock: Clock
    identity: Identity
    policy: Policy
    records: Records
    catalogue: Catalogue
    copies: Copies
    store: Store
    started_at: datetime
    chunks: Chunks
    home: Home | None
    edge: Edge | None
    feed: Feed | None = None
    federation: "Federation | None" = None
    renewal: "Renewal | None" = None
    placing: Placing | None = None
    scrubber: Scrubber | None = None
    egress: Egress = field(default_factory=Egress)
    traffic: Traffic = field(default_factory=Traffic)
