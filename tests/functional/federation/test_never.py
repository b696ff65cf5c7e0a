"""What is never for a site does not come to it, whoever asks and by whichever way."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from skerry.lab.run import free_port
from tests.functional.federation.cast import as_site, centre, identity_of, joined, member, sites_url
from tests.functional.federation.placed import Placed
from tests.functional.sites import Api, eventually
from tests.functional.test_feed import arrives

NEVER_FAR = {
    "placements": [{"name": "not-far", "images": "all", "sites": {"label": "tier=far"}, "mode": "never"}]
}
WITHOUT: dict[str, list[object]] = {"placements": []}
BYTES = (("GET", "file"), ("HEAD", "file"))
PARTS = (("GET", "index"), ("GET", "chunks"), ("POST", "packs"), ("POST", "sources"))


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Placed]:
    """A centre, with lyon that is far, and brest that is not."""
    async with centre(tmp_path / "centre") as central:
        far = await joined(central, tmp_path / "lyon", "lyon", labels={"tier": "far"})
        near = await joined(central, tmp_path / "brest", "brest")
        async with member(far) as lyon, member(near) as brest:
            yield Placed(central, {"lyon": lyon, "brest": brest})


async def told(site: Api, image: str, *, may: bool = False) -> None:
    """Return when the site knows whether it may have the image."""
    placing = site.site.placing
    assert placing is not None
    record = (await site.site.records.get(image)).image
    await eventually(lambda: placing.scopes.may_have(site.site.config.site.name, record) is may)


async def test_a_site_gets_no_byte_of_it_by_any_way_and_others_do(cloud: Placed) -> None:
    one = await cloud.image()
    await cloud.apply(NEVER_FAR)
    paths = {"file": f"/v2/images/{one}/file"}
    body = {"index": "0" * 64}

    async with as_site(identity_of(cloud.edges["lyon"].site.config)) as lyon:
        for method, what in (*BYTES, *PARTS):
            path = paths.get(what, f"/skerry/v1/images/{one}/{what}")
            answer = await lyon.send(method, path, body if method == "POST" else None)
            assert answer.status == 404, (method, what, answer.status)
    async with as_site(identity_of(cloud.edges["brest"].site.config)) as brest:
        assert (await brest.get(paths["file"])).status == 200
        assert (await brest.send("POST", f"/skerry/v1/images/{one}/sources", body)).status == 200


async def test_its_users_are_told_which_placement_keeps_it_away(cloud: Placed) -> None:
    one = await cloud.image()
    lyon = cloud.edges["lyon"]
    await arrives(lyon, one, status="active")
    await cloud.apply(NEVER_FAR)
    await told(lyon, one)

    for method, path in (
        ("GET", f"/v2/images/{one}/file"),
        ("PUT", f"/v2/cache/{one}"),
        ("PUT", f"/skerry/v1/cache/{one}/pin"),
    ):
        status, _, refused = await lyon.call(method, path)
        assert (status, b"not-far says" in refused) == (403, True), (method, path, refused)
    assert (await lyon.show(one))["name"] == "one", "its record is there, to say why"
    assert lyon.site.copies.get(one) is None


async def test_a_copy_goes_when_the_rule_comes_and_may_come_again_when_it_goes(cloud: Placed) -> None:
    one = await cloud.image()
    lyon = cloud.edges["lyon"]
    await arrives(lyon, one, status="active")
    data = await lyon.download(one)

    await cloud.apply(NEVER_FAR)
    await cloud.becomes(one, "unneeded")
    await eventually(lambda: not (lyon.site.config.images / one).exists())

    await cloud.apply(WITHOUT)
    async with as_site(identity_of(lyon.site.config)) as site:
        assert (await site.get(f"/v2/images/{one}/file")).body == data
        await told(lyon, one, may=True)
    assert await lyon.download(one) == data


async def test_a_region_may_have_what_a_site_below_it_may(tmp_path: Path) -> None:
    async with centre(tmp_path / "centre") as central:
        port = free_port()
        listens = {"sites": {"listen": f"127.0.0.1:{port}", "url": f"https://127.0.0.1:{port}"}}
        region = await joined(central, tmp_path / "paris", "paris", labels={"tier": "far"}, sections=listens)
        async with member(region) as paris:
            federation = central.site.federation
            assert federation is not None
            await eventually(lambda: federation.sites.get("paris").url)
            below = await joined(central, tmp_path / "lyon", "lyon", sites_url(paris), upstream="paris")
            async with member(below) as lyon:
                cloud = Placed(central, {"paris": paris, "lyon": lyon})
                one = await cloud.image()
                await cloud.apply(NEVER_FAR)
                await arrives(lyon, one, status="active")
                assert len(await lyon.download(one)) == 100_000


async def test_an_image_is_never_kept_from_its_home(cloud: Placed) -> None:
    lyon = cloud.edges["lyon"]
    data = b"a snapshot"
    own = await lyon.create(data, name="own", disk_format="raw", container_format="bare")
    await cloud.apply(NEVER_FAR)
    assert await lyon.download(own["id"]) == data
    async with as_site(identity_of(lyon.site.config)) as site:
        assert (await site.get(f"/v2/images/{own['id']}")).status in (200, 404)  # 404: not there yet
