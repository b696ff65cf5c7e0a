"""What has to come to a site, in which order, and for which of it there is room."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from skerry.core.placement.actions import Evict, Fetch, Repair
from skerry.core.placement.observed import Held, Observed
from skerry.core.placement.planner import Wanted
from skerry.core.placement.room import Room


@dataclass(frozen=True, slots=True)
class Arrival:
    """An image that has to come, or to come anew (`broken`): `need` is how many bytes more it takes."""

    image_id: str
    wanted: Wanted
    copy: Observed | None
    broken: bool

    @property
    def need(self) -> int:
        """Bytes that it takes beyond what it has been promised already."""
        return self.wanted.size - (self.copy.taken if self.copy else 0)

    @property
    def urgency(self) -> tuple[bool, bool, int, bool, float, str]:
        """The least comes first: mirrored, pinned, of high priority, begun already, young."""
        desire = self.wanted.desire
        begun = self.copy is not None and self.copy.state is Held.PARTIAL
        return (
            not desire.is_mirror,
            not desire.pinned,
            -desire.priority,
            not begun,
            -self.wanted.created,
            self.image_id,
        )

    def fetch(self, now: float) -> Fetch:
        """The action. It waits for the next try and, when it is mirrored, for its window."""
        desire, copy = self.wanted.desire, self.copy
        why = f"{desire.rule} mirrors it" if desire.is_mirror else "it was here"
        if desire.wished:
            why += ", as the image asks for"
        begin = now if copy is None or copy.retry_at is None else max(now, copy.retry_at)
        window = desire.window if desire.is_mirror else None
        if begin > now:
            why += "; it failed, and is tried again later"
        if window is not None and not window.is_open(begin):
            begin = window.opens(begin)
            why += f"; it waits for {window}"
        if self.broken:
            why += "; the bytes that are here are not those of the image"
        elif copy is not None and copy.here:
            why += f"; {copy.here} bytes are here"
        return (Repair if self.broken else Fetch)(
            image_id=self.image_id,
            reason=why,
            rule=desire.rule if desire.is_mirror else "",
            priority=desire.priority,
            pinned=desire.pinned,
            store=desire.store,
            rate=desire.rate,
            keep=desire.keep,
            not_before=begin if begin > now else None,
        )


def arrivals(wanted: Mapping[str, Wanted], here: Mapping[str, Observed], leaving: set[str]) -> list[Arrival]:
    """What has to come: what is mirrored and not here whole, and what is here and broken.

    Not what is `leaving`, nor what is at home here, nor what is deactivated.
    """
    found = []
    for image_id, want in wanted.items():
        copy = here.get(image_id)
        broken = copy is not None and is_broken(copy, want.size)
        if copy is not None and copy.state is Held.COMPLETE and not broken:
            continue
        if want.desire.withdrawn or image_id in leaving or (copy is not None and not copy.cached):
            continue
        if broken or want.desire.is_mirror:
            found.append(Arrival(image_id, want, copy, broken))
    return found


def is_broken(copy: Observed, size: int) -> bool:
    """Whether a copy is there and is not what it should be. `size` is that of the record, 0 when unknown."""
    return copy.state is Held.BAD or (copy.state is Held.COMPLETE and bool(size) and copy.size != size)


def admit(
    coming: Collection[Arrival],
    room: Room,
    may_evict_for: Callable[[str], bool],
    now: float,
) -> tuple[list[Fetch | Evict], list[Arrival]]:
    """Find room: the actions in order of urgency, evictions before what they are for, and what found none.

    Only for what may not be evicted itself others are. A large image that finds no room does not keep smaller
    ones from coming.
    """
    admitted: dict[str, tuple[Arrival, Sequence[Observed]]] = {}
    refused: list[Arrival] = []
    evicted: set[str] = set()
    soft = {arrival.image_id for arrival in coming if room.may_lose(arrival.image_id)}

    def turn(arrival: Arrival) -> tuple[int, bool, int, object]:
        """First what frees room or takes none, so that nothing is refused that fits afterwards."""
        need, is_soft = arrival.need, arrival.image_id in soft
        phase = 0 if need < 0 or (need == 0 and not is_soft) else 2 if is_soft else 1
        return phase, need > 0, min(need, 0), arrival.urgency

    def take(arrival: Arrival) -> bool:
        is_soft = arrival.image_id in soft
        may_evict = not is_soft and may_evict_for(arrival.image_id)
        chosen = room.admit(arrival.need, may_evict=may_evict)
        if chosen is None:
            return False
        for copy in chosen:
            evicted.add(copy.image_id)
            admitted.pop(copy.image_id, None)
        if is_soft:
            room.resize(arrival.image_id, arrival.wanted.size)
        admitted[arrival.image_id] = arrival, chosen
        return True

    for arrival in sorted(coming, key=turn):
        if arrival.image_id not in evicted and not take(arrival):
            refused.append(arrival)
    again: list[Arrival] = []
    left: list[Arrival] = []
    for arrival in refused:
        (again if arrival.image_id in soft else left).append(arrival)
    left += [arrival for arrival in again if arrival.image_id not in evicted and not take(arrival)]
    actions: list[Fetch | Evict] = []
    for arrival, giving_way in sorted(admitted.values(), key=lambda pair: pair[0].urgency):
        fetch = arrival.fetch(now)
        for copy in giving_way:
            reason = f"its room is needed for {arrival.image_id}"
            actions.append(Evict(copy.image_id, reason, arrival.image_id, fetch.not_before))
        actions.append(fetch)
    return actions, left
