"""The five example files of placements, each at a centre and sites that have joined it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from skerry.core.placement.window import Window
from tests.functional.federation.cast import centre, joined, member
from tests.functional.federation.placed import Placed
from tests.functional.sites import eventually

EXAMPLES = Path(__file__).parents[3] / "examples" / "placements"


@asynccontextmanager
async def cloud(folder: Path, **sites: Mapping[str, str]) -> AsyncIterator[Placed]:
    """A centre, and sites with these labels."""
    async with AsyncExitStack() as stack:
        central = await stack.enter_async_context(centre(folder / "centre"))
        edges = {}
        for name, labels in sites.items():
            fast = {"store": {"others": f"fast={folder}/{name}-fast"}}
            config = await joined(central, folder / name, name, labels=labels, sections=fast)
            edges[name] = await stack.enter_async_context(member(config))
        yield Placed(central, edges)


async def newest_last(at: Placed, images: list[str]) -> list[str]:
    """Those of one second in the order in which placements count them."""
    shown = [(await at.centre.admin.get(f"/v2/images/{image}")).json for image in images]
    return [image["id"] for image in sorted(shown, key=lambda image: (image["created_at"], image["id"]))]


def example(name: str, **changed: str) -> dict[str, Any]:
    """One of the files; sizes may be those of a test."""
    text = (EXAMPLES / name).read_text()
    for old, new in changed.items():
        assert old.strip("_") in text
        text = text.replace(old.strip("_"), new)
    document = yaml.safe_load(text)
    assert isinstance(document, dict)
    return document


async def test_every_image_everywhere(tmp_path: Path) -> None:
    async with cloud(tmp_path, lyon={}, brest={}) as all_:
        image = await all_.image()
        snapshot = await all_.image(name="snapshot", image_type="snapshot")
        await all_.apply(example("1-everywhere.yaml"))

        for site, edge in all_.edges.items():
            await all_.becomes(image, "verified", site)
            await all_.becomes(snapshot, "unneeded", site)
            assert len(await edge.download(snapshot)) == 100_000, "it may be fetched all the same"


async def test_images_only_where_they_are_needed(tmp_path: Path) -> None:
    edge = {"role": "edge"}
    sites = {"lyon": {**edge, "country": "fr"}, "metz": {**edge, "gpu": "yes"}, "core": {}}
    async with cloud(tmp_path, **sites) as all_:
        asked_for = await all_.image(100_000, **{"skerry:sites": "country=fr", "name": "wished"})
        with_driver = await all_.image(hw_gpu="a100")
        other = await all_.image()
        await all_.apply(example("2-where-needed.yaml"))

        await all_.becomes(asked_for, "verified", "lyon")
        await all_.becomes(with_driver, "verified", "metz")
        for image, site in ((other, "lyon"), (other, "metz"), (with_driver, "lyon"), (asked_for, "metz")):
            await all_.becomes(image, "unneeded", site)
            status, _, _ = await all_.edges[site].call("GET", f"/v2/images/{image}/file")
            assert status == 403
        assert len(await all_.edges["core"].download(other)) == 100_000


async def test_images_by_policy(tmp_path: Path) -> None:
    sites = {
        "paris": {"role": "region", "country": "fr"},
        "near": {"role": "edge", "line": "thick", "country": "fr"},
        "far": {"role": "edge", "line": "thin", "country": "de"},
    }
    async with cloud(tmp_path, **sites) as all_:
        debian = {"os_distro": "debian", "os_version": "12"}
        builds = [await all_.image(100_000, name=f"debian-{number}", **debian) for number in range(3)]
        builds = await newest_last(all_, builds)
        licensed = await all_.image(os_distro="windows", os_version="11", licence="fr-only")
        await all_.apply(example("3-by-policy.yaml"))

        for image in (*builds, licensed):
            await all_.becomes(image, "verified", "paris")
        for image in (*builds[1:], licensed):
            await all_.becomes(image, "verified", "near")
        await all_.becomes(builds[0], "unneeded", "near")
        await all_.becomes(licensed, "unneeded", "far")
        night = Window.parse("22:00-06:00 +01:00").is_open(datetime.now(UTC).timestamp())
        await all_.becomes(builds[2], "verified" if night else "queued", "far")


async def test_images_pulled_on_demand(tmp_path: Path) -> None:
    async with cloud(tmp_path, cabinet={"kind": "cabinet"}, lyon={"kind": "large"}) as all_:
        image = await all_.image()
        rescue = await all_.image(tags=["rescue"])
        await all_.apply(example("4-on-demand.yaml", _10GiB_="1MiB"))
        huge = await all_.image(size=2 << 20)

        cabinet = all_.edges["cabinet"]
        await all_.becomes(rescue, "unneeded", "cabinet")
        assert cabinet.site.copies.get(image) is None
        for one in (image, rescue):
            await cabinet.download(one)
            await all_.becomes(one, "verified", "cabinet")
        held = cabinet.site.copies
        await eventually(lambda: [copy.image_id for copy in held.all() if copy.placed] == [rescue])
        await all_.edges["lyon"].download(huge)
        await eventually((tmp_path / "lyon-fast" / huge).exists)
        await all_.becomes(huge, "unneeded", "cabinet")
        assert (await cabinet.call("GET", f"/v2/images/{huge}/file"))[0] == 403


async def test_made_sure_that_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skerry.sync.reconciler._EVERY", 1.0)  # a file deleted by hand tells nobody
    async with cloud(tmp_path, lyon={"stage": "production"}, lab={}) as all_:
        golden: dict[str, Any] = {"tags": ["golden"], "owner": "images"}
        builds = [await all_.image(100_000, name=f"debian-12-{number}", **golden) for number in range(3)]
        builds = await newest_last(all_, builds)
        await all_.apply(example("5-make-sure.yaml", _1h_="3s"))

        for image in builds[1:]:
            await all_.becomes(image, "verified", "lab")
        await all_.becomes(builds[0], "unneeded", "lab")
        await all_.becomes(builds[2], "verified", "lyon")  # once it is old enough

        lost = all_.edges["lab"].site.config.images / builds[2]
        lost.unlink()
        await eventually(lost.exists)
        await all_.becomes(builds[2], "verified", "lab")
