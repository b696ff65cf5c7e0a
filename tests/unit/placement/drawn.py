"""Small worlds of placements for hypothesis: few words, so that rules meet images, and each other."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from skerry.core.image import Image, Status
from skerry.core.placement.desire import Desire
from skerry.core.placement.images import ImageSelector
from skerry.core.placement.rule import Mode, Placement, ranked
from skerry.core.placement.sites import Site, SiteSelector
from skerry.core.placement.wish import PROPERTY, Wish
from tests.unit.placement.stage import image

SITES = [
    Site("lyon", {"tier": "far", "country": "fr"}),
    Site("brest", {"tier": "far"}),
    Site("paris", {"tier": "near"}),
    Site("none"),
]

NAMES = ["debian-11-1", "debian-11-2", "debian-12", "app", ""]
STATUSES = [Status.ACTIVE, Status.ACTIVE, Status.ACTIVE, Status.DEACTIVATED, Status.QUEUED]


def maybe(strategy: st.SearchStrategy[Any], nothing: Any = None) -> st.SearchStrategy[Any]:
    return st.just(nothing) | strategy


images = st.builds(
    lambda number, name, days, status, size, tag, distro, wish: image(
        number,
        name,
        days=days,
        status=status,
        size=size,
        tags=tag,
        properties=distro | wish,
    ),
    st.integers(0, 9),
    st.sampled_from(NAMES),
    st.integers(0, 4),
    st.sampled_from(STATUSES),
    st.integers(1, 9),
    st.sampled_from([(), ("golden",)]),
    st.sampled_from([{}, {"os_distro": "debian"}, {"os_distro": "ubuntu"}]),
    st.sampled_from([{}, {}, {PROPERTY: "lyon,paris"}, {PROPERTY: "tier=far"}]),
)

image_selectors = st.builds(
    ImageSelector,
    names=maybe(st.sampled_from([("debian-*",), ("app", "debian-12")]), ()),
    tags=maybe(st.just(("golden",)), ()),
    properties=maybe(st.sampled_from([(("os_distro", None),), (("os_distro", "debian"),)]), ()),
    size_min=maybe(st.integers(1, 9)),
    age_min=maybe(st.integers(0, 3).map(lambda days: days * 86400.0)),
    age_max=maybe(st.integers(1, 4).map(lambda days: days * 86400.0)),
    newest=maybe(st.integers(1, 2)),
    family=st.sampled_from([("name",), ("os_distro",)]),
)

site_selectors = st.builds(
    SiteSelector,
    names=maybe(st.sampled_from([("lyon",), ("*s", "brest")]), ()),
    labels=maybe(st.just((("tier", "far"),)), ()),
    wished=st.booleans(),
)

rules = st.lists(
    st.builds(
        Placement,
        name=st.sampled_from("abcdef"),
        images=image_selectors,
        sites=site_selectors,
        mode=st.sampled_from(Mode),
        priority=st.integers(0, 1),
    ),
    max_size=4,
    unique_by=lambda placement: placement.name,
)

catalogues = st.lists(images, max_size=8, unique_by=lambda one: one.id)


def naively(
    placements: list[Placement], known: list[Image], one: Image, site: Site, now: float
) -> Desire | None:
    """What ought to be of one image at one site, by the words of the rules alone."""
    if not one.has_data:
        return None
    for rule in ranked(placements):
        wish = Wish.of(one)
        wished = wish is not None and wish.asks_for(site.name, frozenset(site.labels.items()))
        if rule.sites.unmet(site) or (rule.sites.wished and not wished):
            continue
        if _candidate(rule.images, one, now) and _is_newest(rule.images, known, one, now):
            return Desire.by(rule, withdrawn=one.status is Status.DEACTIVATED)
    return replace(Desire(), withdrawn=one.status is Status.DEACTIVATED)


def _candidate(selector: ImageSelector, one: Image, now: float) -> bool:
    age = now - one.created_at.timestamp()
    if selector.age_min is not None and age < selector.age_min:
        return False
    if selector.age_max is not None and age >= selector.age_max:
        return False
    return one.has_data and selector.unmet(one) is None


def _is_newest(selector: ImageSelector, known: list[Image], one: Image, now: float) -> bool:
    if selector.newest is None:
        return True
    family = selector.family_of(one)
    younger = [
        other
        for other in known
        if other.status is Status.ACTIVE
        and _candidate(selector, other, now)
        and selector.family_of(other) == family
        and (other.created_at, other.id) > (one.created_at, one.id)
    ]
    return family is not None and len(younger) < selector.newest
