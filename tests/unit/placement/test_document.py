"""Placements as a document."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.core.errors import InvalidInput
from skerry.core.image import Visibility
from skerry.core.placement.document import dump, parse
from skerry.core.placement.images import ImageSelector
from skerry.core.placement.rule import Mode, Placement
from skerry.core.placement.sites import SiteSelector
from skerry.core.placement.window import Window
from skerry.core.units import Duration, Size

FULL: dict[str, Any] = {
    "name": "far",
    "images": {
        "name": ["debian-*", "ubuntu-*"],
        "tag": "golden",
        "property": ["os_distro", "os_version=12"],
        "owner": "ops",
        "visibility": ["public", "community"],
        "size_min": "1MiB",
        "size_max": "20GiB",
        "age_min": "1h",
        "age_max": "90d",
        "newest": 2,
        "family": ["os_distro", "os_version"],
    },
    "sites": {"name": "lyon-*", "label": ["tier=far", "country=fr"], "wished": True},
    "mode": "mirror",
    "pinned": True,
    "store": "fast",
    "priority": -3,
    "window": "22:00-06:00 +02:00",
    "rate": "2MiB",
    "keep": "7d",
}


def one(**changes: Any) -> dict[str, Any]:
    entry = {"name": "far", "images": "all", "sites": "all", "mode": "mirror"} | changes
    return {"placements": [{key: value for key, value in entry.items() if value is not None}]}


def test_every_key_is_read() -> None:
    (placement,) = parse({"placements": [FULL]})
    assert placement == Placement(
        name="far",
        images=ImageSelector(
            names=("debian-*", "ubuntu-*"),
            tags=("golden",),
            properties=(("os_distro", None), ("os_version", "12")),
            owners=("ops",),
            visibilities=(Visibility.PUBLIC, Visibility.COMMUNITY),
            size_min=Size(1 << 20),
            size_max=Size(20 << 30),
            age_min=Duration(3600),
            age_max=Duration(90 * 86400),
            newest=2,
            family=("os_distro", "os_version"),
        ),
        sites=SiteSelector(names=("lyon-*",), labels=(("tier", "far"), ("country", "fr")), wished=True),
        mode=Mode.MIRROR,
        pinned=True,
        store="fast",
        priority=-3,
        window=Window.parse("22:00-06:00 +02:00"),
        rate=Size(2 << 20),
        keep=Duration(7 * 86400),
    )


def test_what_is_left_out_has_its_default() -> None:
    (placement,) = parse(one())
    assert placement == Placement("far", ImageSelector(), SiteSelector(), Mode.MIRROR)
    assert dump([placement]) == one()


@pytest.mark.parametrize(
    ("document", "names", "remedy"),
    [
        (None, "no placements", "placements:"),
        ({"placement": []}, "no placements", "placements:"),
        ({"placements": [], "sites": []}, "'sites'", "Known are placements"),
        ({"placements": {"far": 1}}, "expected a list", "- name:"),
        ({"placements": ["far"]}, "placement 1", "name, images, sites and mode"),
        (one(name=None), "placement 1: name is missing", "name: far-edges"),
        (one(name="a b"), "name: expected letters", "name: far-edges"),
        (one(images=None), '"far": images is missing', "images: all"),
        (one(sites={}), '"far": sites: expected conditions, or all', "sites: all"),
        (one(images=[]), "images: expected conditions, or all", "one or more of name, tag"),
        (one(mode="mirrored"), 'mode: expected one of mirror, on-demand, never, got', "mode: mirror"),
        (one(mode=True), "mode: expected one of", "mode: mirror"),
        (one(prio=1), "there is no key prio", "Did you mean priority?"),
        (one(images={"nam": "x"}), "there is no key images.nam", "Did you mean images.name?"),
        (one(sites={"labels": "a=b"}), "there is no key sites.labels", "Did you mean sites.label?"),
        (one(sites={1: "a"}), "there is no key sites.1", "Known are"),
        (one(images={"size_max": "20 parsecs"}), "images.size_max: expected a size", "size_max: 20GiB"),
        (one(images={"size_max": "9" * 400 + "B"}), "images.size_max", "size_max: 20GiB"),
        (one(images={"age_max": float("inf")}), "images.age_max: expected a duration", "age_max: 90d"),
        (one(images={"newest": 0}), "images.newest: expected a number from 1", "newest: 2"),
        (one(images={"name": 12}), "images.name: expected a text", "name: debian-*"),
        (one(images={"name": []}), "images.name: expected a text", "name: debian-*"),
        (one(images={"property": "=x"}), "images.property: expected NAME", "property: os_distro=debian"),
        (one(images={"visibility": "open"}), "visibility: expected one of public", "visibility: public"),
        (one(sites={"label": "far"}), "sites.label: expected KEY=VALUE", "label: tier=far"),
        (one(sites={"wished": "yes"}), "sites.wished: expected true or false", "wished: true"),
        (one(pinned=1), "pinned: expected true or false", "pinned: true"),
        (one(priority="high"), "priority: expected a number", "priority: 10"),
        (one(window="at night"), "window: expected a window such as", "window: 22:00-06:00"),
        (one(rate=0), "rate: a rate of 0 brings nothing", "rate: 2MiB"),
        (one(keep="200y"), "keep: expected a duration", "keep: 7d"),
        (one(keep="40000d"), "keep: '40000d' is more than a hundred years", "keep: 7d"),
        (one(images={"size_min": 2, "size_max": 1}), "images.size_min: is larger", "smaller one"),
        (one(images={"age_min": 2, "age_max": 2}), "images.age_min: is not less", "shorter one"),
        (one(images={"family": "os_distro"}), "images.family: means nothing without", "newest: 2"),
        (one(mode="on-demand", keep="1d"), "keep: is for what is mirrored", "mode: mirror"),
        (one(mode="never", window="01:00-02:00"), "window: is for what is mirrored", "drop window"),
        (one(mode="never", pinned=True), "pinned: cannot be", "Drop pinned"),
        (one(mode="never", store="fast"), "store: means nothing", "Drop store"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_what_to_write_instead(document: Any, names: str, remedy: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(document)
    assert names in refused.value.message
    assert remedy in refused.value.hint


def test_two_placements_cannot_have_one_name() -> None:
    with pytest.raises(InvalidInput, match="two of this name"):
        parse({"placements": [FULL, FULL]})


texts = st.text("ab9é -*.=:,'\"", min_size=1, max_size=12)
words = texts.filter(lambda text: "=" not in text)
durations = st.integers(1, 10**6).map(Duration)


def some(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(strategy, max_size=3).map(tuple)


@st.composite
def placements(draw: st.DrawFn) -> Placement:
    mode = draw(st.sampled_from(Mode))
    mirror, never = mode is Mode.MIRROR, mode is Mode.NEVER
    newest = draw(st.none() | st.integers(1, 9))
    sizes = sorted(draw(st.tuples(st.integers(0, 1 << 62), st.integers(0, 1 << 62))))
    ages = sorted(draw(st.sets(durations, min_size=2, max_size=2)))
    return Placement(
        name=draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)),
        images=ImageSelector(
            names=draw(some(texts)),
            tags=draw(some(texts)),
            properties=draw(some(st.tuples(words, st.none() | texts))),
            owners=draw(some(texts)),
            visibilities=draw(some(st.sampled_from(Visibility))),
            size_min=draw(st.none() | st.just(Size(sizes[0]))),
            size_max=draw(st.none() | st.just(Size(sizes[1]))),
            age_min=draw(st.none() | st.just(ages[0])),
            age_max=draw(st.none() | st.just(ages[1])),
            newest=newest,
            family=draw(st.lists(texts, min_size=1, max_size=2).map(tuple)) if newest else ("name",),
        ),
        sites=SiteSelector(draw(some(texts)), draw(some(st.tuples(words, texts))), draw(st.booleans())),
        mode=mode,
        pinned=not never and draw(st.booleans()),
        store="" if never else draw(st.just("") | texts),
        priority=draw(st.integers(-1000, 1000)),
        window=draw(st.none() | st.just(Window.parse("22:00-06:00 +02:00"))) if mirror else None,
        rate=draw(st.none() | st.integers(1, 1 << 40).map(Size)) if mirror else None,
        keep=draw(st.none() | durations) if mirror else None,
    )


@given(st.lists(placements(), max_size=4, unique_by=lambda placement: placement.name))
def test_placements_that_are_written_and_read_again_are_the_same(written: list[Placement]) -> None:
    assert parse(dump(written)) == tuple(written)
