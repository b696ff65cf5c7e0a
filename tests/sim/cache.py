"""The copies of a site and their bytes, as `transfer.cache` and `transfer.publish` keep them."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from skerry.core.copy import Copy as CoreCopy
from skerry.core.copy import CopyState
from skerry.core.errors import NoSpace, NotFound, SkerryError
from skerry.core.eviction import make_room, occupied
from skerry.core.feed.entry import Channel, Kind
from skerry.core.feed.follow import Change
from skerry.core.image import Image
from skerry.core.placement.actions import Fetch as Order
from skerry.core.placement.observed import Held
from skerry.core.placement.rule import Mode
from skerry.core.retries import Retries
from tests.sim.deposits import Deposits
from tests.sim.disk import Copy, Database, File, Record
from tests.sim.fetch import Fetch, start
from tests.sim.truth import BrokenPromise

if TYPE_CHECKING:
    from tests.sim.site import Site

PRESTAGES = 2
FIRST_RETRY, LAST_RETRY = 30.0, 600.0
_STATE = {Held.QUEUED: CopyState.QUEUED, Held.PARTIAL: CopyState.PARTIAL, Held.COMPLETE: CopyState.COMPLETE}


class Cache:
    """What is here, on its way here, and read."""

    def __init__(self, site: "Site") -> None:
        self.site = site
        self.retries = Retries(first=FIRST_RETRY, longest=LAST_RETRY)
        self.errors: dict[str, str] = {}
        self.orders: dict[str, Order] = {}
        self.fetches: dict[str, Fetch] = {}
        self.deposits = Deposits(self)
        self._reading: Counter[str] = Counter()

    @property
    def copies(self) -> dict[str, Copy]:
        """All of them."""
        return self.site.disk.database.copies

    def is_busy(self, image_id: str) -> bool:
        """Whether somebody reads a copy, or waits for it."""
        return self._reading[image_id] > 0

    def retry_at(self, image_id: str) -> float | None:
        """When it is tried again after a failure, by the site's clock."""
        pause = self.retries.pause(image_id, self.site.world.now)
        return None if pause is None else self.site.now() + pause

    # Bytes that are here

    def whole(self, image_id: str) -> File | None:
        """The file of a copy that is whole, as far as its size says."""
        copy, record = self.copies.get(image_id), self.site.disk.database.records.get(image_id)
        file = self.site.disk.files.get(image_id)
        if copy is None or record is None or file is None or copy.state is not Held.COMPLETE:
            return None
        return file if file.size == copy.size == record.image.size else None

    def read(self, image_id: str, seconds: float) -> None:
        """Somebody reads a copy for a while."""
        self._reading[image_id] += 1

        def end() -> None:
            self._reading[image_id] -= 1

        self.site.after(seconds, end)

    def boot(self, image_id: str) -> None:
        """A client asks for an image."""
        site, world = self.site, self.site.world
        record = site.disk.database.records.get(image_id)
        if record is None:
            world.deeds["boots of what is not known"] += 1
            return
        file = self.whole(image_id)
        if file is not None:
            if not file.right:
                raise BrokenPromise(f"{site.name} serves wrong bytes of {image_id} as whole")
            world.deeds["boots from here"] += 1
            world.note(site.name, f"serves {image_id}")
            with site.transaction(makes_room=True) as database:
                database.copies[image_id] = replace(database.copies[image_id], last_used=site.now())
            self.read(image_id, world.rng.uniform(1.0, 60.0))
            return
        world.deeds["boots from above"] += 1
        self.read(image_id, 20.0)
        try:
            start(self, record.image, wanted=False)
        except SkerryError as error:
            world.note(site.name, f"cannot fetch {image_id}: {error}")

    # Bytes that come

    def work(self) -> None:
        """Begin to fetch what is due."""
        now = self.site.now()
        due = []
        for copy in self.copies.values():
            order = self.orders.get(copy.image_id)
            waits = order is not None and order.not_before is not None and order.not_before > now
            coming = copy.cached and copy.state in (Held.QUEUED, Held.PARTIAL)
            if coming and not waits and self.retries.due(copy.image_id, self.site.world.now):
                priority = order.priority if order else 0
                due.append((not copy.pinned_by, -priority, copy.since, copy.image_id))
        for *_, image_id in sorted(due):
            if len(self.fetches) >= PRESTAGES:
                return
            record = self.site.disk.database.records.get(image_id)
            if image_id in self.fetches:
                continue
            if record is None:
                self.remove(image_id)
                continue
            try:
                start(self, record.image, wanted=True)
            except SkerryError as error:
                self.failed(image_id, error)

    def failed(self, image_id: str, error: SkerryError) -> None:
        """A try has failed; the next one is later."""
        self.retries.failed(image_id, self.site.world.now)
        self.errors[image_id] = str(error)

    def forget_failure(self, image_id: str) -> None:
        """It is here, or no more."""
        self.retries.forget(image_id)
        self.errors.pop(image_id, None)

    def admit(self, image: Image) -> None:
        """Promise room to an image, unless it has been before. Raises NoSpace."""
        copy = self.copies.get(image.id)
        if copy is not None and copy.state is Held.PARTIAL and copy.size == image.size:
            return
        if copy is not None and copy.state is not Held.QUEUED:
            self.requeue(image.id)
        self.make_room(image.size or 0)
        with self.site.transaction() as database:
            known = database.copies.get(image.id) or self.new(image)
            database.copies[image.id] = replace(known, state=Held.PARTIAL, size=image.size or 0, durable=0)
        self.check_limit()

    def make_room(self, need: int, *, spare: Collection[str] = ()) -> None:
        """Evict what is least recently used, none of `spare`. Raises NoSpace."""
        if self.site.disk.full:
            raise NoSpace("The disk is full.")
        known = [_core(copy) for copy in self.copies.values()]
        busy = {image_id for image_id, count in self._reading.items() if count}
        for image_id in make_room(known, need, limit=self.site.space, busy=busy | set(spare)):
            self.evict(image_id)

    def mirrored(self) -> set[str]:
        """Copies that ought to be here."""
        found = set()
        for image_id in self.copies:
            desire = self.site.reconciler.desire(image_id)
            if desire is not None and desire.is_mirror:
                found.add(image_id)
        return found

    def can_hold(self, image: Image) -> bool:
        """Whether an image could be here, if only on its way to others."""
        desire = self.site.reconciler.desire(image.id)
        if desire is not None and desire.mode is Mode.NEVER:
            return False
        copy = self.copies.get(image.id)
        if self.site.upstream is None or (copy is not None and copy.state is Held.PARTIAL):
            return True
        record = self.site.disk.database.records.get(image.id)
        if record is None:
            return False
        known = [_core(copy) for copy in self.copies.values()]
        spare: Collection[str] = ()
        if not self.source_of(record):
            if desire is None or not desire.is_mirror:  # nobody gives way to what only passes through
                return occupied(known) + (image.size or 0) <= self.site.space
            spare = self.mirrored()
        try:
            make_room(known, image.size or 0, limit=self.site.space, busy=spare)
        except NoSpace:
            return False
        return True

    def new(self, image: Image) -> Copy:
        """The row of an image that is to come."""
        now = self.site.now()
        return Copy(image.id, Held.QUEUED, image.size or 0, last_used=now, since=now)

    def check_limit(self) -> None:
        """The space limit is never exceeded."""
        taken = sum(c.size for c in self.copies.values() if c.cached and c.state is not Held.QUEUED)
        if taken > self.site.space:
            raise BrokenPromise(f"{self.site.name} takes {taken} of {self.site.space}")

    # The write points

    def publish(self, database: Callable[[Database], None], image_id: str, size: int) -> None:
        """At its home: bytes durable, then record and journal entry in one transaction."""
        site = self.site
        site.disk.files[image_id] = File(size)
        site.reached("publish.bytes-visible")
        with site.transaction() as tables:
            self.put_on(tables, Copy(image_id, Held.COMPLETE, size, size, cached=False, since=site.now()))
            database(tables)
        site.reached("publish.recorded")

    def keep(self, image_id: str, *, cached: bool) -> None:
        """Bytes that were verified become a copy."""
        site = self.site
        file = site.disk.partials.pop(image_id)
        assert file.right
        site.disk.files[image_id] = file
        site.reached("keep.bytes-visible")
        with site.transaction() as tables:
            known = tables.copies[image_id]
            self.put_on(
                tables,
                replace(
                    known,
                    state=Held.COMPLETE,
                    durable=file.size,
                    cached=cached,
                    since=site.now(),
                    last_used=site.now(),
                ),
            )
        site.reached("keep.recorded")
        site.world.deeds["copies kept"] += 1
        self.forget_failure(image_id)
        self.check_limit()
        site.reconciler.look()

    def checkpoint(self, image_id: str, file: File) -> None:
        """What has come of an image survives a crash."""
        site = self.site
        site.disk.partials[image_id] = file
        site.reached("checkpoint.bytes-durable")
        with site.transaction() as tables:
            tables.copies[image_id] = replace(tables.copies[image_id], durable=file.size)
        site.reached("checkpoint.recorded")

    def remove(self, image_id: str) -> None:
        """End the fetch and remove the copy, if there is one."""
        self.fetches.pop(image_id, None)
        self.forget_failure(image_id)
        if image_id not in self.copies:
            return
        with self.site.transaction(makes_room=True) as tables:
            self.drop_on(tables, image_id)
        self.site.reached("evict.recorded")
        self._remove_bytes(image_id)

    def evict(self, image_id: str) -> None:
        """Remove a copy for another one's sake."""
        copy = self.copies.get(image_id)
        if copy is None:
            return
        if copy.pinned_by or not copy.cached or self.is_busy(image_id):
            raise BrokenPromise(
                f"{self.site.name} evicts {image_id}, which is pinned, in use or the image itself"
            )
        self.site.world.deeds["evictions"] += 1
        self.remove(image_id)

    def requeue(self, image_id: str) -> None:
        """Give up the bytes, and fetch them again."""
        self.fetches.pop(image_id, None)
        with self.site.transaction(makes_room=True) as tables:
            known = tables.copies[image_id]
            self.put_on(tables, replace(known, state=Held.QUEUED, durable=0))
        self.site.reached("requeue.recorded")
        self._remove_bytes(image_id)

    def delete(self, image_id: str) -> None:
        """At its home: the tombstone first, then the bytes."""
        with self.site.transaction(makes_room=True) as tables:
            tables.records.pop(image_id)
            self.drop_on(tables, image_id)
            self.site.journal.write_on(tables, Kind.IMAGE, image_id, None, urgent=True)
        self.site.reached("delete.recorded")
        self._remove_bytes(image_id)

    def _remove_bytes(self, image_id: str) -> None:
        self.site.disk.files.pop(image_id, None)
        self.site.disk.partials.pop(image_id, None)

    def recover(self) -> None:
        """Bring bytes and rows in step at start, as `Publisher.recover` does."""
        disk = self.site.disk
        for image_id in sorted(disk.files):
            row = self.copies.get(image_id)
            if row is None or row.state is Held.QUEUED:
                del disk.files[image_id]
            elif row.state is Held.PARTIAL:
                disk.partials[image_id] = disk.files.pop(image_id)
        for image_id in sorted(disk.partials):
            row = self.copies.get(image_id)
            if row is None or row.state is not Held.PARTIAL:
                del disk.partials[image_id]
            elif disk.partials[image_id].size > row.durable:
                disk.cut(image_id, row.durable)
        for row in [copy for copy in self.copies.values() if not self._has_bytes(copy)]:
            if row.pinned:
                self.requeue(row.image_id)
            else:
                self.remove(row.image_id)

    def _has_bytes(self, copy: Copy) -> bool:
        if copy.state is Held.COMPLETE:
            file = self.site.disk.files.get(copy.image_id)
            return file is not None and file.size == copy.size
        return True

    def put_on(self, database: Database, copy: Copy) -> None:
        """Keep a row, and tell the sites above how the copy is."""
        database.copies[copy.image_id] = copy
        body = {"state": copy.state.value, "size": copy.size}
        self.site.journal.write_on(database, Kind.COPY, copy.image_id, body, channel=Channel.COPIES)

    def drop_on(self, database: Database, image_id: str) -> None:
        """Forget a row, and tell the sites above."""
        if database.copies.pop(image_id, None) is not None:
            self.site.journal.write_on(database, Kind.COPY, image_id, None, channel=Channel.COPIES)

    # What is no more, and what is wanted above

    def tell_gone(self, changes: Sequence[Change]) -> None:
        """Remove the bytes of images that are no more."""
        for change in changes:
            if change.kind is Kind.IMAGE and change.id not in self.site.disk.database.records:
                self.remove(change.id)

    def sweep(self) -> None:
        """Housekeeping: what a crash has left of images that are no more."""
        for image_id in sorted(self.copies):
            if image_id not in self.site.disk.database.records:
                self.remove(image_id)

    def lacking(self, homes: Collection[str]) -> list[str]:
        """Images of these homes whose bytes are wanted from below."""
        found = []
        for image_id, record in sorted(self.site.disk.database.records.items()):
            if record.home in homes and self.deposits.wants(record.image):
                found.append(image_id)
        return found

    def send_up(self, wanted: Sequence[str]) -> None:
        """The site above wants the bytes of these."""
        self.deposits.send_up(wanted)

    def source_of(self, record: Record) -> bool:
        """Whether bytes of an image come from above."""
        return record.home not in self.site.family.subtree(self.site.name)

    def check_home(self, name: str, image_id: str) -> Image:
        """An image of the part of the tree below `name`. Raises NotFound."""
        record = self.site.disk.database.records.get(image_id)
        if record is None or record.home not in self.site.family.subtree(name):
            raise NotFound(f"Image {image_id} is not one of {name}'s.")
        return record.image


def _core(copy: Copy) -> CoreCopy:
    return CoreCopy(
        copy.image_id,
        _STATE[copy.state],
        size=copy.size,
        durable=copy.durable,
        cached=copy.cached,
        pinned=copy.pinned_by is not None,
        last_used=copy.last_used,
        since=copy.since,
    )
