"""A cloud to plan for: images as a few hundred teams make them, sites, 20 placements; always the same."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID

from skerry.core.image import Image, Status, Visibility
from skerry.core.placement.document import parse
from skerry.core.placement.rule import Placement
from skerry.core.placement.sites import Site

EPOCH = datetime(2026, 1, 31, 12, tzinfo=UTC)
NOW = EPOCH.timestamp()
GIB = 1 << 30
SYSTEMS = ("debian", "ubuntu", "rocky", "fedora", "suse", "windows", "freebsd", "alpine", "arch", "flatcar")
COUNTRIES = ("fr", "de", "it", "es", "pt", "nl", "be", "at", "pl", "se")


@dataclass(frozen=True)
class Size:
    """How large the cloud is."""

    images: int
    sites: int


FULL = Size(images=100_000, sites=1000)
QUICK = Size(images=2000, sites=50)


def images(size: Size) -> list[Image]:
    """Builds of systems, snapshots, and what teams make for themselves, over three years."""
    dice = random.Random(1)
    return [image(number, dice) for number in range(size.images)]


def image(number: int, dice: random.Random) -> Image:
    """One image."""
    system, version = dice.choice(SYSTEMS), str(dice.randrange(1, 13))
    made = EPOCH - timedelta(seconds=dice.randrange(3 * 365 * 86400))
    properties = {
        "os_distro": system,
        "os_version": version,
        "architecture": dice.choice(("x86_64", "aarch64")),
    }
    if dice.random() < 0.4:
        properties["image_type"] = "snapshot"
    if dice.random() < 0.01:
        properties["licence"] = "fr-only"
    if dice.random() < 0.02:
        properties["hw_gpu"] = "yes"
    if dice.random() < 0.02:
        properties["skerry:sites"] = f"edge-{dice.randrange(1000)},country={dice.choice(COUNTRIES)}"
    return Image(
        id=str(UUID(int=number)),
        created_at=made,
        updated_at=made,
        name=f"{system}-{version}-{made:%Y%m%d}",
        status=Status.DEACTIVATED if dice.random() < 0.02 else Status.ACTIVE,
        visibility=Visibility.PUBLIC if dice.random() < 0.3 else Visibility.PRIVATE,
        owner=f"team-{dice.randrange(300)}",
        size=int(dice.lognormvariate(0.5, 1) * GIB),
        tags=frozenset(tag for tag in ("golden", "rescue", "test") if dice.random() < 0.03),
        properties=MappingProxyType(properties),
    )


def sites(size: Size) -> list[Site]:
    """One region to fifty edges; countries, lines and kinds mixed."""
    dice = random.Random(2)
    return [
        Site(
            f"edge-{number}" if number % 50 else f"region-{number // 50}",
            {
                "role": "edge" if number % 50 else "region",
                "country": dice.choice(COUNTRIES),
                "line": dice.choice(("thin", "thick")),
                "kind": dice.choice(("cabinet", "room", "hall")),
                "gpu": "yes" if dice.random() < 0.05 else "no",
            },
        )
        for number in range(size.sites)
    ]


def placements() -> tuple[Placement, ...]:
    """Twenty rules of all kinds: by what images are, by age, the newest of families, by wish, never."""
    family = ["os_distro", "os_version"]
    region, cabinet, hall = ({"label": label} for label in ("role=region", "kind=cabinet", "kind=hall"))
    written: list[dict[str, Any]] = [
        {
            "images": {"property": "licence"},
            "sites": {"label": f"country={country}"},
            "mode": "never",
            "priority": 90,
        }
        for country in COUNTRIES[1:6]
    ]
    written += [
        {"images": {"visibility": "public", "age_max": "365d"}, "sites": region, "priority": 20},
        {"images": {"visibility": "public", "newest": 2, "family": family}, "sites": {"label": "line=thick"}},
        {
            "images": {"visibility": "public", "newest": 1, "family": family, "size_max": "5GiB"},
            "sites": {"label": "line=thin"},
            "window": "22:00-06:00",
            "rate": "1MiB",
            "keep": "7d",
        },
        {"images": {"tag": "golden", "newest": 3}, "sites": "all", "pinned": True, "priority": 50},
        {"images": {"tag": "golden", "age_max": "1h"}, "sites": "all", "mode": "on-demand", "priority": 60},
        {"images": {"tag": "rescue", "age_max": "30d"}, "sites": "all", "pinned": True, "priority": 40},
        {"images": {"property": "hw_gpu"}, "sites": {"label": "gpu=yes"}, "priority": 30, "keep": "1d"},
        {"images": {"size_min": "30GiB"}, "sites": cabinet, "mode": "never", "priority": 80},
        {"images": {"size_max": "10GiB"}, "sites": {"wished": True, "label": "role=edge"}, "priority": 15},
        {"images": {"owner": "team-7"}, "sites": {"label": "country=fr"}, "priority": 12},
        {"images": {"owner": "team-9", "age_min": "1d"}, "sites": {"name": "edge-1*"}, "priority": 12},
        {"images": {"name": "flatcar-*", "age_max": "90d"}, "sites": hall, "priority": 11},
        {"images": {"name": "alpine-*"}, "sites": hall, "mode": "on-demand", "store": "fast"},
        {"images": {"tag": "test"}, "sites": region, "mode": "never", "priority": 70},
        {"images": {"property": "image_type=snapshot"}, "sites": "all", "mode": "on-demand", "priority": 5},
    ]  # fmt: skip
    full = [{"name": f"rule-{number}", "mode": "mirror"} | entry for number, entry in enumerate(written)]
    return parse({"placements": full})


def changes(size: Size, known: list[Image], count: int) -> Iterator[Image]:
    """New images, and known ones with another record, as they come in a day."""
    dice = random.Random(3)
    for number in range(count):
        if number % 2:
            yield image(size.images + number, dice)
        else:
            yield image(int(UUID(dice.choice(known).id)), dice)
