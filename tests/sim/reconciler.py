"""Makes a site what its placements say, as `sync.reconciler` does; `core.placement` says what that takes."""

from dataclasses import replace
from typing import TYPE_CHECKING

from skerry.core.errors import SkerryError
from skerry.core.feed.entry import Kind, Stream
from skerry.core.image import Image
from skerry.core.placement import actions
from skerry.core.placement.desire import Desire
from skerry.core.placement.document import parse_one
from skerry.core.placement.guard import Guard
from skerry.core.placement.observed import Capacity, Held, Observed
from skerry.core.placement.plan import Approval, Plan
from skerry.core.placement.planner import Planner
from skerry.core.placement.reconcile import reconcile
from skerry.core.placement.rule import Placement, ranked
from tests.sim.disk import Copy
from tests.sim.family import CENTRE
from tests.sim.truth import BrokenPromise

if TYPE_CHECKING:
    from tests.sim.site import Site

EVERY = 150.0
SOON = 4.0
"""Seconds between comparisons in any case, and until one after a change."""

GUARD = Guard(few=2)
"""The product's share, and fewer copies that do not count, as there are few here."""


class Reconciler:
    """Compares and carries out."""

    def __init__(self, site: "Site") -> None:
        self._site = site
        self._planner = Planner((), (), (), site.now())
        self._told: object = None
        self._read: dict[str, tuple[object, Placement]] = {}
        self._known: dict[str, Image] = {}
        self._due = False
        self._approval: Approval | None = None
        self.plan = Plan(())

    def start(self) -> None:
        """Compare, now and every so often."""
        self._site.after(EVERY, self.start)
        self.look()

    def look(self) -> None:
        """Something has changed."""
        if not self._due:
            self._due = True
            self._site.after(SOON, self.reconcile)

    def desire(self, image_id: str) -> Desire | None:
        """What ought to be of an image here, as of the last look."""
        if self._site.name not in {site.name for site in self._planner.sites}:
            return None
        return self._planner.desire(image_id, self._site.name)

    def approve(self) -> None:
        """A person approves what waits for one."""
        if self.plan.hold is not None:
            self._approval = self.plan.hold.approve(self.plan.hold.digest)
            self.look()

    def observe(self) -> list[Observed]:
        """The copies, as reconciling sees them."""
        return [self._observed(copy) for _, copy in sorted(self._site.disk.database.copies.items())]

    def compare(self) -> Plan:
        """What there is to do."""
        self._catch_up()
        here = self.observe()
        wanted = self._planner.wanted(self._site.name, [copy.image_id for copy in here])
        return reconcile(
            self._planner.site(self._site.name),
            wanted,
            here,
            Capacity(self._site.space, 0 if self._site.disk.full else None),
            self._site.now(),
            guard=GUARD,
            approval=self._approval,
            standing=self.plan.hold,
        )

    def reconcile(self) -> None:
        """Compare once, and carry out what follows."""
        self._due = False
        approval = self._approval
        plan = self.compare()
        self._check_guard(plan, approval)
        if self._approval is not None and self._approval.spent(plan):
            self._approval = None
        self.plan = plan
        now = self._site.now()
        cache = self._site.cache
        cache.orders = {a.image_id: a for a in plan.actions if isinstance(a, actions.Fetch)}
        try:
            for action in plan.actions:
                self._carry_out(action, now)
        except SkerryError as error:
            self._site.world.note(self._site.name, f"placements: {error}")
        cache.work()
        moments = [at for at in (plan.next_at, self._planner.next_change()) if at is not None]
        if moments and now < min(moments) < now + EVERY:
            self._site.after(min(moments) - now, self.look)

    def _catch_up(self) -> None:
        site, planner = self._site, self._planner
        version = site.journal.version(Stream(CENTRE))
        if version is not self._told:
            self._told = version
            placements = ranked(self._placements())
            if placements != planner.placements:
                planner = planner.with_placements(placements)
        planner.put_site(site.family.placed())
        records = site.disk.database.records
        for image_id, record in records.items():
            if self._known.get(image_id) is not record.image:
                planner.update(record.image)
                self._known[image_id] = record.image
        for image_id in [known for known in self._known if known not in records]:
            planner.remove(image_id)
            del self._known[image_id]
        planner.advance(site.now())
        self._planner = planner

    def _placements(self) -> list[Placement]:
        """The placements of the centre; each is read once."""
        bodies = self._site.journal.objects(Kind.PLACEMENT, Stream(CENTRE))
        before, self._read = self._read, {}
        for name, body in bodies.items():
            known = before.get(name)
            self._read[name] = known if known and known[0] is body else (body, parse_one(body))
        return [placement for _, placement in self._read.values()]

    def _check_guard(self, plan: Plan, approval: Approval | None) -> None:
        """Never more than the guard's share is deleted without approval."""
        whole = {c.image_id for c in self.observe() if c.cached and c.state is Held.COMPLETE}
        approved = approval.deletions if approval else frozenset()
        losing = sum(
            action.image_id in whole
            for action in plan.actions
            if isinstance(action, actions.Drop | actions.Evict) and action.deletion not in approved
        )
        if losing > GUARD.few and losing > GUARD.share * len(whole):
            raise BrokenPromise(f"{self._site.name} deletes {losing} of {len(whole)} copies and asks nobody")
        if plan.hold is not None:
            self._site.world.deeds["plans held"] += 1

    def _carry_out(self, action: actions.Action, now: float) -> None:
        cache, image_id = self._site.cache, action.image_id
        self._site.world.note(self._site.name, f"{type(action).__name__} {image_id}: {action.reason}")
        match action:
            case actions.Drop():
                cache.remove(image_id)
            case actions.Evict():
                if action.not_before is None or action.not_before <= now:
                    cache.evict(image_id)
            case actions.Fetch():
                if isinstance(action, actions.Repair):
                    self._site.world.deeds["repairs"] += 1
                    cache.requeue(image_id)
                self._note(action, now)
            case actions.Pin() | actions.Unpin():
                self._change(image_id, placed=isinstance(action, actions.Pin))
            case actions.Adopt():
                self._change(image_id, mirrored_by=action.rule, keep=action.keep, unwanted_since=None)
            case actions.Release():
                if action.since is None:
                    self._change(image_id, mirrored_by="", keep=None, unwanted_since=None)
                else:
                    self._change(image_id, unwanted_since=action.since)

    def _note(self, fetch: actions.Fetch, now: float) -> None:
        record = self._site.disk.database.records[fetch.image_id]
        with self._site.transaction() as tables:
            known = tables.copies.get(fetch.image_id) or self._site.cache.new(record.image)
            if fetch.rule:
                known = replace(
                    known,
                    placed=known.placed or fetch.pinned,
                    mirrored_by=fetch.rule,
                    keep=fetch.keep,
                    unwanted_since=None,
                )
            tables.copies[fetch.image_id] = known

    def _change(self, image_id: str, **fields: object) -> None:
        with self._site.transaction() as tables:
            known = tables.copies.get(image_id)
            if known is not None:
                tables.copies[image_id] = replace(known, **fields)  # type: ignore[arg-type]

    def _observed(self, copy: Copy) -> Observed:
        cache, file = self._site.cache, self._site.disk.files.get(copy.image_id)
        bad = copy.state is Held.COMPLETE and (file is None or file.size != copy.size)
        return Observed(
            image_id=copy.image_id,
            state=Held.BAD if bad else copy.state,
            size=copy.size,
            here=copy.durable,
            cached=copy.cached,
            pinned_by=copy.pinned_by,
            busy=cache.is_busy(copy.image_id),
            last_used=copy.last_used,
            since=copy.since,
            mirrored_by=copy.mirrored_by,
            keep=copy.keep,
            unwanted_since=copy.unwanted_since,
            retry_at=cache.retry_at(copy.image_id),
            error=cache.errors.get(copy.image_id, ""),
        )
