"""Several processes of one site: one leads, the others are its aides, and any may die at any moment."""

import asyncio
import hashlib
import json
import os
import random
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from skerry.cli.main import main
from tests.fault.killable import Killable
from tests.simulators.upstream import Upstream

JSON_PATCH = "application/openstack-images-v2.1-json-patch"


class Crew:
    """The processes of one site in `folder`, in the order in which they were started."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self._folder = folder
        self._environ: Any = {"SKERRY_SITE_SHARED": "true", **environ}
        self._stack = AsyncExitStack()
        self.processes: list[Killable] = []

    async def start(self) -> Killable:
        """One more."""
        session = await self._stack.enter_async_context(aiohttp.ClientSession())
        process = Killable(self._folder, session, **self._environ)
        self.processes.append(process)
        await process.start()
        return process

    async def end(self) -> None:
        for process in self.processes:
            await process.end()
        await self._stack.aclose()


@asynccontextmanager
async def crew(folder: Path, size: int, **environ: str) -> AsyncIterator[Crew]:
    running = Crew(folder, **environ)
    try:
        for _ in range(size):
            await running.start()
        yield running
    finally:
        await running.end()


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[Killable, Killable]]:
    """A leader and its aide, at a site that is home to its images."""
    async with crew(tmp_path, 2) as running:
        leader, aide = running.processes
        yield leader, aide


async def rename(process: Killable, image_id: str, name: str) -> int:
    change = json.dumps([{"op": "replace", "path": "/name", "value": name}]).encode()
    return (await process.call("PATCH", f"/v2/images/{image_id}", change, Content_Type=JSON_PATCH))[0]


async def upload(process: Killable, data: bytes) -> str:
    image_id = await process.create()
    assert (await process.call("PUT", f"/v2/images/{image_id}/file", data))[0] == 204
    return image_id


async def download(process: Killable, image_id: str) -> bytes:
    status, _, body = await process.call("GET", f"/v2/images/{image_id}/file")
    assert status == 200, body
    assert isinstance(body, bytes)
    return body


async def patiently(process: Killable, image_id: str) -> bytes:
    """Download, again and again while the site loses processes."""
    async with asyncio.timeout(60):
        while True:
            try:
                status, _, body = await process.call("GET", f"/v2/images/{image_id}/file")
                if status == 200:
                    assert isinstance(body, bytes)
                    return body
            except (aiohttp.ClientError, OSError):
                await asyncio.sleep(0.05)


async def shown(process: Killable, image_id: str) -> str:
    status, _, image = await process.call("GET", f"/v2/images/{image_id}")
    return str(image["name"]) if status == 200 else str(status)


async def test_whatever_one_process_answers_the_other_answers_as_well_at_once(
    pair: tuple[Killable, Killable],
) -> None:
    data = os.urandom(3 << 20)
    for one, other in (pair, pair[::-1]):
        for _ in range(20):
            image_id = await one.create(name="new")
            assert await shown(other, image_id) == "new"
            assert await rename(other, image_id, "old") == 200
            assert await shown(one, image_id) == "old"
            assert (await one.call("DELETE", f"/v2/images/{image_id}"))[0] == 204
            assert await shown(other, image_id) == "404"
        image_id = await upload(one, data)
        for process in pair:
            assert await download(process, image_id) == data
            _, _, page = await process.call("GET", "/v2/images")
            assert image_id in [image["id"] for image in page["images"]]
            status, headers, part = await process.call(
                "GET", f"/v2/images/{image_id}/file", Range="bytes=1000000-1000999"
            )
            assert (status, part) == (206, data[1_000_000:1_001_000])
            assert headers["Content-Range"] == f"bytes 1000000-1000999/{len(data)}"
            status, headers, _ = await process.call("HEAD", f"/v2/images/{image_id}/file")
            assert (status, headers["Content-Length"]) == (200, str(len(data)))
    await pair[1].check_whole()


async def test_a_storm_over_both_loses_no_update_and_mixes_no_bytes(pair: tuple[Killable, Killable]) -> None:
    draw = random.Random(1)
    shared = await pair[0].create(name="shared")

    async def client(number: int) -> None:
        for turn in range(4):
            process = pair[draw.randrange(2)]
            data = draw.randbytes(draw.randrange(1, 2 << 20))
            image_id = await upload(process, data)
            assert (await process.call("PUT", f"/v2/images/{shared}/tags/{number}-{turn}"))[0] == 204
            got = await asyncio.gather(*(download(any_, image_id) for any_ in pair))
            assert [hashlib.sha512(body).digest() for body in got] == [hashlib.sha512(data).digest()] * 2
            if turn % 2:
                assert (await pair[draw.randrange(2)].call("DELETE", f"/v2/images/{image_id}"))[0] == 204

    await asyncio.gather(*(client(number) for number in range(8)))

    _, _, image = await pair[0].call("GET", f"/v2/images/{shared}")
    assert set(image["tags"]) == {f"{number}-{turn}" for number in range(8) for turn in range(4)}
    await pair[1].check_whole()


async def test_one_of_two_senders_of_one_image_is_kept_out_whichever_process_they_ask(
    pair: tuple[Killable, Killable],
) -> None:
    image_id = await pair[0].create()
    data = [os.urandom(1 << 20) for _ in pair]

    answers = await asyncio.gather(
        *(
            process.call("PUT", f"/v2/images/{image_id}/file", body)
            for process, body in zip(pair, data, strict=True)
        )
    )

    statuses = [status for status, _, _ in answers]
    assert sorted(statuses) == [204, 409]
    assert await download(pair[0], image_id) == data[statuses.index(204)]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_when_the_leader_ends_the_aide_leads_and_nobody_who_reads_or_waits_notices(
    pair: tuple[Killable, Killable], number: int
) -> None:
    leader, aide = pair
    data = os.urandom(2 << 20)
    image_id = await upload(leader, data)
    over = asyncio.Event()

    async def read() -> list[str]:
        names = []
        while not over.is_set():
            names.append(await shown(aide, image_id))
        return names

    reader = asyncio.create_task(read())
    await leader.end(number)
    assert await rename(aide, image_id, "new") == 200
    assert await shown(aide, image_id) == "new"
    over.set()
    assert set(await reader) <= {"n", "new"}
    assert await download(aide, image_id) == data
    await aide.check_whole()


async def test_an_aide_that_dies_takes_nothing_with_it_and_another_takes_its_place(tmp_path: Path) -> None:
    async with crew(tmp_path, 2) as site:
        leader, aide = site.processes
        image_id = await upload(aide, b"data")
        await aide.end()
        assert await rename(leader, image_id, "new") == 200

        third = await site.start()
        fourth = await site.start()
        for process in (leader, third, fourth):
            assert await shown(process, image_id) == "new"
        await leader.end()
        await third.end()
        assert await rename(fourth, image_id, "last") == 200
        assert await download(fourth, image_id) == b"data"
        await fourth.check_whole()


async def test_an_upload_whose_leader_dies_can_be_done_again(pair: tuple[Killable, Killable]) -> None:
    leader, aide = pair
    image_id = await aide.create()
    data = os.urandom(1 << 20)
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield data[:1000]
        begun.set()
        await goes_on.wait()
        yield data[1000:]

    sending = asyncio.create_task(aide.call("PUT", f"/v2/images/{image_id}/file", body()))
    await begun.wait()
    while await leader.status(image_id) != "saving":  # noqa: ASYNC110  (what is waited for is elsewhere)
        await asyncio.sleep(0.01)
    await leader.end()
    goes_on.set()

    status, headers, text = await sending
    assert (status, headers["Retry-After"]) == (503, "5")
    assert b"Look before you try again" in text
    assert (await aide.call("PUT", f"/v2/images/{image_id}/file", data))[0] == 204
    assert await download(aide, image_id) == data
    await aide.check_whole()


async def test_a_sender_that_goes_away_is_missed_by_the_leader_as_well(
    pair: tuple[Killable, Killable],
) -> None:
    _, aide = pair
    plain, resumable = [await aide.create() for _ in range(2)]
    data = os.urandom(1 << 20)

    async def half() -> AsyncIterator[bytes]:
        yield data[: 1 << 19]
        raise ConnectionError

    with pytest.raises((aiohttp.ClientError, ConnectionError)):
        await aide.call("PUT", f"/v2/images/{plain}/file", half())
    with pytest.raises((aiohttp.ClientError, ConnectionError)):
        await aide.append(resumable, 0, half(), complete=True)

    while await aide.status(plain) != "queued":  # noqa: ASYNC110  (what is waited for is elsewhere)
        await asyncio.sleep(0.01)
    offset = await aide.offset(resumable)
    assert 0 <= offset <= 1 << 19
    assert await aide.append(resumable, offset, data[offset:], complete=True) == 204
    assert await download(aide, resumable) == data
    await aide.check_whole()


@pytest.fixture
async def upstream() -> AsyncIterator[tuple[Upstream, str]]:
    upstream = Upstream()
    async with upstream.listening() as url:
        yield upstream, url


async def test_an_image_comes_once_however_many_ask_and_both_hand_it_on_while_it_comes(
    tmp_path: Path, upstream: tuple[Upstream, str]
) -> None:
    above, url = upstream
    images = {above.add(data): data for data in (os.urandom(3 << 20) for _ in range(3))}
    above.held.clear()
    first: dict[tuple[int, str], asyncio.Event] = {}

    async with crew(tmp_path, 2, SKERRY_UPSTREAM_URL=url) as site:

        async def follow(number: int, image_id: str) -> None:
            event = first[number, image_id] = asyncio.Event()
            process = site.processes[number % 2]
            digest = hashlib.sha512()
            async with process._session.get(f"{process._url}/v2/images/{image_id}/file") as response:
                assert response.status == 200
                assert response.content_length == len(images[image_id])
                async for chunk in response.content.iter_any():
                    digest.update(chunk)
                    event.set()
            assert digest.digest() == hashlib.sha512(images[image_id]).digest()

        async with asyncio.TaskGroup() as clients:
            for number in range(6):
                for image_id in images:
                    clients.create_task(follow(number, image_id))
            await asyncio.sleep(0)
            for event in list(first.values()):
                await event.wait()
            above.held.set()

        assert len(above.downloads()) == len(images)


async def test_bytes_that_turn_out_wrong_are_never_whole_whoever_hands_them_on(
    tmp_path: Path, upstream: tuple[Upstream, str]
) -> None:
    above, url = upstream
    data = os.urandom(3 << 20)
    image_id = above.add(data)
    above.tamper = 1
    above.held.clear()

    async with crew(tmp_path, 2, SKERRY_UPSTREAM_URL=url) as site:
        async with site.processes[1].answering(f"/v2/images/{image_id}/file") as answer:
            await answer.content.readexactly(1)
            above.held.set()
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()
        assert await patiently(site.processes[1], image_id) == data


async def test_a_fetch_whose_leader_dies_goes_on_from_where_it_was(
    tmp_path: Path, upstream: tuple[Upstream, str]
) -> None:
    above, url = upstream
    data = os.urandom(8 << 20)
    image_id = above.add(data)
    above.held.clear()

    async with crew(tmp_path, 2, SKERRY_UPSTREAM_URL=url) as site:
        leader, aide = site.processes
        waiting = asyncio.create_task(patiently(aide, image_id))
        while "checkpoint.recorded" not in leader.passed():  # noqa: ASYNC110  (in another program)
            await asyncio.sleep(0.01)
        await leader.end()
        above.held.set()

        assert await waiting == data
        assert above.downloads()[0] == ""
        assert all(asked.startswith("bytes=") for asked in above.downloads()[1:])
        await aide.end(signal.SIGTERM)


async def test_processes_that_die_one_after_the_other_leave_a_site_that_is_whole(tmp_path: Path) -> None:
    draw = random.Random(7)
    async with crew(tmp_path, 2) as site:
        known: dict[str, bytes] = {}
        over = False

        async def client() -> None:
            while not over:
                data = draw.randbytes(draw.randrange(1, 1 << 20))
                try:
                    process = draw.choice(site.processes[-2:])
                    image_id = await process.create()
                    status, _, _ = await process.call("PUT", f"/v2/images/{image_id}/file", data)
                    if status == 204:
                        known[image_id] = data
                except (aiohttp.ClientError, OSError, AssertionError):
                    await asyncio.sleep(0.01)

        clients = [asyncio.create_task(client()) for _ in range(4)]
        for _ in range(5):
            had = len(known)
            while len(known) < had + 3:  # noqa: ASYNC110  (what is waited for is elsewhere)
                await asyncio.sleep(0.01)
            await site.start()
            await site.processes[-2 - draw.randrange(2)].end()
        over = True
        await asyncio.gather(*clients)

        last = site.processes[-1]
        for process in site.processes[:-1]:
            await process.end()
        for image_id, data in known.items():
            assert await download(last, image_id) == data
        await last.check_whole()


async def test_all_processes_may_listen_on_one_port(
    tmp_path: Path, unused_tcp_port_factory: Callable[[], int]
) -> None:
    listen = f"127.0.0.1:{unused_tcp_port_factory()}"
    async with crew(tmp_path, 3, SKERRY_API_LISTEN=listen) as site:
        image_id = await upload(site.processes[0], b"data")
        for process in site.processes[:2]:
            await process.end()
            for _ in range(5):
                async with (
                    aiohttp.ClientSession() as session,
                    session.get(f"http://{listen}/v2/images/{image_id}/file") as response,
                ):
                    assert await response.read() == b"data"


async def test_a_program_that_must_be_alone_does_not_start_beside_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with crew(tmp_path, 1):
        monkeypatch.setenv("SKERRY_SITE_DATA", str(tmp_path / "data"))
        assert await asyncio.to_thread(main, ["db", "upgrade"]) == 2
        assert "another skerry serves" in capsys.readouterr().err
