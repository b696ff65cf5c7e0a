"""`skerry lab` as a person uses it: real sites, real commands, a line that is cut and restored."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

DATA = os.urandom(1 << 20) * 5
STARTS, STOPS = 60, 30


@dataclass
class Finished:
    code: int
    out: str
    err: str


async def skerry(*argv: str | Path) -> Finished:
    """Run one command to its end."""
    child = await start(*argv)
    async with asyncio.timeout(STARTS):
        out, err = await child.communicate()
    assert child.returncode is not None
    return Finished(child.returncode, out.decode(), err.decode())


async def start(*argv: str | Path) -> Process:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "SKERRY_"))}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "skerry", *argv, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=environ
    )  # fmt: skip


class Lab:
    """A running `skerry lab`."""

    def __init__(self, process: Process, state: Path) -> None:
        self.process = process
        self.state = state
        self.banner = ""

    def url(self, site: str) -> str:
        found = re.search(rf"^  {site} +(http://\S+)(  below \S+)?$", self.banner, re.MULTILINE)
        assert found, self.banner
        return found[1]

    async def says(self, words: str) -> str:
        """Read on until the lab has said `words`; returns what it said."""
        assert self.process.stdout is not None
        said = ""
        async with asyncio.timeout(STARTS):
            while words not in said:
                line = await self.process.stdout.readline()
                assert line, f"{said}\n{await self._errors()}"
                said += line.decode()
        return said

    async def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(STOPS):
            return await self.process.wait()

    async def _errors(self) -> str:
        assert self.process.stderr is not None
        return (await self.process.stderr.read()).decode()

    async def link(self, edge: str, *order: str) -> str:
        done = await skerry("lab", "--state", self.state, "link", edge, *order)
        assert done.code == 0, done
        return done.out

    def pid(self, site: str) -> int:
        """The process of a site."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        (pid,) = (
            int(child)
            for child in children.split()
            if str(self.state / site) in Path(f"/proc/{child}/cmdline").read_text()
        )
        return pid


@asynccontextmanager
async def lab(state: Path, *edges: str) -> AsyncIterator[Lab]:
    async with tree(state, *(word for edge in edges for word in ("--edge", edge))) as running:
        yield running


@asynccontextmanager
async def tree(state: Path, *options: str) -> AsyncIterator[Lab]:
    process = await start("lab", *options, "--state", state, "--central-port", "0")
    running = Lab(process, state)
    try:
        running.banner = await running.says("export OS_AUTH_TYPE=none")
        yield running
    finally:
        await running.stop()
        for log in state.glob("*/skerry.log"):
            print(f"{log}:\n{log.read_text()}")


def listens(url: str) -> bool:
    host, port = url.removeprefix("http://").split(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    file = tmp_path / "debian.img"
    file.write_bytes(DATA)
    return file


async def upstream_state(url: str) -> str:
    done = await skerry("status", "--site", url, "-f", "json")
    assert done.code == 0, done
    state: str = json.loads(done.out)["upstream"]["state"]
    return state


async def becomes(url: str, state: str) -> None:
    """Ask a site for its upstream until it is `state`; how soon is the site's own business."""
    async with asyncio.timeout(STARTS):
        while await upstream_state(url) != state:
            pass


async def test_upload_here_boot_there_cut_the_line(tmp_path: Path, image: Path) -> None:
    async with lab(tmp_path / "lab", "lyon", "brest") as running:
        central, lyon = running.url("central"), running.url("lyon")
        pushed = await skerry("push", image, "--name", "debian", "--site", central, "-f", "json")
        assert pushed.code == 0, pushed
        assert json.loads(pushed.out)["status"] == "active"

        first = await skerry("pull", "debian", tmp_path / "first.img", "--site", lyon)
        assert first.code == 0, first
        assert await upstream_state(lyon) == "connected"

        assert "is cut" in await running.link("lyon", "cut")
        assert "lyon is cut" in await running.says("lyon is cut")
        again = await skerry("pull", "debian", tmp_path / "again.img", "--site", lyon)
        assert again.code == 0, again
        assert (tmp_path / "first.img").read_bytes() == (tmp_path / "again.img").read_bytes() == DATA

        unknown = await skerry("pull", str(uuid4()), tmp_path / "no.img", "--site", lyon)
        assert unknown.code != 0
        assert await upstream_state(lyon) == "cut"
        assert "cut since" in (await skerry("status", "--site", lyon)).out
        assert await upstream_state(running.url("brest")) == "connected"

        assert "is up" in await running.link("lyon", "restore")
        await becomes(lyon, "connected")


async def test_edges_below_a_region_go_on_when_its_line_is_cut(tmp_path: Path, image: Path) -> None:
    async with tree(
        tmp_path / "lab", "--region", "paris", "--edge", "lyon,brest", "--edge", "nice"
    ) as running:
        lyon, nice = running.url("lyon"), running.url("nice")
        pushed = await skerry("push", image, "--name", "debian", "--site", lyon)  # through paris
        assert pushed.code == 0, pushed
        pulled = await skerry("pull", "debian", tmp_path / "first.img", "--site", lyon)
        assert pulled.code == 0, pulled

        assert "is cut" in await running.link("paris", "cut")
        for site, name in ((lyon, "again.img"), (running.url("brest"), "other.img")):  # paris has it
            pulled = await skerry("pull", "debian", tmp_path / name, "--site", site)
            assert pulled.code == 0, pulled
            assert (tmp_path / name).read_bytes() == DATA
            assert await upstream_state(site) == "connected"
        pulled = await skerry("pull", "debian", tmp_path / "nice.img", "--site", nice)  # is at the centre
        assert pulled.code == 0, pulled
        assert (await skerry("push", image, "--name", "more", "--site", lyon)).code != 0

        assert "is up" in await running.link("paris", "restore")
        await becomes(running.url("paris"), "connected")
        pushed = await skerry("push", image, "--name", "more", "--site", lyon)
        assert pushed.code == 0, pushed


async def test_an_operator_steers_the_cache_of_an_edge(tmp_path: Path, image: Path) -> None:
    async with lab(tmp_path / "lab", "lyon") as running:
        central, lyon = running.url("central"), running.url("lyon")
        pushed = await skerry("push", image, "--site", central, "-f", "json")
        image_id = json.loads(pushed.out)["id"]
        for order in (("queue", image_id), ("pin", image_id)):
            done = await skerry("cache", *order, "--site", lyon)
            assert done.code == 0, done
        pulled = await skerry("pull", image_id, tmp_path / "got.img", "--site", lyon)
        assert pulled.code == 0, pulled

        listed = await skerry("cache", "list", "--site", lyon)
        assert re.search(rf"{image_id} +complete +5\.0 MiB +pinned", listed.out), listed
        pruned = await skerry("cache", "prune", "--to", "0", "--site", lyon)
        assert (pruned.code, "pinned" in pruned.err) == (7, True), pruned
        assert image_id in (await skerry("cache", "list", "--site", lyon)).out
        await skerry("cache", "unpin", image_id, "--site", lyon)
        assert (await skerry("cache", "prune", "--to", "0", "--site", lyon)).out == f"{image_id}\n"
        assert image_id not in (await skerry("cache", "list", "--site", lyon)).out
        assert (await skerry("cache", "list", "--site", central)).code == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
async def test_a_signal_stops_all_of_it_and_the_next_start_has_what_there_was(
    tmp_path: Path, image: Path, number: signal.Signals
) -> None:
    async with lab(tmp_path / "lab", "lyon") as running:
        urls = [running.url("central"), running.url("lyon")]
        pushed = await skerry("push", image, "--name", "debian", "--site", urls[0])
        assert pushed.code == 0, pushed
        assert all(map(listens, urls))
        assert await running.stop(number) == 0
        assert not any(map(listens, urls))
    async with lab(tmp_path / "lab", "lyon") as running:
        pulled = await skerry("pull", "debian", tmp_path / "got.img", "--site", running.url("lyon"))
        assert pulled.code == 0, pulled
    assert (tmp_path / "got.img").read_bytes() == DATA


async def test_a_site_that_dies_is_reported_and_the_others_go_on(tmp_path: Path) -> None:
    async with lab(tmp_path / "lab", "lyon") as running:
        os.kill(running.pid("lyon"), signal.SIGKILL)
        said = await running.says("All of it:")
        assert "Site lyon was killed by SIGKILL. Its last words:" in said
        assert "answers on" in said
        assert listens(running.url("central"))
        assert running.process.returncode is None


async def test_a_site_that_cannot_start_is_reported_and_nothing_is_left_running(tmp_path: Path) -> None:
    state = tmp_path / "lab"
    (state / "lyon" / "skerry.db").mkdir(parents=True)
    done = await skerry("lab", "--edge", "lyon", "--state", state, "--central-port", "0")
    assert done.code == 1
    assert done.out == ""
    assert "Site lyon stopped with exit code" in done.err
    assert str(state / "lyon" / "skerry.log") in done.err
    central = re.search(r'listen = "(\S+)"', (state / "central" / "skerry.toml").read_text())
    assert central
    assert not listens(f"http://{central[1]}")


async def test_a_port_in_use_is_one_clear_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = await skerry("lab", "--edge", "lyon", "--state", tmp_path / "lab", "--central-port", port)
    assert done.code == 5
    assert done.err == (
        f"skerry: Port {port} of 127.0.0.1 cannot be used for central: Address already in use. "
        "Stop what listens there, or put the lab elsewhere: skerry lab --central-port PORT\n"
    )


async def test_a_lab_without_edges_says_what_to_write() -> None:
    done = await skerry("lab")
    assert (done.code, done.out) == (2, "")
    assert "skerry lab --edge lyon" in done.err
