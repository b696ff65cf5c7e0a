"""A centre and an edge, each a process of its own, killed while records and bytes travel between them."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from skerry.lab.run import free_port

_PROGRAM = """
import asyncio, os, signal, sys
from pathlib import Path
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from skerry.core import write_points
from skerry.core.clock import SystemClock
from skerry.core.signing import SigningKey
from skerry.service import listening, open_site
from tests.functional.kin import FixedBelonging, Tree
from tests.functional.sites import settings

folder, name, port, upstream = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4] or None
keys = {
    name: SigningKey(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))
    for number, name in enumerate(("centre", "lyon"))
}
tree = Tree({"centre": None, "lyon": "centre"}, keys)
die_at = folder / f"{name}-dies"
passed = set()

def reached(label):
    if label not in passed:
        passed.add(label)
        with (folder / f"{name}-passed").open("a") as log:
            print(label, file=log)
    if die_at.exists() and die_at.read_text() == label:
        die_at.unlink()
        os.kill(os.getpid(), signal.SIGKILL)

write_points.set_hook(reached)

async def main():
    patience, api = {"timeout": 0.4, "stall": 2}, {"listen": f"127.0.0.1:{port}"}
    config = settings(folder / name, upstream=patience, api=api)
    belonging = FixedBelonging(name, tree, upstream)
    async with open_site(config, SystemClock(), belonging) as site, listening(site):
        print("answers", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


class Process:
    """One of the two sites."""

    def __init__(
        self, folder: Path, name: str, port: int, upstream: str, session: aiohttp.ClientSession
    ) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._folder = folder
        self._arguments = (str(folder), name, str(port), upstream)
        self._name = name
        self._session = session
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        root = str(Path(__file__).parents[2])
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _PROGRAM, *self._arguments,
            stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": root},
        )  # fmt: skip
        assert self._process.stdout is not None
        async with asyncio.timeout(30):
            assert await self._process.stdout.readline() == b"answers\n"

    def die_at(self, label: str) -> None:
        (self._folder / f"{self._name}-dies").write_text(label)

    def passed(self) -> set[str]:
        log = self._folder / f"{self._name}-passed"
        return set(log.read_text().split()) if log.exists() else set()

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
            await self._process.wait()

    async def died(self) -> None:
        assert self._process is not None
        async with asyncio.timeout(30):
            assert await self._process.wait() == -signal.SIGKILL

    async def call(self, method: str, path: str, **kind: Any) -> tuple[int, Any]:
        async with self._session.request(method, self.url + path, **kind) as response:
            body = await response.read()
            is_json = "json" in response.headers.get("Content-Type", "")
            return response.status, msgspec.json.decode(body) if is_json and body else body

    async def create(self, data: bytes) -> str:
        record = {"name": "one", "disk_format": "raw", "container_format": "bare"}
        status, image = await self.call("POST", "/v2/images", json=record)
        assert status == 201
        headers = {"Content-Type": "application/octet-stream"}
        path = f"/v2/images/{image['id']}/file"
        assert (await self.call("PUT", path, data=BytesIO(data), headers=headers))[0] == 204
        return str(image["id"])

    async def records(self) -> dict[str, Any]:
        _, page = await self.call("GET", "/v2/images?limit=1000")
        return {image["id"]: image for image in page["images"]}


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[tuple[Process, Process]]:
    above, below = free_port(), free_port()
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        centre = Process(tmp_path, "centre", above, "", session)
        edge = Process(tmp_path, "lyon", below, centre.url, session)
        for site in (centre, edge):
            stack.push_async_callback(site.kill)
            await site.start()
        yield centre, edge


async def same(*sites: Process) -> None:
    """Wait until these sites know the same images."""
    async with asyncio.timeout(30):
        while True:
            one, other = [await site.records() for site in sites]
            if one == other:
                return
            await asyncio.sleep(0.02)


async def has_bytes(site: Process, image_id: str, data: bytes) -> None:
    """Wait until a site has the bytes of an image itself."""
    async with asyncio.timeout(30):
        while True:
            status, body = await site.call("GET", f"/v2/images/{image_id}/file")
            if status == 200:
                assert body == data
                return
            await asyncio.sleep(0.02)


async def test_an_edge_killed_while_it_takes_a_page_takes_it_after_its_next_start(
    two: tuple[Process, Process],
) -> None:
    centre, edge = two
    await centre.create(b"first")
    await same(centre, edge)
    edge.die_at("feed.applied")
    await centre.create(b"second")
    await edge.died()
    await edge.start()
    await same(centre, edge)


async def test_a_home_killed_while_it_enters_a_change_has_made_it_everywhere_or_nowhere(
    two: tuple[Process, Process],
) -> None:
    centre, edge = two
    image_id = await centre.create(b"first")
    await same(centre, edge)
    centre.die_at("journal.entered")
    with pytest.raises(aiohttp.ClientError):
        await centre.call("DELETE", f"/v2/images/{image_id}")
    await centre.died()
    await centre.start()
    await same(centre, edge)
    assert image_id in await edge.records()
    assert (await centre.call("DELETE", f"/v2/images/{image_id}"))[0] == 204
    await same(centre, edge)


@pytest.mark.parametrize("label", ["feed.applied", "deposit.written", "keep.bytes-visible", "keep.recorded"])
async def test_a_centre_killed_while_bytes_come_up_has_them_after_its_next_start(
    two: tuple[Process, Process], label: str
) -> None:
    centre, edge = two
    data = os.urandom(3_000_000)
    centre.die_at(label)
    image_id = await edge.create(data)
    await centre.died()
    await centre.start()
    await has_bytes(centre, image_id, data)
    await same(centre, edge)


async def test_an_edge_killed_again_and_again_while_it_sends_comes_to_its_end(
    two: tuple[Process, Process],
) -> None:
    centre, edge = two
    data = os.urandom(30_000_000)
    image_id = await edge.create(data)
    for _ in range(3):
        await edge.kill()
        await edge.start()
    await has_bytes(centre, image_id, data)
    await same(centre, edge)
    assert re.search("deposit.written", " ".join(centre.passed()))
