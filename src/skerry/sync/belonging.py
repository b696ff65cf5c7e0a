"""What makes a site one of several: given to `service` by whoever knows how it has joined."""

from typing import Protocol

import aiohttp
from aiohttp import web

from skerry.catalog.journal import Journal
from skerry.core.signing import SigningKey
from skerry.sync.family import Family


class Belonging(Protocol):
    """A site's place in the tree. The centre has no `upstream`."""

    @property
    def name(self) -> str:
        """This site."""
        ...

    @property
    def key(self) -> SigningKey:
        """What it signs with."""
        ...

    @property
    def upstream(self) -> str | None:
        """The URL at which the site above answers other sites."""
        ...

    def family(self, journal: Journal) -> Family:
        """The other sites, as the journal knows them."""
        ...

    def session(self, site: str | None = None) -> aiohttp.ClientSession:
        """For requests to the site above, or another, made as this site. Does not decompress."""
        ...

    def peer(self, request: web.Request) -> str | None:
        """The site that makes a request here, if one does and may."""
        ...
