"""A site whose disk is full: nothing half done, everything readable, and deleting makes room again."""

import hashlib
import os
from pathlib import Path

from tests.fault.small_disk import SmallSite, small_site


async def test_a_full_disk_leaves_nothing_half_done_and_deleting_makes_room_again(tmp_path: Path) -> None:
    async with small_site(tmp_path) as site:
        await fill_and_empty(site)


async def fill_and_empty(site: SmallSite) -> None:
    data = os.urandom(4 << 20)
    kept, status = await site.create(data)
    assert status == 204

    too_big, status = await site.create(os.urandom(64 << 20))
    assert status == 507
    assert await site.status(too_big) == "queued"
    assert site.bytes_of(kept)

    for restarted in (False, True):
        if restarted:
            await site.kill()
        site.fill()
        status, body = await site.call("GET", f"/v2/images/{kept}/file")
        assert (status, hashlib.md5(body).digest()) == (200, hashlib.md5(data).digest())
        assert (await site.call("GET", "/v2/images"))[0] == 200

    assert (await site.call("DELETE", f"/v2/images/{kept}"))[0] == 204
    assert site.bytes_of()
    assert (await site.call("GET", f"/v2/images/{kept}"))[0] == 404

    site.empty()
    again, status = await site.create(data)
    assert status == 204
    assert site.bytes_of(again)
