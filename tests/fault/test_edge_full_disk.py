"""An edge whose disk is full: clear errors, cached images served, room made, and well again by itself."""

import asyncio
import hashlib
import os
from pathlib import Path

import aiohttp
import msgspec
import pytest

from tests.fault.small_disk import SmallSite, small_site
from tests.functional.sites import eventually
from tests.simulators.upstream import Upstream

MiB = 1 << 20


async def copies(site: SmallSite) -> dict[str, str]:
    """The state of each copy."""
    status, body = await site.call("GET", "/skerry/v1/cache")
    assert status == 200
    return {copy["image_id"]: copy["state"] for copy in msgspec.json.decode(body)["copies"]}


async def become(site: SmallSite, wanted: dict[str, str]) -> None:
    async with asyncio.timeout(20):
        while await copies(site) != wanted:  # noqa: ASYNC110  (it happens in another program)
            await asyncio.sleep(0.02)


async def fetch(site: SmallSite, image: str, data: bytes) -> None:
    """Download it, and see that it is right."""
    status, body = await site.call("GET", f"/v2/images/{image}/file")
    assert (status, hashlib.md5(body).digest()) == (200, hashlib.md5(data).digest())


@pytest.mark.parametrize("database", ["on it, too", "elsewhere"])
async def test_an_edge_whose_disk_fills_up_during_a_fetch(tmp_path: Path, database: str) -> None:
    upstream, disk = Upstream(), tmp_path / "disk"
    disk.mkdir()
    small, large, changed = (os.urandom(size * MiB) for size in (4, 12, 1))
    one, other, third = (upstream.add(data) for data in (small, large, changed))
    async with upstream.listening() as url:
        environ = {"SKERRY_UPSTREAM_URL": url, "SKERRY_UPSTREAM_TTL": "0"}
        if database == "elsewhere":
            environ |= {"SKERRY_SITE_DATA": str(tmp_path / "data"), "SKERRY_STORE_PATH": str(disk / "images")}
        async with small_site(disk, **environ) as site:
            await fetch(site, one, small)
            await fetch(site, third, changed)
            await become(site, {one: "complete", third: "complete"})

            # Full in the middle of a fetch: who has got nothing yet has a clear answer, the other is cut off.
            upstream.held.clear()
            begun = asyncio.create_task(site.call("GET", f"/v2/images/{other}/file"))
            waiting = asyncio.create_task(site.call("GET", f"/v2/images/{other}/file", Range="bytes=-9"))
            await eventually(lambda: site.has_come(other, 6 * MiB))
            site.fill()
            upstream.held.set()
            status, body = await waiting
            assert (status, b"space" in body) == (507, True)
            with pytest.raises(aiohttp.ClientPayloadError):
                await begun
            await become(site, {one: "complete", third: "complete"})
            await eventually(lambda: site.bytes_of(one, third))

            for restarted in (False, True):
                if restarted:
                    await site.kill()
                site.fill()
                assert (await site.call("GET", f"/v2/images/{other}/file"))[0] == 507
                upstream.images[one]["name"] = f"renamed, and there is no room to write it down: {restarted}"
                await fetch(site, one, small)
                assert (await site.call("GET", "/v2/images"))[0] == 200
                await eventually(lambda: site.bytes_of(one, third))

            # Room can be made: by an operator, by upstream, and by the cache itself.
            assert (await site.call("DELETE", f"/v2/cache/{third}"))[0] == 204
            site.fill()
            status, body = await site.call("POST", "/skerry/v1/cache/prune", b'{"to": 0}')
            assert (status, msgspec.json.decode(body)["evicted"]) == (200, [one])
            await eventually(lambda: site.bytes_of())
            await fetch(site, third, changed)

            site.empty()
            await fetch(site, other, large)
            await become(site, {third: "complete", other: "complete"})
            await eventually(lambda: site.bytes_of(third, other))
