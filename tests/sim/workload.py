"""What people do meanwhile: at the homes of images, at the centre, and as clients of an edge."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from skerry.core.errors import SkerryError
from skerry.core.feed.documents import image_to_document
from skerry.core.feed.entry import Kind, Stream
from skerry.core.image import Image, Member, MemberStatus, Status
from skerry.core.placement.document import dump_one
from skerry.core.placement.images import ImageSelector
from skerry.core.placement.rule import Mode, Placement
from skerry.core.placement.sites import SiteSelector
from skerry.core.placement.window import Window
from skerry.core.site import SiteState
from tests.sim.disk import Database, Record
from tests.sim.family import CENTRE
from tests.sim.images import READERS, new_image
from tests.sim.keys import SimKey
from tests.sim.persons import add_site, change_site

if TYPE_CHECKING:
    from tests.sim.site import Site
    from tests.sim.world import World


def build(world: "World") -> None:
    """The tree as it is at the beginning: a centre, regions, and edges below either."""
    add_site(world, CENTRE, None)
    uppers = [CENTRE]
    for number in range(world.settings.regions):
        name = f"region-{number}"
        add_site(world, name, world.rng.choice(uppers))
        uppers.append(name)
    for number in range(world.settings.edges):
        add_site(world, f"edge-{number}", world.rng.choice(uppers))


def schedule(world: "World", until: float) -> None:
    """Draw what is done up to a moment."""
    for _ in range(3):
        world.after(world.rng.uniform(0.0, 5.0), lambda: _create(world))
    world.after(2.0, lambda: _place(world))
    for _ in range(world.settings.deeds):
        deed = world.rng.choice(_DEEDS)
        world.after(world.rng.uniform(5.0, until), lambda deed=deed: deed(world))  # type: ignore[misc]


def _at(site: "Site", what: Callable[[], None]) -> None:
    """Somebody does something at a site, if it is up; what goes wrong is theirs to try again."""

    def safely() -> None:
        try:
            what()
        except SkerryError as error:
            site.world.note(site.name, f"refuses somebody: {error}")
        site.wake()

    if site.up:
        site.do(safely)


def _home(world: "World") -> "Site":
    """Where something is done: at the centre as often as not."""
    return world.sites[CENTRE if world.chance(0.5) else world.rng.choice(sorted(world.sites))]


def _some_image(world: "World", site: "Site") -> Image | None:
    """An image that has its home at a site."""
    records = site.disk.database.records
    own = [image_id for image_id in sorted(records) if records[image_id].home == site.name]
    return records[world.rng.choice(own)].image if own else None


def _write_on(site: "Site", database: Database, image: Image, members: list[Member], *, urgent: bool) -> None:
    body = image_to_document(image, members)
    database.records[image.id] = Record(site.name, body, image)
    site.journal.write_on(database, Kind.IMAGE, image.id, body, urgent=urgent)


def carry_on(site: "Site") -> None:
    """Somebody creates an image at a site, or deletes one."""
    image = _some_image(site.world, site)
    if image is not None and site.world.chance(0.3):
        _delete(site.world, site)
    else:
        _create(site.world, site)


def _create(world: "World", site: "Site | None" = None) -> None:
    site, rng = site or _home(world), world.rng
    number = world.deeds["images created"]
    world.deeds["images created"] += 1
    image_id = f"00000000-0000-4000-8000-{number:012}"
    properties = {}
    if rng.random() < 0.25:
        properties[READERS] = _readers(world)
    name = f"{rng.choice(('debian', 'ubuntu', 'gpu'))}-{number}"
    image = new_image(image_id, name, rng.randint(10, 200), site.clock.now(), properties)

    def publish() -> None:
        world.note(site.name, f"creates {image_id}")
        site.cache.publish(
            lambda tables: _write_on(site, tables, image, [], urgent=False), image_id, image.size or 0
        )

    _at(site, publish)


def _change(world: "World") -> None:
    site = _home(world)
    image = _some_image(world, site)
    if image is None:
        return
    properties = dict(image.properties)
    properties["changed"] = str(world.deeds["images changed"])
    if world.chance(0.3):
        properties[READERS] = _readers(world)
    elif world.chance(0.5):
        properties.pop(READERS, None)
    world.deeds["images changed"] += 1
    _rewrite(site, replace(image, properties=properties), [], urgent=False)


def _readers(world: "World") -> str:
    """One or two sites, and all that are on the way to them."""
    named: set[str] = set()
    for name in world.rng.sample(sorted(world.sites), k=world.rng.randint(1, min(2, len(world.sites)))):
        at: str | None = name
        while at is not None:
            named.add(at)
            at = world.sites[at].upstream
    return ",".join(sorted(named))


def _deactivate(world: "World") -> None:
    site = _home(world)
    image = _some_image(world, site)
    if image is not None:
        world.deeds["images deactivated or back"] += 1
        back = image.status is Status.DEACTIVATED
        status = Status.ACTIVE if back else Status.DEACTIVATED
        _rewrite(site, replace(image, status=status), [], urgent=not back)


def _share(world: "World") -> None:
    site = _home(world)
    image = _some_image(world, site)
    if image is not None:
        world.deeds["images shared"] += 1
        now = site.clock.now().replace(microsecond=0)
        member = Member(image.id, f"project-{world.rng.randint(0, 5)}", MemberStatus.PENDING, now, now)
        _rewrite(site, image, [member], urgent=True)


def _rewrite(site: "Site", image: Image, members: list[Member], *, urgent: bool) -> None:
    def work() -> None:
        site.world.note(site.name, f"changes {image.id}")
        with site.transaction() as tables:
            _write_on(site, tables, image, members, urgent=urgent)

    _at(site, work)


def _delete(world: "World", site: "Site | None" = None) -> None:
    site = site or _home(world)
    image = _some_image(world, site)
    if image is not None:
        world.deeds["images deleted"] += 1
        world.note(site.name, f"deletes {image.id}")
        _at(site, lambda: site.cache.delete(image.id))


def _usurp(world: "World") -> None:
    """A site writes in its own stream about an image of another home."""
    site = world.sites[world.rng.choice(sorted(world.sites))]
    others = [i for i, record in sorted(site.disk.database.records.items()) if record.home != site.name]
    if not others or site.name == CENTRE:
        return
    image_id = world.rng.choice(others)
    world.deeds["images usurped"] += 1

    def write() -> None:
        with site.transaction() as tables:
            site.journal.write_on(tables, Kind.IMAGE, image_id, None, urgent=True)

    _at(site, write)


def _boot(world: "World") -> None:
    site = world.sites[world.rng.choice(sorted(world.sites))]
    known = sorted(site.disk.database.records)
    if known:
        image_id = world.rng.choice(known)
        _at(site, lambda: site.cache.boot(image_id))


def _pin(world: "World") -> None:
    """A person pins a copy, or lets it go."""
    site = world.sites[world.rng.choice(sorted(world.sites))]
    copies = site.disk.database.copies
    cached = [image_id for image_id in sorted(copies) if copies[image_id].cached]
    if not cached:
        return
    image_id = world.rng.choice(cached)

    def work() -> None:
        with site.transaction() as tables:
            copy = tables.copies[image_id]
            tables.copies[image_id] = replace(copy, pinned=not copy.pinned)

    _at(site, work)


def _place(world: "World") -> None:
    """A placement is written, changed, or taken away."""
    centre, rng = world.sites[CENTRE], world.rng
    world.deeds["placements changed"] += 1
    name = f"rule-{rng.randint(0, 3)}"
    body: dict[str, Any] | None = None if rng.random() < 0.2 else dump_one(_placement(world, name))
    if body is None and name not in centre.disk.database.records:
        known = centre.journal.objects(Kind.PLACEMENT, Stream(CENTRE)) if centre.up else {}
        if name not in known:
            return

    def work() -> None:
        world.note(CENTRE, f"places {body}")
        with centre.transaction() as tables:
            centre.journal.write_on(tables, Kind.PLACEMENT, name, body)

    _at(centre, work)


def _placement(world: "World", name: str) -> Placement:
    rng = world.rng
    images = rng.choice(
        (
            ImageSelector(),
            ImageSelector(names=("debian-*", "gpu-*")),
            ImageSelector(names=("ubuntu-*",)),
            ImageSelector(newest=2),
            ImageSelector(size_max=100),
            ImageSelector(age_max=600.0),
        )
    )
    sites = rng.choice(
        (SiteSelector(), SiteSelector(names=("edge-*",)), SiteSelector(labels=(("tier", "far"),)))
    )
    mode = rng.choice((Mode.MIRROR, Mode.MIRROR, Mode.MIRROR, Mode.ON_DEMAND, Mode.NEVER))
    priority = rng.randint(0, 2)
    if mode is not Mode.MIRROR:
        return Placement(name, images, sites, mode, priority=priority)
    return Placement(
        name,
        images,
        sites,
        mode,
        pinned=rng.random() < 0.3,
        priority=priority,
        window=Window.parse("00:04-00:12") if rng.random() < 0.15 else None,
        keep=rng.choice((None, None, 60.0, 600.0)),
    )


def _add(world: "World") -> None:
    number = len(world.sites)
    if number < 9:
        world.deeds["sites added"] += 1
        uppers = [name for name in sorted(world.sites) if not name.startswith("edge")]
        add_site(world, f"edge-{number}", world.rng.choice(uppers))


def _drain(world: "World") -> None:
    name = world.rng.choice(sorted(world.lines))
    state = world.wanted_sites[name].state
    if state is not SiteState.REVOKED:
        world.deeds["sites drained or back"] += 1
        change_site(
            world, name, state=SiteState.ACTIVE if state is SiteState.DRAINING else SiteState.DRAINING
        )


def _revoke(world: "World") -> None:
    name = world.rng.choice(sorted(world.lines))
    if name.startswith("edge"):
        world.deeds["sites revoked"] += 1
        change_site(world, name, state=SiteState.REVOKED)


def _rotate(world: "World") -> None:
    """A site gets a new key, which the centre has entered before it is used."""
    name = world.rng.choice(sorted(world.lines))
    site, centre = world.sites[name], world.sites[CENTRE]
    if not (site.up and centre.up) or centre.disk.full:
        return
    world.deeds["keys rotated"] += 1
    key = SimKey(name, world.deeds["keys rotated"])
    change_site(world, name, keys=(key.public, *world.wanted_sites[name].keys), keyed_at=world.wall())
    site.key.become(key)


def _approve(world: "World") -> None:
    if world.settings.approves:
        for _, site in sorted(world.sites.items()):
            if site.up:
                site.reconciler.approve()


_DEEDS: tuple[Callable[["World"], None], ...] = (
    *[_create] * 6,
    *[_change] * 5,
    *[_delete] * 3,
    *[_deactivate] * 2,
    *[_share] * 2,
    *[_boot] * 6,
    *[_place] * 5,
    *[_pin] * 2,
    *[_approve] * 2,
    _usurp,
    _add,
    _drain,
    _revoke,
    _rotate,
)
