"""What has to be true when all is quiet."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from skerry.core.feed.entry import Channel, Kind, Stream
from skerry.core.placement.actions import Evict, Fetch
from skerry.core.placement.observed import Held
from skerry.core.site import MEMBERS
from tests.sim.images import entry_of, readers_of

if TYPE_CHECKING:
    from tests.sim.site import Site
    from tests.sim.world import World

_Objects = Mapping[tuple[Kind, str], Mapping[str, Any]]


def broken(world: "World") -> list[str]:
    """The promises that do not hold now, in words; none when all is well."""
    found: list[str] = []
    members = [site for _, site in sorted(world.sites.items()) if _belongs(world, site)]
    for site in members:
        if not site.up:
            found.append(f"{site.name} is down")
            continue
        for home in members:
            if home is not site and home.up:
                found += _records(site, home)
        found += _copies_known(site, members)
        found += _reconciled(site)
    return found


def _belongs(world: "World", site: "Site") -> bool:
    """Whether the centre lets a site in, and all that are on its way."""
    at: Site | None = site
    while at is not None:
        if world.wanted_sites[at.name].state not in MEMBERS:
            return False
        at = world.sites[at.upstream] if at.upstream is not None else None
    return True


def _records(site: "Site", home: "Site") -> list[str]:
    """A site has exactly the records that their home has, as far as it may read them."""
    stream = Stream(home.name)
    below = site.family.subtree(site.name)
    held = _living(site, stream)
    expected = {}
    for key, body in _living(home, stream).items():
        readers = readers_of(body) if key[0] is Kind.IMAGE else None
        if readers is None or home.name in below or site.name in readers or (key in held and _was_told(site)):
            expected[key] = body
    found = _differences(f"{site.name} of {stream}", expected, held)
    known = site.disk.database.records
    catalogue = {
        (Kind.IMAGE, image_id): record.body for image_id, record in known.items() if record.home == home.name
    }
    images = {key: body for key, body in expected.items() if key[0] is Kind.IMAGE}
    usurped = {key for key in images if key[1] in known and known[key[1]].home != home.name}
    images = {key: body for key, body in images.items() if key not in usurped}
    found += _differences(f"{site.name}'s catalogue of {stream}", images, catalogue)
    standing = site.journal.standing(stream)
    trouble = standing.judged(site.clock.now())
    if expected and trouble is not None:
        found.append(f"{site.name} of {stream}: in trouble: {trouble}: {standing.reason}")
    return found


def _living(site: "Site", stream: Stream) -> _Objects:
    entries = [entry_of(row.signed) for row in site.journal.rows(stream).values() if row.leaf and row.signed]
    return {(entry.kind, entry.id): entry.body or {} for entry in entries}


def _was_told(site: "Site") -> bool:
    """Whether a dishonest relay may have shown a site what it may not read, which no rule could hinder."""
    return any(kind.startswith("relay: ") for kind in site.world.faults)


def _copies_known(site: "Site", members: list["Site"]) -> list[str]:
    """What is known of the copies below is what they are."""
    below = site.family.subtree(site.name)
    found = []
    for other in members:
        if other is site or other.name not in below or not other.up:
            continue
        stream = Stream(other.name, Channel.COPIES)
        theirs = {row.id: row.revision for row in other.journal.rows(stream).values() if row.leaf}
        ours = {row.id: row.revision for row in site.journal.rows(stream).values() if row.leaf}
        if theirs != ours:
            found.append(f"{site.name} does not know the copies at {other.name}")
    return found


def _reconciled(site: "Site") -> list[str]:
    """What ought to be here is here, or it is said why not; and there is nothing more to do."""
    found = []
    plan = site.reconciler.compare()
    now = site.now()
    for action in plan.actions:
        if isinstance(action, Fetch) and (_waits(action, now) or not _can_come(site, action.image_id)):
            continue
        if isinstance(action, Evict) and action.not_before is not None and action.not_before > now:
            continue  # it waits as what it makes room for does
        found.append(
            f"{site.name}: still to be done: {type(action).__name__} {action.image_id}: {action.reason}"
        )
    blocked = {block.image_id for block in plan.blocked}
    coming = {action.image_id for action in plan.actions if isinstance(action, Fetch)}
    copies = site.disk.database.copies
    for image_id, record in sorted(site.disk.database.records.items()):
        desire = site.reconciler.desire(image_id)
        copy = copies.get(image_id)
        whole = copy is not None and copy.state is Held.COMPLETE
        if desire is None or not desire.is_mirror or desire.withdrawn or whole:
            continue
        if copy is not None and not copy.cached and not _can_come(site, image_id):
            continue  # the home was sending it, and is gone
        if image_id not in blocked and image_id not in coming and record.home != site.name:
            found.append(f"{site.name}: {image_id} is not here, and nobody says why")
    return found


def _waits(fetch: Fetch, now: float) -> bool:
    """Whether it is said to be for later because of its window."""
    return fetch.not_before is not None and fetch.not_before > now and "waits for" in fetch.reason


def _can_come(site: "Site", image_id: str) -> bool:
    """Whether there are bytes of an image, and each site on their way here can hold them."""
    record = site.disk.database.records[image_id]
    for relay in _way(site, record.home):
        if not _belongs(site.world, relay):
            return False
        if relay.cache.whole(image_id) is not None:
            return True
        if not relay.cache.can_hold(record.image):
            return False
    return False


def _way(site: "Site", home: str) -> list["Site"]:
    """The sites from the next one to the home of an image, along the tree."""
    sites = site.world.sites
    up, down = _upwards(site), _upwards(sites[home])
    meeting = next(other for other in up if other in down)
    way = up[: up.index(meeting) + 1] + down[: down.index(meeting)][::-1]
    return way[1:]


def _upwards(site: "Site") -> list["Site"]:
    way = [site]
    while way[-1].upstream is not None:
        way.append(site.world.sites[way[-1].upstream])
    return way


def _differences(where: str, expected: _Objects, held: _Objects) -> list[str]:
    lost = sorted(expected.keys() - held.keys())
    invented = sorted(held.keys() - expected.keys())
    other = sorted(key for key in expected.keys() & held.keys() if expected[key] != held[key])
    return [
        f"{where}: {what} {kind} {object_id}"
        for what, keys in (("lost", lost), ("invented", invented), ("another", other))
        for kind, object_id in keys
    ]
