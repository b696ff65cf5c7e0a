"""Make a site what its placements say, and keep it so.

It looks at levels: at start, when something has changed, when time changes something, and every so often.
What there is to do is decided in `core.placement`; here it is carried out. A plan that cannot be carried out
to its end is made again.
"""

import asyncio
import logging
from dataclasses import replace

from skerry.catalog.copies import Copies, Rule
from skerry.core.clock import Clock
from skerry.core.copy import Copy, CopyState
from skerry.core.errors import Conflict, SkerryError
from skerry.core.placement import actions
from skerry.core.placement.guard import DEFAULT, Guard
from skerry.core.placement.knowledge import Report
from skerry.core.placement.plan import Approval, Plan
from skerry.core.placement.reconcile import reconcile
from skerry.stores.base import Store
from skerry.sync.observing import capacity, observe
from skerry.sync.planning import Planning
from skerry.sync.reporter import Reporter, reports
from skerry.transfer.cache import Cache
from skerry.transfer.queue import Order

log = logging.getLogger(__name__)

_LOOK = 0.5
"""Seconds between looks whether anything has changed."""

_EVERY = 60.0
"""Seconds after which all is compared in any case: files can be deleted by hand."""

_AGAIN = 5.0
"""Seconds after which a plan that failed is made again."""


class Reconciler:
    """The one that keeps a site, called `name`, in line. `run` does the work until it is cancelled.

    `reporter` tells the sites above what has come of it.
    """

    def __init__(
        self,
        name: str,
        planning: Planning,
        copies: Copies,
        store: Store,
        cache: Cache,
        clock: Clock,
        *,
        reporter: Reporter | None = None,
        guard: Guard = DEFAULT,
    ) -> None:
        self.name = name
        self._planning = planning
        self._copies = copies
        self._store = store
        self._cache = cache
        self._clock = clock
        self._reporter = reporter
        self._guard = guard
        self._seen: object = None
        self._due: float | None = None
        self._approval: Approval | None = None
        self.plan = Plan(())
        """The last plan: what was done, what could not be, and what waits for a person."""

    def approve(self, digest: str) -> None:
        """Let the deletions go ahead that wait for a person. Raises Conflict when they are others by now."""
        if self.plan.hold is None:
            raise Conflict(f"Nothing waits for a person at {self.name}.")
        self._approval = self.plan.hold.approve(digest)
        self._seen = None

    async def run(self) -> None:
        """Reconcile until cancelled."""
        while True:
            patience = _AGAIN
            try:
                await self.reconcile()
                patience = _EVERY
            except SkerryError as error:
                log.warning("placements: %s", error)
            except Exception:
                log.exception("placements could not be carried out; it is tried again")
            await self._until_due(patience)

    async def reconcile(self) -> Plan:
        """Compare once, and carry out what follows."""
        self._seen = self._state()
        planner = await self._planning.current()
        here = await observe(self._copies, self._store, self._cache)
        room = await capacity(self._store, self._cache)
        now = self._now()
        plan = reconcile(
            planner.site(self.name),
            planner.wanted(self.name, [copy.image_id for copy in here]),
            here,
            room,
            now,
            guard=self._guard,
            approval=self._approval,
            standing=self.plan.hold,
        )
        if plan.hold is not None and plan.hold != self.plan.hold:
            log.error("placements: %s; approve it with the digest %s", plan.hold.reason, plan.hold.digest)
        if self._approval is not None and self._approval.spent(plan):
            self._approval = None
        self.plan = plan
        moments = (plan.next_at, planner.next_change())
        self._due = min((at for at in moments if at is not None), default=None)
        self._cache.order({action.image_id: _order(action) for action in _fetches(plan)})
        for action in plan.actions:
            await self._carry_out(action, now)
        if self._reporter is not None:
            await self._reporter.report(await self.reports())
        return plan

    async def reports(self) -> dict[str, Report]:
        """What there is to say of each image here, at this moment."""
        here = await observe(self._copies, self._store, self._cache)
        return reports(here, self._cache.fetches(), self.plan, self._now())

    async def _carry_out(self, action: actions.Action, now: float) -> None:
        match action:
            case actions.Drop():
                log.info("image %s goes: %s", action.image_id, action.reason)
                await self._cache.remove(action.image_id)
            case actions.Evict():
                if action.not_before is None or action.not_before <= now:
                    log.info("image %s is evicted: %s", action.image_id, action.reason)
                    await self._cache.evict(action.image_id)
            case actions.Repair():
                log.warning("image %s is fetched again: %s", action.image_id, action.reason)
                await self._cache.renew(action.image_id)
                await self._cache.note(action.image_id, _wanted(action, now))
            case actions.Fetch():
                await self._cache.note(action.image_id, _wanted(action, now))
            case actions.Pin() | actions.Unpin():
                placed = isinstance(action, actions.Pin)
                await self._cache.note(action.image_id, lambda copy: copy and replace(copy, placed=placed))
            case actions.Adopt():
                rule, keep = action.rule, action.keep
                await self._cache.note(
                    action.image_id,
                    lambda copy: copy and replace(copy, mirrored_by=rule, keep=keep, unwanted_since=None),
                )
            case actions.Move():
                await self._move(action)
            case actions.Release():
                since = action.since
                await self._cache.note(action.image_id, lambda copy: copy and _released(copy, since))

    async def _move(self, move: actions.Move) -> None:
        """What cannot be moved stays where it is, and is no reason to leave the rest undone."""
        try:
            await self._cache.move(move.image_id, move.store)
            log.info("image %s is in another store: %s", move.image_id, move.reason)
        except SkerryError as error:
            log.warning("image %s stays in its store: %s", move.image_id, error)

    async def _until_due(self, patience: float) -> None:
        """Return when there is reason to look again, after `patience` seconds in any case."""
        ends = self._clock.monotonic() + patience
        while self._seen == self._state() and self._clock.monotonic() < ends:
            if self._due is not None and self._due <= self._now():
                return
            await asyncio.sleep(_LOOK)

    def _state(self) -> object:
        return self._planning.version, self._copies.version

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _fetches(plan: Plan) -> list[actions.Fetch]:
    return [action for action in plan.actions if isinstance(action, actions.Fetch)]


def _order(fetch: actions.Fetch) -> Order:
    return Order(fetch.priority, fetch.pinned, fetch.rate, fetch.not_before)


def _wanted(fetch: actions.Fetch, now: float) -> Rule:
    """A copy that is to be brought, by a placement if it names one."""

    def rule(copy: Copy | None) -> Copy:
        known = copy or Copy(fetch.image_id, CopyState.QUEUED, cached=True, since=now)
        if not fetch.rule:
            return known
        return replace(
            known,
            placed=known.placed or fetch.pinned,
            mirrored_by=fetch.rule,
            keep=fetch.keep,
            unwanted_since=None,
        )

    return rule


def _released(copy: Copy, since: float | None) -> Copy:
    if since is None:
        return replace(copy, mirrored_by="", keep=None, unwanted_since=None)
    return replace(copy, unwanted_since=since)
