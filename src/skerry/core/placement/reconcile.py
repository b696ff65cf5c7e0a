"""Compare what ought to be at a site with what is there, and say what has to be done.

It looks at levels and not at events: whatever happened, the same state gives the same plan, and once a plan
has been carried out the next one is empty. So it may run at start, at each change, and every so often.

What a client or a person has asked for beside the placements (what is queued or on its way and not mirrored)
is left to the cache. What has its home at the site is never touched.
"""

from collections.abc import Container, Iterable, Iterator, Mapping

from skerry.core.placement import obstacles
from skerry.core.placement.actions import Action, Cause, Drop, Evict, Fetch
from skerry.core.placement.arrivals import Arrival, admit, arrivals, is_broken
from skerry.core.placement.guard import DEFAULT, Guard
from skerry.core.placement.observed import Capacity, Held, Observed, PinnedBy
from skerry.core.placement.plan import Approval, Hold, Plan
from skerry.core.placement.planner import Wanted
from skerry.core.placement.room import Room
from skerry.core.placement.rule import Mode
from skerry.core.placement.sites import Site, SiteState
from skerry.core.placement.upkeep import is_settled, upkeep


def reconcile(
    site: Site,
    wanted: Mapping[str, Wanted],
    copies: Iterable[Observed],
    capacity: Capacity,
    now: float,
    *,
    guard: Guard = DEFAULT,
    approval: Approval | None = None,
    standing: Hold | None = None,
) -> Plan:
    """The plan for a site.

    `wanted` is `Planner.wanted` for the ids of `copies`: a copy of an image that is not in it is taken for
    one of a deleted image. `standing` is the hold of the last plan, if there was one: it ends when a person
    has approved what it holds (`approval`, from `Hold.approve`), or when there is nothing left to be deleted.
    """
    here = {copy.image_id: copy for copy in copies}
    unsettled = {
        image_id: copy for image_id, copy in here.items() if not is_settled(copy, wanted.get(image_id))
    }
    notes, drops = _upkeep(wanted, unsettled, now, capacity.stores)
    leaving = {drop.image_id for drop in drops}
    lacking = {key: want for key, want in wanted.items() if key in unsettled or key not in here}
    coming = arrivals(lacking, unsettled, leaving)
    blocked = [obstacles.at_home(copy.image_id) for copy in unsettled.values() if _is_lost(copy, wanted)]
    if site.state is SiteState.DRAINING:
        blocked += [obstacles.draining(arrival.image_id) for arrival in coming]
        coming = []
    victims = _victims(wanted, unsettled, leaving)
    approved = approval.deletions if approval else frozenset()

    def bring(*, freely: bool) -> tuple[list[Fetch | Evict], list[Arrival]]:
        """What comes, with everything deleted that may be, or only what a person has approved."""
        room = Room(here.values(), capacity, victims)
        for drop in drops:
            if freely or drop.deletion in approved:
                room.give_back(here[drop.image_id].taken)
        return admit(
            coming,
            room,
            lambda image_id: freely or (Cause.ROOM, image_id) in approved,
            now,
        )

    bringing, refused = bring(freely=True)
    deleting: list[Drop | Evict] = [*drops, *(action for action in bringing if isinstance(action, Evict))]
    unapproved = [action for action in deleting if action.deletion not in approved]
    hold = guard.hold(site.name, unapproved, here, now, standing)
    without_room = {arrival.image_id for arrival in refused}
    if hold is not None:
        bringing, refused = bring(freely=False)
        drops = [drop for drop in drops if drop.deletion in approved]
    blocked += [
        obstacles.no_room(arrival.image_id, arrival.need)
        if hold is None or arrival.image_id in without_room
        else obstacles.held(arrival.image_id, hold)
        for arrival in refused
    ]
    return Plan(
        actions=(*drops, *notes, *bringing),
        blocked=tuple(blocked),
        hold=hold,
        next_at=min(_moments(wanted, unsettled, bringing, now), default=None),
    )


def _upkeep(
    wanted: Mapping[str, Wanted], here: Mapping[str, Observed], now: float, stores: Container[str]
) -> tuple[list[Action], list[Drop]]:
    notes: list[Action] = []
    drops: list[Drop] = []
    for copy in here.values():
        want = wanted.get(copy.image_id)
        if copy.cached:
            for action in upkeep(copy, want.desire if want else None, now, stores):
                if isinstance(action, Drop):
                    drops.append(action)
                else:
                    notes.append(action)
    return notes, drops


def _victims(wanted: Mapping[str, Wanted], here: Mapping[str, Observed], leaving: set[str]) -> list[Observed]:
    """Copies that may be evicted, first the least recently used, last those that are kept for a time.

    Not what is mirrored, pinned, in use or at home here, nor what is deactivated and so could not come back.
    """
    found = []
    for copy in here.values():
        want = wanted.get(copy.image_id)
        if want is None or want.desire.mode is not Mode.ON_DEMAND or copy.image_id in leaving:
            continue
        stays = copy.busy or not copy.cached or copy.pinned_by is PinnedBy.PERSON
        stays = stays or want.desire.pinned or want.desire.withdrawn
        if not stays and copy.state in (Held.COMPLETE, Held.BAD):
            found.append(copy)
    return sorted(
        found, key=lambda copy: (bool(copy.mirrored_by and copy.keep), copy.last_used, copy.image_id)
    )


def _is_lost(copy: Observed, wanted: Mapping[str, Wanted]) -> bool:
    """Whether a copy is broken that comes from nowhere else."""
    if copy.cached or (want := wanted.get(copy.image_id)) is None:
        return False
    return is_broken(copy, want.size)


def _moments(
    wanted: Mapping[str, Wanted], here: Mapping[str, Observed], bringing: Iterable[Fetch | Evict], now: float
) -> Iterator[float]:
    """When time alone changes the plan."""
    for copy in here.values():
        if copy.unwanted_since is not None and copy.drop_at is not None and copy.drop_at > now:
            yield copy.drop_at
    for action in bringing:
        if action.not_before is not None:
            yield action.not_before
        elif isinstance(action, Fetch) and action.rule:
            window = wanted[action.image_id].desire.window
            if window is not None:
                yield window.closes(now)
