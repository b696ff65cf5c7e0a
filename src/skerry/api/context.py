"""What handlers work with: one site, its parts already put together by `service`."""

from dataclasses import dataclass, field
from datetime import datetime

from skerry.api.traffic import Traffic
from skerry.catalog.base import Catalogue, PrimaryCatalogue
from skerry.catalog.copies import Copies
from skerry.catalog.records import Records
from skerry.config import Config
from skerry.core.clock import Clock
from skerry.identity.base import Identity
from skerry.identity.policy import Policy
from skerry.stores.base import Store
from skerry.transfer.cache import Cache
from skerry.transfer.imports import Imports
from skerry.transfer.uploads import Uploads
from skerry.upstream.catalogue import RemoteCatalogue
from skerry.upstream.client import UpstreamImages
from skerry.upstream.link import Link


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
    catalogue: RemoteCatalogue
    cache: Cache

    @property
    def link(self) -> Link:
        """The line to the upstream."""
        return self.upstream.link


@dataclass(frozen=True, slots=True)
class Site:
    """One running site. Exactly one of `home` and `edge` is set today; `catalogue` is what its readers are
    answered from, `records` what is on disk, `traffic` what it has been asked."""

    config: Config
    clock: Clock
    identity: Identity
    policy: Policy
    records: Records
    catalogue: Catalogue
    copies: Copies
    store: Store
    started_at: datetime
    home: Home | None
    edge: Edge | None
    traffic: Traffic = field(default_factory=Traffic)
