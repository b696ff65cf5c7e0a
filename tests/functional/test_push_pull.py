"""`skerry push` and `skerry pull` against a service whose lines break."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from skerry.cli.main import main
from tests.simulators.image_service import ImageService

IMAGE = "11111111-2222-4333-8444-555555555555"
OTHER = "11111111-2222-4333-8444-666666666666"
DATA = bytes(range(251)) * 20_000


class Bar:
    """A progress bar that a test can wait for."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._moved = asyncio.Event()
        self._position = 0

    @contextmanager
    def shown(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        def at(position: int) -> None:
            self._loop.call_soon_threadsafe(self._move, position)

        yield at

    def _move(self, position: int) -> None:
        self._position = position
        self._moved.set()

    async def reached(self, position: int) -> None:
        async with asyncio.timeout(10):
            while self._position < position:
                self._moved.clear()
                await self._moved.wait()


@pytest.fixture
async def bar(monkeypatch: pytest.MonkeyPatch) -> Bar:
    made = Bar()
    monkeypatch.setattr("skerry.cli.progress.bar", made.shown)
    return made


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("OS_TOKEN", "OS_AUTH_TYPE", "OS_AUTH_URL", "OS_IMAGE_ENDPOINT_OVERRIDE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "debian.img"
    path.write_bytes(DATA)
    return path


async def skerry(*argv: str | Path) -> int:
    return await asyncio.to_thread(main, [str(word) for word in argv])


async def test_push_makes_an_active_image(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    service = ImageService()
    async with service.serving() as url:
        assert await skerry(
            "push", file, "--name", "debian", "--property", "os_distro=debian", "--tag", "a", "--site", url,
            "-f", "json",
        ) == 0  # fmt: skip
    printed = json.loads(capsys.readouterr().out)
    record = service.records[printed["id"]]
    assert record["status"] == "active"
    assert (record["name"], record["os_distro"], record["tags"]) == ("debian", "debian", ["a"])
    assert (record["disk_format"], record["container_format"]) == ("raw", "bare")
    assert service.data[printed["id"]] == DATA


async def test_push_sees_what_format_a_file_is(tmp_path: Path) -> None:
    header = (
        b"QFI\xfb"
        + (3).to_bytes(4, "big")
        + bytes(12)
        + (16).to_bytes(4, "big")
        + (1 << 20).to_bytes(8, "big")
    )
    file = tmp_path / "image"
    file.write_bytes(header.ljust(65536, b"\0"))
    service = ImageService()
    async with service.serving() as url:
        assert await skerry("push", file, "--site", url) == 0
    (record,) = service.records.values()
    assert (record["name"], record["disk_format"]) == ("image", "qcow2")


async def test_a_push_that_breaks_off_goes_on_by_itself_where_it_was(file: Path) -> None:
    service = ImageService(breaks=[1_000_000, 2_000_000])
    async with service.serving() as url:
        assert await skerry("push", file, "--site", url) == 0
    assert [bytes(data) for data in service.data.values()] == [DATA]
    assert service.calls == ["PATCH at 0", "PATCH at 1000000", "PATCH at 3000000"]


async def test_the_same_push_after_an_interruption_goes_on_with_the_same_image(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    service = ImageService(breaks=[1_000_000])
    async with service.serving() as url:
        with monkeypatch.context() as patch:
            patch.setattr("skerry.cli.client._TRIES", 1)
            assert await skerry("push", file, "--site", url) == 6
            assert "the connection broke off. The same command goes on" in capsys.readouterr().err
        assert await skerry("push", file, "--site", url) == 0
        assert len(service.records) == 1
        assert service.calls == ["PATCH at 0", "PATCH at 1000000"]
        assert await skerry("push", file, "--site", url) == 0
        assert len(service.records) == 2


async def test_a_push_whose_last_answer_is_lost_is_done_all_the_same(file: Path) -> None:
    service = ImageService()
    service.mute = True
    async with service.serving() as url:
        assert await skerry("push", file, "--site", url) == 0
    assert service.calls == ["PATCH at 0"]


async def test_push_to_a_given_id_fills_the_queued_image_of_that_id(file: Path) -> None:
    service = ImageService()
    async with service.serving() as url:
        service.add(IMAGE, "waiting", b"")
        service.records[IMAGE]["status"] = "queued"
        assert await skerry("push", file, "--id", IMAGE, "--site", url) == 0
    assert service.records[IMAGE]["name"] == "waiting"
    assert service.data[IMAGE] == DATA


async def test_push_to_a_stock_glance_sends_the_whole_file_each_time(file: Path) -> None:
    service = ImageService(resumable=False, breaks=[1_000_000])
    async with service.serving() as url:
        assert await skerry("push", file, "--site", url) == 0
    assert [bytes(data) for data in service.data.values()] == [DATA]
    assert service.calls == ["PUT", "PUT"]


@pytest.mark.parametrize("wanted", ["debian", IMAGE])
async def test_pull_fetches_by_name_or_id(tmp_path: Path, wanted: str) -> None:
    service = ImageService()
    service.add(IMAGE, "debian", DATA)
    async with service.serving() as url:
        assert await skerry("pull", wanted, tmp_path / "got", "--site", url) == 0
    assert (tmp_path / "got").read_bytes() == DATA
    assert [path.name for path in tmp_path.iterdir()] == ["got"]


async def test_a_pull_that_breaks_off_goes_on_by_itself_where_it_was(tmp_path: Path, bar: Bar) -> None:
    service = ImageService(breaks=[1_000_000, 2_000_000])
    service.seen = bar.reached
    service.add(IMAGE, "debian", DATA)
    async with service.serving() as url:
        assert await skerry("pull", "debian", tmp_path / "got", "--site", url) == 0
    assert (tmp_path / "got").read_bytes() == DATA
    assert service.calls == ["GET from 0", "GET from 1000000", "GET from 3000000"]


async def test_the_same_pull_after_an_interruption_goes_on_with_what_is_there(
    tmp_path: Path, bar: Bar, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = ImageService(breaks=[1_000_000])
    service.seen = bar.reached
    service.add(IMAGE, "debian", DATA)
    async with service.serving() as url:
        with monkeypatch.context() as patch:
            patch.setattr("skerry.cli.client._TRIES", 1)
            assert await skerry("pull", "debian", tmp_path / "got", "--site", url) == 6
        assert not (tmp_path / "got").exists()
        assert await skerry("pull", "debian", tmp_path / "got", "--site", url) == 0
    assert (tmp_path / "got").read_bytes() == DATA
    assert service.calls == ["GET from 0", "GET from 1000000"]


async def test_a_pull_without_ranges_begins_again(tmp_path: Path) -> None:
    service = ImageService(ranges=False, breaks=[1_000_000])
    service.add(IMAGE, "debian", DATA)
    async with service.serving() as url:
        assert await skerry("pull", "debian", tmp_path / "got", "--site", url) == 0
    assert (tmp_path / "got").read_bytes() == DATA


async def test_pull_keeps_nothing_of_wrong_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    service = ImageService()
    service.add(IMAGE, "debian", DATA)
    service.data[IMAGE][1234] ^= 1
    async with service.serving() as url:
        assert await skerry("pull", "debian", tmp_path / "got", "--site", url) == 8
    assert list(tmp_path.iterdir()) == []
    assert "not what its record says" in capsys.readouterr().err


async def test_pull_asks_which_of_several_images_of_a_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service = ImageService()
    service.add(IMAGE, "debian", DATA)
    service.add(OTHER, "debian", DATA)
    async with service.serving() as url:
        assert await skerry("pull", "debian", tmp_path / "got", "--site", url) == 5
        said = capsys.readouterr().err
        assert IMAGE in said
        assert OTHER in said
        assert await skerry("pull", "fedora", tmp_path / "got", "--site", url) == 3
    assert list(tmp_path.iterdir()) == []


async def test_a_site_that_is_not_there_is_said_so(
    tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with ImageService().serving() as url:
        pass
    assert await skerry("push", file, "--site", url) == 6
    assert await skerry("pull", "debian", tmp_path / "got", "--site", url) == 6
    said = capsys.readouterr().err
    assert said.count(f"{url}: Connection refused.") == 2
    assert "Traceback" not in said
