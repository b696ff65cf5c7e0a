"""What only persons do: add sites, write the centre's records of them, put right what was restored."""

from dataclasses import replace
from typing import TYPE_CHECKING

from skerry.core.errors import SkerryError
from skerry.core.feed.entry import Kind, Stream
from skerry.core.site import SiteRecord, SiteState, site_from_body, site_to_body
from tests.sim.family import CENTRE
from tests.sim.site import Site

if TYPE_CHECKING:
    from tests.sim.world import World


def add_site(world: "World", name: str, upstream: str | None) -> None:
    """A site joins: its record is at the centre, and it starts."""
    pinned = None if upstream is None else world.sites[CENTRE].key.public
    site = Site(world, name, upstream, pinned=pinned)
    site.space = world.rng.randint(150, 1200)
    world.wanted_sites[name] = SiteRecord(
        name,
        upstream,
        SiteState.ACTIVE,
        labels={"tier": world.rng.choice(("near", "far"))},
        keys=(site.key.public,),
        joined_at=world.wall(),
    )
    site.start()
    write_sites(world)


def change_site(world: "World", name: str, **fields: object) -> None:
    """Set the state, or the keys, of a site."""
    world.wanted_sites[name] = replace(world.wanted_sites[name], **fields)  # type: ignore[arg-type]
    write_sites(world)


def write_sites(world: "World") -> None:
    """Have the records at the centre say what they should, as soon as the centre can."""
    centre = world.sites[CENTRE]
    if centre.up and not centre.disk.full:
        centre.do(lambda: _write(world, centre))
    else:
        world.after(10.0, lambda: write_sites(world))


def _write(world: "World", centre: Site) -> None:
    try:
        for name, record in sorted(world.wanted_sites.items()):
            known = centre.journal.objects(Kind.SITE, Stream(CENTRE)).get(name)
            if known is None or site_from_body(known) != record:
                with centre.transaction() as tables:
                    revoked = record.state is SiteState.REVOKED
                    centre.journal.write_on(tables, Kind.SITE, name, site_to_body(record), urgent=revoked)
    except SkerryError as error:
        world.note(CENTRE, f"cannot write the sites: {error}")
    centre.wake()


def bring_right(site: Site) -> None:
    """The person at a restored site begins its records anew, before it forgets what it deletes meanwhile."""
    world = site.world
    if not site.rewound:
        return
    site.disk.full = False
    if not site.up:
        world.after(5.0, lambda: bring_right(site))
        return

    def begin() -> None:
        world.note(site.name, f"begins epoch {site.journal.begin_anew()}")
        site.rewound = False

    site.do(begin)
    if site.name == CENTRE:
        write_sites(world)
