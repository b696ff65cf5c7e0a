"""A centre's folder and those of its members, as if all had joined."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from benchmarks.clients import WrongAnswerError
from skerry.config import Config, SiteSection, SitesSection
from skerry.core.clock import SystemClock
from skerry.core.feed.entry import Kind
from skerry.core.site import SiteRecord, SiteState, site_to_body
from skerry.identity.certificates import make_key
from skerry.identity.durable import replace_file
from skerry.identity.membership import Belongs, Folder, Upstream
from skerry.service import open_site

CENTRE = "centre"
_AT_ONCE = 24
"""Sites that are entered at the same time: most of it is waiting for the disk."""


def config_of(folder: Path, name: str, listen: str = "") -> Config:
    """The settings of a site whose state is in `folder/NAME/data`; `listen` to other sites."""
    site = SiteSection(name=name, data=str(folder / name / "data"))
    return Config(site=site, sites=SitesSection(listen=listen))


async def found(folder: Path, names: Sequence[str], listen: str) -> None:
    """Make a centre that listens to sites at `listen`, and its members; none of them runs yet."""
    clock = SystemClock()
    settings = config_of(folder, CENTRE, listen)
    async with open_site(settings, clock) as centre:
        if centre.federation is None or centre.feed is None:
            raise WrongAnswerError("The centre is none.")
        own, journal = centre.federation.membership, centre.feed.journal
        authority = own.authority
        if authority is None:
            raise WrongAnswerError("The centre has no authority.")
        turns = asyncio.Semaphore(_AT_ONCE)

        async def enter(name: str) -> None:
            home, now = Folder(config_of(folder, name)), clock.now().replace(microsecond=0)

            def furnish() -> SiteRecord:
                home.make()
                key = make_key(home.key)
                replace_file(home.authority, own.trusted.encode())
                replace_file(home.cert, authority.issue(name, key.public, now).encode())
                home.keep(Belongs(name, Upstream(CENTRE, f"https://{listen}"), CENTRE, (own.key.public,)))
                return SiteRecord(
                    name, CENTRE, SiteState.ACTIVE, keys=(key.public,), joined_at=now, keyed_at=now
                )

            async with turns:
                await journal.put(Kind.SITE, name, site_to_body(await asyncio.to_thread(furnish)))

        await asyncio.gather(*map(enter, names))
