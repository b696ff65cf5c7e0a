"""What goes wrong, when, and for how long. At the end of the faults everything works again, as a rule."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.sim.dishonest import Dishonest, Honest
from tests.sim.disk import File
from tests.sim.line import Line
from tests.sim.persons import bring_right, write_sites
from tests.sim.workload import carry_on

if TYPE_CHECKING:
    from tests.sim.site import Site
    from tests.sim.world import World

LABELS = (
    "journal.entered",
    "feed.applied",
    "feed.taken",
    "publish.bytes-visible",
    "publish.recorded",
    "delete.recorded",
    "keep.bytes-visible",
    "keep.recorded",
    "checkpoint.bytes-durable",
    "checkpoint.recorded",
    "evict.recorded",
    "requeue.recorded",
)
"""The write points at which a site may crash."""


def schedule(world: "World", until: float) -> None:
    """Draw what goes wrong up to a moment."""
    for _ in range(world.settings.faults):
        kind = world.rng.choice(_KINDS)
        world.after(world.rng.uniform(10.0, until - 60.0), lambda kind=kind: kind(world))  # type: ignore[misc]


def end(world: "World") -> None:
    """Nothing goes wrong any more; persons put right what only they can."""
    for _, line in sorted(world.lines.items()):
        line.is_cut, line.slowness = False, 1.0
        line.loses = line.repeats = line.delays = 0.0
    for _, site in sorted(world.sites.items()):
        site.crash_at = ""
        site.disk.full = False
        site.clock.offset = 0.0
        site.relay = Honest()
        if site.rewound:
            bring_right(site)
    write_sites(world)


def _some_line(world: "World") -> tuple[str, Line]:
    name = world.rng.choice(sorted(world.lines))
    return name, world.lines[name]


def _some_site(world: "World") -> "Site":
    return world.sites[world.rng.choice(sorted(world.sites))]


def _for_a_time(world: "World", least: float, most: float, undo: Callable[[], None]) -> None:
    world.after(world.rng.uniform(least, most), undo)


def _cut(world: "World") -> None:
    name, line = _some_line(world)
    line.is_cut = True
    world.fault("cut", name)
    _for_a_time(world, 5.0, 250.0, lambda: setattr(line, "is_cut", False))


def _slow(world: "World") -> None:
    name, line = _some_line(world)
    line.slowness = world.rng.uniform(5.0, 60.0)
    world.fault("slow", name)
    _for_a_time(world, 30.0, 300.0, lambda: setattr(line, "slowness", 1.0))


def _unreliable(kind: str) -> Callable[["World"], None]:
    def begin(world: "World") -> None:
        _, line = _some_line(world)
        setattr(line, kind, world.rng.uniform(0.1, 0.6))
        _for_a_time(world, 40.0, 250.0, lambda: setattr(line, kind, 0.0))

    return begin


def _crash(world: "World") -> None:
    _some_site(world).crash("power")


def _crash_at_a_write(world: "World") -> None:
    _some_site(world).crash_at = world.rng.choice(LABELS)


def _restore(world: "World") -> None:
    """A backup is made now, and brought back later; people go on before anybody has noticed."""
    site = _some_site(world)
    backup = site.disk.backup()

    def restore() -> None:
        if site.up and not site.rewound:
            site.restore(backup)
            world.fault("restored from a backup", site.name)
            person = world.rng.uniform(0.05, 0.4) * min(world.settings.keep_deleted, 600.0)
            world.after(person, lambda: bring_right(site))
            for _ in range(world.rng.randint(0, 6)):
                world.after(world.rng.uniform(2.0, person), lambda: carry_on(site))

    world.after(world.rng.uniform(20.0, 200.0), restore)


def _set_clock(world: "World") -> None:
    site = _some_site(world)
    if site.rewound:
        return
    site.clock.offset = world.rng.choice((-86400.0, -3600.0, -90.0, 90.0, 3600.0, 86400.0))
    world.fault("clock forward" if site.clock.offset > 0 else "clock back", site.name)
    _for_a_time(world, 30.0, 300.0, lambda: setattr(site.clock, "offset", 0.0))


def _fill_disk(world: "World") -> None:
    site = _some_site(world)
    site.disk.full = True
    _for_a_time(world, 20.0, 200.0, lambda: setattr(site.disk, "full", False))


def _damage(world: "World") -> None:
    """A file is deleted, or cut short, by hand; never the only one that there is."""
    site = _some_site(world)
    copies = site.disk.database.copies
    cached = [
        image_id for image_id in sorted(site.disk.files) if image_id in copies and copies[image_id].cached
    ]
    if not cached:
        return
    image_id = world.rng.choice(cached)
    if world.chance(0.5):
        del site.disk.files[image_id]
        world.fault("copy deleted by hand", site.name)
    else:
        site.disk.files[image_id] = File(site.disk.files[image_id].size // 2)
        world.fault("bad copy", site.name)


def _dishonest(world: "World") -> None:
    """A site that others hang at, or any, lies about what is not its own."""
    upper = sorted({line.upper for line in world.lines.values()} | set(world.lines))
    site = world.sites[world.rng.choice(upper)]
    site.relay = Dishonest()
    _for_a_time(world, 40.0, 250.0, lambda: setattr(site, "relay", Honest()))


_KINDS: tuple[Callable[["World"], None], ...] = (
    _cut,
    _cut,
    _slow,
    _unreliable("loses"),
    _unreliable("repeats"),
    _unreliable("delays"),
    _crash,
    _crash_at_a_write,
    _crash_at_a_write,
    _crash_at_a_write,
    _restore,
    _set_clock,
    _fill_disk,
    _damage,
    _dishonest,
    _dishonest,
)

KINDS = frozenset(
    {
        "cut", "slow", "lost answers", "repeated requests", "late requests", "clock forward", "clock back",
        "crash: power", "crash: restored", "restored from a backup", "disk full",
        "copy deleted by hand", "bad copy",
        "relay: drops", "relay: withholds", "relay: replays", "relay: replays_without_end", "relay: mixes",
        "relay: swaps_streams", "relay: forges", "relay: forges_veils", "relay: changes_a_letter",
        "relay: changes bytes",
        *(f"crash: {label}" for label in LABELS),
    }
)  # fmt: skip
"""What has to have happened in enough runs."""
