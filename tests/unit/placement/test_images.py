"""How a placement selects among images and sites."""

from typing import Any

import pytest

from skerry.core.image import Visibility
from skerry.core.placement.images import ImageSelector, without_version
from skerry.core.placement.rule import ranked
from skerry.core.placement.sites import Site, SiteSelector
from skerry.core.placement.wish import PROPERTY, Wish
from tests.unit.placement.stage import image, rules

DEBIAN = image(
    1,
    "debian-12",
    tags=["golden", "cloud"],
    owner="ops",
    size=100,
    properties={"os_distro": "debian", "empty": None},
)


@pytest.mark.parametrize(
    ("selector", "unmet"),
    [
        ({}, None),
        ({"names": ("debian-*",)}, None),
        ({"names": ("ubuntu-*", "debian-??")}, None),
        ({"names": ("Debian-*",)}, "name"),
        ({"tags": ("cloud", "golden")}, None),
        ({"tags": ("cloud", "arm")}, "tag"),
        ({"properties": (("os_distro", None),)}, None),
        ({"properties": (("os_distro", "debian"), ("empty", None))}, None),
        ({"properties": (("os_distro", "ubuntu"),)}, "property"),
        ({"properties": (("os_version", None),)}, "property"),
        ({"owners": ("web", "ops")}, None),
        ({"owners": ("web",)}, "owner"),
        ({"visibilities": (Visibility.SHARED, Visibility.PUBLIC)}, None),
        ({"visibilities": (Visibility.PRIVATE,)}, "visibility"),
        ({"size_min": 100, "size_max": 100}, None),
        ({"size_min": 101}, "size_min"),
        ({"size_max": 99}, "size_max"),
    ],
)
def test_everything_that_is_given_must_hold(selector: dict[str, Any], unmet: str | None) -> None:
    assert ImageSelector(**selector).unmet(DEBIAN) == unmet


def test_an_image_of_unknown_size_is_neither_large_nor_small() -> None:
    unknown = image(1, size=None)
    assert ImageSelector(size_min=0).unmet(unknown) == "size_min"
    assert ImageSelector(size_max=1 << 60).unmet(unknown) == "size_max"


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("debian-12-20260131", "debian-12"),
        ("debian-12", "debian"),
        ("app v2.3.1", "app"),
        ("app_2024:7", "app_2024"),
        ("app-1.2-rc1", "app-1.2-rc1"),
        ("debian", "debian"),
        ("12", "12"),
        ("", ""),
    ],
)
def test_the_name_without_its_version(name: str, family: str) -> None:
    assert without_version(name) == family


def test_a_family_is_what_has_the_same_properties_and_lacks_none() -> None:
    selector = ImageSelector(newest=1, family=("os_distro", "name"))
    assert selector.family_of(DEBIAN) == ("debian", "debian")
    assert selector.family_of(image(2, "debian-12")) is None


@pytest.mark.parametrize(
    ("selector", "unmet"),
    [
        (SiteSelector(), None),
        (SiteSelector(names=("paris", "lyon-*")), None),
        (SiteSelector(names=("paris",)), "name"),
        (SiteSelector(labels=(("tier", "far"), ("country", "fr"))), None),
        (SiteSelector(labels=(("tier", "near"),)), "label"),
        (SiteSelector(labels=(("rack", "1"),)), "label"),
    ],
)
def test_a_site_is_selected_by_name_and_labels(selector: SiteSelector, unmet: str | None) -> None:
    assert selector.unmet(Site("lyon-3", {"tier": "far", "country": "fr"})) == unmet


def test_an_image_asks_for_sites_by_name_and_by_label() -> None:
    wish = Wish.of(image(1, properties={PROPERTY: " lyon-3, tier = far ,, "}))
    assert wish is not None
    assert wish.asks_for("lyon-3", frozenset())
    assert wish.asks_for("brest", frozenset({("tier", "far")}))
    assert not wish.asks_for("brest", frozenset({("tier", "near")}))


@pytest.mark.parametrize("value", ["", " , ", None])
def test_an_empty_wish_is_none(value: str | None) -> None:
    assert Wish.of(image(1, properties={PROPERTY: value})) is None


def test_a_higher_priority_decides_then_the_firmer_mode_then_the_name() -> None:
    written = rules(
        {"name": "d", "mode": "on-demand"},
        {"name": "b"},
        {"name": "a"},
        {"name": "n", "mode": "never"},
        {"name": "first", "mode": "on-demand", "priority": 1},
    )
    assert [placement.name for placement in ranked(written)] == ["first", "n", "a", "b", "d"]
