"""One site: what of it survives a crash, and what does not."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from skerry.core.errors import NoSpace, SkerryError
from skerry.core.signing import PublicKey
from tests.sim.cache import Cache
from tests.sim.dishonest import Honest, Relay
from tests.sim.disk import Database, Disk
from tests.sim.family import Family
from tests.sim.follower import Follower
from tests.sim.journal import Journal
from tests.sim.keys import SimKey
from tests.sim.line import Handle, Line, Reply
from tests.sim.reconciler import Reconciler
from tests.sim.sender import Sender
from tests.sim.source import Source
from tests.sim.world import EPOCH

if TYPE_CHECKING:
    from tests.sim.world import World

_RESTART = (1.0, 60.0)
"""Seconds until a crashed site is up again."""


class Crash(BaseException):
    """The site stops here. No rule may catch it."""


class SiteClock:
    """The clock of a site: its time of day can be set, its seconds only go on."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.offset = 0.0

    def now(self) -> datetime:
        """The time of day."""
        return self._world.wall(self.offset)

    def monotonic(self) -> float:
        """Seconds of virtual time."""
        return self._world.now


class Site:
    """A site, up or down. `upstream` is None at the centre."""

    journal: Journal
    family: Family
    cache: Cache
    source: Source
    follower: Follower | None
    sender: Sender | None
    reconciler: Reconciler

    def __init__(self, world: "World", name: str, upstream: str | None, *, pinned: PublicKey | None) -> None:
        """`pinned` is the key by which it knows the centre; None at the centre itself."""
        self.world = world
        self.name = name
        self.upstream = upstream
        self.key = SimKey(name)
        self.pinned = pinned or self.key.public
        self.clock = SiteClock(world)
        self.disk = Disk()
        self.relay: Relay = Honest()
        self.rewound = False
        """Whether it was restored from a backup, and no person has begun its records anew since."""
        self.space = 0
        """Bytes that its cache may take."""
        self.up = False
        self.boots = 0
        self.crash_at = ""
        """The write point at which it crashes next."""
        self.line: Line | None = None
        if upstream is not None:
            self.line = world.lines[name] = Line(world, self, upstream)
        world.sites[name] = self

    # Life

    def start(self) -> None:
        """Come up with what the disk has."""
        self.boots += 1
        self.up = True
        self.world.note(self.name, "starts")
        self.journal = Journal(self)
        self.family = Family(self)
        self.cache = Cache(self)
        self.source = Source(self)
        self.reconciler = Reconciler(self)
        self.follower = self.sender = None
        if self.line is not None:
            self.follower = Follower(self, self.line)
            self.sender = Sender(self, self.line)

        def begin() -> None:
            self.cache.recover()
            self._keep_house()
            self.reconciler.start()
            if self.follower is not None and self.sender is not None:
                self.follower.step()
                self.sender.step()

        self.do(begin)

    def crash(self, why: str, *, back_after: float | None = None) -> None:
        """Stop at once, and start again later."""
        if not self.up:
            return
        self.up = False
        self.world.fault(f"crash: {why}", self.name)
        pause = self.world.rng.uniform(*_RESTART) if back_after is None else back_after
        self.world.after(pause, self.start)

    def reached(self, label: str) -> None:
        """A write point has been passed."""
        if self.crash_at == label:
            self.crash_at = ""
            raise Crash(label)

    def do(self, what: Callable[[], None]) -> None:
        """Let the site do something; if it crashes over it, it crashes."""
        try:
            what()
        except Crash as crash:
            self.crash(str(crash))

    def alive(self, what: Callable[[Any], None]) -> Callable[[Any], None]:
        """`what`, unless the site has stopped meanwhile."""
        boot = self.boots

        def guarded(value: Any) -> None:
            if self.up and self.boots == boot:
                self.do(lambda: what(value))

        return guarded

    def after(self, delay: float, what: Callable[[], None]) -> None:
        """Have `what` happen here, unless the site stops before."""
        guarded = self.alive(lambda _: what())
        self.world.after(delay, lambda: guarded(None))

    # Its database

    @contextmanager
    def transaction(self, *, makes_room: bool = False) -> Iterator[Database]:
        """Change the tables, all or nothing. Raises NoSpace on a full disk, unless it makes room."""
        if self.disk.full and not makes_room:
            self.world.fault("disk full", self.name)
            raise NoSpace("The disk is full.")
        database = self.disk.database.begin()
        yield database
        self.disk.database = database

    def restore(self, backup: Database) -> None:
        """Start again with an old database; the files are those of today."""
        self.crash("restored", back_after=1.0)
        self.disk.database = backup
        self.rewound = True
        self.clock.offset = 0.0
        held = ((stream, row) for stream, ledger in backup.ledgers.items() for row in ledger.rows.values())
        self.world.truth.goes_back(self.name, held)

    # What happens to it

    def now(self) -> float:
        """The time of day in seconds since the epoch, as placements count."""
        return EPOCH + self.world.now + self.clock.offset

    def wake(self) -> None:
        """Something has landed in the journal."""
        self.family.learn()
        self.source.wake()
        self.reconciler.look()
        if self.sender is not None:
            self.sender.wake()

    def receive(self, handle: Handle, name: str, key: PublicKey, reply: Reply) -> None:
        """A request of a site below."""
        try:
            self.family.check(name, key)
            handle(self, reply)
        except SkerryError as error:
            reply(error)

    def _keep_house(self) -> None:
        """What is done every so often."""
        self.after(120.0, self._keep_house)
        self.cache.sweep()
        self.journal.prune(self.world.settings.keep_deleted)
