"""What holds for every plan of a site."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.core.placement.actions import Drop, Evict, Fetch
from skerry.core.placement.desire import Desire
from skerry.core.placement.guard import Guard
from skerry.core.placement.observed import Capacity, Held, Observed, PinnedBy
from skerry.core.placement.plan import Plan
from skerry.core.placement.planner import Wanted
from skerry.core.placement.reconcile import reconcile
from skerry.core.placement.rule import Mode
from skerry.core.placement.sites import Site, SiteState
from skerry.core.placement.window import Window
from tests.unit.placement import drawn
from tests.unit.placement.stage import NOW, apply, identity

desires = st.sampled_from(
    [
        None,
        Desire(),
        Desire(),
        Desire(rule="a", wished=True),
        Desire(rule="a", pinned=True),
        Desire(withdrawn=True),
        Desire(Mode.NEVER, rule="a"),
        Desire(Mode.MIRROR, rule="a"),
        Desire(Mode.MIRROR, rule="a", priority=1, keep=0.0),
        Desire(Mode.MIRROR, rule="b", pinned=True, keep=3600.0),
        Desire(Mode.MIRROR, rule="b", window=Window.parse("22:00-06:00")),
        Desire(Mode.MIRROR, rule="b", withdrawn=True),
    ]
)

wants = st.builds(
    lambda size, created, desire: desire and Wanted(size, created, desire),
    st.integers(1, 20),
    st.integers(0, 3).map(float),
    desires,
)

copies = st.none() | st.builds(
    Observed,
    st.just(""),
    st.sampled_from([*Held, Held.COMPLETE, Held.COMPLETE, Held.COMPLETE]),
    size=st.integers(1, 20),
    cached=st.sampled_from([True, True, True, True, False]),
    pinned_by=st.sampled_from([None, None, None, *PinnedBy]),
    busy=st.sampled_from([False, False, False, True]),
    last_used=st.integers(0, 9).map(float),
    mirrored_by=st.sampled_from(["", "", "a", "gone"]),
    keep=drawn.maybe(st.sampled_from([0.0, 3600.0])),
    unwanted_since=drawn.maybe(st.sampled_from([NOW - 7200, NOW - 1800])),
    retry_at=drawn.maybe(st.just(NOW + 60)),
)

images = st.lists(st.tuples(wants, copies), min_size=3, max_size=16)

ACTIVE, DRAINING = Site("lyon"), Site("lyon", state=SiteState.DRAINING)
sites = st.sampled_from([ACTIVE] * 5 + [DRAINING])
slacks = st.tuples(st.integers(-10, 40), drawn.maybe(st.integers(0, 40)))
"""How much of the limit is left, and of the disk, if that is known."""
guards = st.sampled_from([Guard(share=1), Guard(), Guard(share=0.2, few=0), Guard(share=0.4, few=1)])


class World:
    """A site with what ought to be there and what is, and a plan for it."""

    def __init__(
        self,
        drawn: list[tuple[Wanted | None, Observed | None]],
        site: Site,
        slack: tuple[int, int | None],
        guard: Guard,
    ) -> None:
        self.site, self.guard = site, guard
        pairs = [(identity(number), want, copy) for number, (want, copy) in enumerate(drawn)]
        self.here = [_possible(image_id, want, copy) for image_id, want, copy in pairs if copy]
        free = None if slack[1] is None else self.promised() + slack[1]
        self.capacity = Capacity(max(0, self.used() + slack[0]), free)
        self._wants = {image_id: want for image_id, want, _ in pairs if want}
        self.plan = self._reconcile(None)

    @property
    def wanted(self) -> dict[str, Wanted]:
        """What `Planner.wanted` would give."""
        here = {copy.image_id for copy in self.here}
        return {
            image_id: want
            for image_id, want in self._wants.items()
            if want.desire.is_mirror or image_id in here
        }

    def _reconcile(self, last: Plan | None) -> Plan:
        return reconcile(
            self.site,
            self.wanted,
            self.here,
            self.capacity,
            NOW,
            guard=self.guard,
            standing=last.hold if last else None,
        )

    def carry_out(self) -> None:
        """Carry the plan out, and make the next one."""
        before = self.here
        self.here = apply(self.plan, self.wanted, self.here, NOW)
        if self.capacity.free is not None:
            more = sum(copy.written for copy in self.here) - sum(copy.written for copy in before)
            self.capacity = Capacity(self.capacity.limit, self.capacity.free - more)
        self.plan = self._reconcile(self.plan)

    def used(self) -> int:
        return sum(copy.taken for copy in self.here if copy.cached)

    def promised(self) -> int:
        """Bytes of these that are still to be written."""
        return sum(copy.taken - copy.written for copy in self.here if copy.cached)


def _possible(image_id: str, want: Wanted | None, copy: Observed) -> Observed:
    """A copy as it can be: notes of a placement go together, and most copies have the size of their image."""
    if not copy.mirrored_by:
        copy = replace(copy, keep=None, unwanted_since=None)
    elif copy.keep is None:
        copy = replace(copy, unwanted_since=None)
    right = want is not None and (copy.state in (Held.QUEUED, Held.PARTIAL) or copy.size > 5)
    size = want.size if want is not None and right else copy.size
    return replace(copy, image_id=image_id, size=size, here=size // 2 if copy.state is Held.PARTIAL else 0)


worlds = st.builds(World, images, sites, slacks, guards)


@settings(max_examples=300)
@given(worlds)
def test_once_a_plan_is_carried_out_there_is_nothing_left_to_do(world: World) -> None:
    world.carry_out()
    assert world.plan.actions == ()


@given(worlds)
def test_no_plan_takes_a_site_over_its_limit_or_its_disk(world: World) -> None:
    used, capacity = world.used(), world.capacity
    world.carry_out()
    assert world.used() <= max(used, capacity.limit)
    if world.capacity.free is not None:
        assert world.capacity.free >= world.promised()


@given(worlds)
def test_what_is_pinned_mirrored_in_use_or_at_home_never_makes_room(world: World) -> None:
    here, wanted = {copy.image_id: copy for copy in world.here}, world.wanted
    for action in world.plan.actions:
        if isinstance(action, Evict):
            copy, desire = here[action.image_id], wanted[action.image_id].desire
            assert copy.cached
            assert not copy.busy
            assert copy.pinned_by is not PinnedBy.PERSON
            assert not desire.pinned
            assert not desire.withdrawn
            assert desire.mode is Mode.ON_DEMAND


@given(worlds)
def test_every_mirrored_image_is_whole_or_comes_or_is_said_not_to(world: World) -> None:
    here = {copy.image_id: copy for copy in world.here}
    coming = {action.image_id for action in world.plan.actions if isinstance(action, Fetch)}
    blocked = {blocked.image_id for blocked in world.plan.blocked}
    for image_id, want in world.wanted.items():
        copy = here.get(image_id)
        whole = copy is not None and copy.state is Held.COMPLETE and copy.size == want.size
        if want.desire.is_mirror and not want.desire.withdrawn and not (copy and not copy.cached):
            assert whole + (image_id in coming) + (image_id in blocked) == 1


@given(worlds)
def test_a_plan_deletes_little_or_waits(world: World) -> None:
    here = {copy.image_id: copy for copy in world.here}
    whole = [copy for copy in world.here if copy.cached and copy.state is Held.COMPLETE]
    gone = [
        action
        for action in world.plan.actions
        if isinstance(action, Drop | Evict) and here[action.image_id].state is Held.COMPLETE
    ]
    assert len(gone) <= max(world.guard.few, world.guard.share * len(whole))
    if world.plan.hold is not None:
        assert gone == []


@given(worlds)
def test_no_image_is_dealt_with_in_two_ways(world: World) -> None:
    deeds = [a.image_id for a in world.plan.actions if isinstance(a, Fetch | Drop | Evict)]
    assert len(deeds) == len(set(deeds))


@given(worlds)
def test_a_draining_site_is_brought_nothing(world: World) -> None:
    if world.site.state is SiteState.DRAINING:
        assert not any(isinstance(action, Fetch) for action in world.plan.actions)
