"""What is to be done about a copy that is there: pinned, noted as mirrored or not, dropped."""

from collections.abc import Container, Iterator

from skerry.core.placement.actions import Action, Adopt, Cause, Drop, Move, Pin, Release, Unpin
from skerry.core.placement.desire import Desire
from skerry.core.placement.observed import Held, Observed, PinnedBy
from skerry.core.placement.planner import Wanted
from skerry.core.placement.rule import Mode


def is_settled(copy: Observed, want: Wanted | None) -> bool:
    """Whether a copy is mirrored, whole and noted so, as nearly all are: nothing is to be done about it."""
    if want is None:
        return False
    desire = want.desire
    return (
        desire.mode is Mode.MIRROR
        and copy.state is Held.COMPLETE
        and copy.size == want.size
        and copy.cached
        and copy.mirrored_by == desire.rule
        and copy.unwanted_since is None
        and copy.keep == desire.keep
        and desire.pinned == (copy.pinned_by is not None)
        and desire.store in ("", copy.store)
    )


def upkeep(
    copy: Observed, desire: Desire | None, now: float, stores: Container[str] = ()
) -> Iterator[Action]:
    """What is to be done about a cached copy, `desire` being None when its image is no more.

    Either one Drop, or what changes its pin, the note of who mirrors it, and in which of the `stores` it is.
    """
    drop = _drop(copy, desire, now)
    if drop is not None or desire is None:
        if drop is not None:
            yield drop
        return
    if desire.pinned and copy.pinned_by is None:
        yield Pin(copy.image_id, f"{desire.rule} pins it")
    if not desire.pinned and copy.pinned_by is PinnedBy.RULE:
        yield Unpin(copy.image_id, "no placement pins it any longer")
    if desire.store in stores and desire.store != copy.store and copy.state is Held.COMPLETE:
        yield Move(copy.image_id, f"{desire.rule} has it in {desire.store}", desire.store)
    if desire.is_mirror:
        if (copy.mirrored_by, copy.keep, copy.unwanted_since) != (desire.rule, desire.keep, None):
            yield Adopt(copy.image_id, f"{desire.rule} mirrors it", desire.rule, desire.keep)
    elif copy.mirrored_by and copy.keep is None:
        yield Release(copy.image_id, f"{copy.mirrored_by} mirrors it no longer", None)
    elif copy.mirrored_by and copy.unwanted_since is None:
        yield Release(copy.image_id, f"{copy.mirrored_by} mirrors it no longer, and keeps it for a time", now)


def _drop(copy: Observed, desire: Desire | None, now: float) -> Drop | None:
    if desire is None:
        return Drop(copy.image_id, "its image is deleted", Cause.UNKNOWN)
    if desire.mode is Mode.NEVER:
        return Drop(copy.image_id, f"{desire.rule} says never", Cause.NEVER)
    if desire.is_mirror or not copy.mirrored_by or copy.pinned_by is PinnedBy.PERSON:
        return None
    if copy.state is not Held.COMPLETE and not copy.busy:
        return Drop(copy.image_id, f"{copy.mirrored_by} mirrors it no longer", Cause.UNFINISHED)
    since = now if copy.unwanted_since is None else copy.unwanted_since
    if copy.keep is None or since + copy.keep > now:
        return None
    return Drop(copy.image_id, f"{copy.mirrored_by} mirrors it no longer and has kept it", Cause.KEPT)
