"""What other placements would change, to be shown before they are applied."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from skerry.core.errors import Conflict
from skerry.core.placement.desire import Desire
from skerry.core.placement.document import dump, dump_one
from skerry.core.placement.groups import ImageGroup, Members
from skerry.core.placement.planner import Planner, Total
from skerry.core.placement.rule import Mode, Placement

NONE = Total(0, 0)


@dataclass(frozen=True, slots=True)
class Changed:
    """A placement that is to be another one, and the keys in which it is."""

    name: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Effect:
    """What would change at one site: what is fetched, dropped at once, dropped `later`, pinned, unpinned.

    Room is not looked at: the plan of the site says what finds none.
    """

    site: str
    fetch: Total = NONE
    drop: Total = NONE
    later: Total = NONE
    pin: Total = NONE
    unpin: Total = NONE


@dataclass(frozen=True, slots=True)
class Proposal:
    """All that would change; sites at which nothing does are left out.

    `fingerprint` stands for the placements there are, those that are proposed, and what would change.
    """

    added: tuple[str, ...]
    changed: tuple[Changed, ...]
    removed: tuple[str, ...]
    effects: tuple[Effect, ...]
    fingerprint: str

    def check(self, fingerprint: str) -> None:
        """Raise Conflict unless this is what a person has seen, whose proposal had `fingerprint`."""
        if fingerprint != self.fingerprint:
            raise Conflict(
                "What these placements would change is not what it was when that plan was shown.",
                hint="Look at the plan again (`skerry placement plan`), and apply the one that it shows now.",
            )


def propose(
    planner: Planner,
    proposed: Iterable[Placement],
    held: Mapping[str, Collection[str]] | None = None,
) -> Proposal:
    """What would change if `proposed` were all the placements.

    `held` are the ids of the cached copies at each site. Of a site that is not in it, it is assumed that what
    is mirrored is there and nothing else.
    """
    after = planner.with_placements(proposed)
    old = {placement.name: placement for placement in planner.placements}
    new = {placement.name: placement for placement in after.placements}
    moves = _moves(planner, after)
    sets = {site: frozenset(ids) for site, ids in (held or {}).items()}
    effects = (_effect(site.name, planner, after, moves, sets.get(site.name)) for site in planner.sites)
    found = tuple(sorted((e for e in effects if e != Effect(e.site)), key=lambda effect: effect.site))
    return Proposal(
        added=tuple(sorted(new.keys() - old.keys())),
        changed=tuple(
            Changed(name, _keys(old[name], new[name]))
            for name in sorted(old.keys() & new.keys())
            if old[name] != new[name]
        ),
        removed=tuple(sorted(old.keys() - new.keys())),
        effects=found,
        fingerprint=_fingerprint(planner.placements, after.placements, found),
    )


Moves = Mapping[tuple[ImageGroup, ImageGroup], Members]
"""The images that are in one group before and in another after, which share all that can be said of them."""


def _moves(before: Planner, after: Planner) -> Moves:
    moves: defaultdict[tuple[ImageGroup, ImageGroup], Members] = defaultdict(lambda: Members(set()))
    for image in before.selection.images:
        was, will = before.selection.group(image.id), after.selection.group(image.id)
        if was is not None and will is not None:
            members = moves[was, will]
            members.ids.add(image.id)
            members.size += image.size or 0
    return moves


def _effect(site: str, before: Planner, after: Planner, moves: Moves, held: frozenset[str] | None) -> Effect:
    sums: defaultdict[str, Total] = defaultdict(lambda: NONE)
    for (group_before, group_after), members in moves.items():
        was, will = before.decide(group_before, site), after.decide(group_after, site)
        if was == will:
            continue
        everything = Total(len(members.ids), members.size)
        assumed = everything if was.is_mirror else NONE
        here = assumed if held is None else _total(before, members.ids & held)
        absent = Total(everything.images - here.images, everything.size - here.size)
        there = everything if will.is_mirror else here
        for name, total in (
            ("fetch", absent if will.is_mirror and not was.is_mirror and not will.withdrawn else NONE),
            (_leaving(was, will), here),
            ("pin", there if will.pinned and not was.pinned else NONE),
            ("unpin", here if was.pinned and not will.pinned and will.mode is not Mode.NEVER else NONE),
        ):
            if name:
                sums[name] = Total(sums[name].images + total.images, sums[name].size + total.size)
    return Effect(site, **sums)


def _leaving(was: Desire, will: Desire) -> str:
    """Where to count a copy that is here: what happens to it; "" for nothing."""
    if will.mode is Mode.NEVER:
        return "" if was.mode is Mode.NEVER else "drop"
    if not was.is_mirror or will.is_mirror or was.keep is None:
        return ""
    return "later" if was.keep else "drop"


def _total(planner: Planner, ids: Collection[str]) -> Total:
    images = [planner.selection.image(image_id) for image_id in ids]
    return Total(len(images), sum(image.size or 0 for image in images if image))


def _keys(old: Placement, new: Placement) -> tuple[str, ...]:
    before, after = dump_one(old), dump_one(new)
    return tuple(sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key)))


def _fingerprint(
    current: Iterable[Placement], proposed: Iterable[Placement], effects: Iterable[Effect]
) -> str:
    rows = [(e.site, e.fetch, e.drop, e.later, e.pin, e.unpin) for e in effects]
    text = json.dumps([dump(current), dump(proposed), rows], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
