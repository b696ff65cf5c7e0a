"""`skerry site` and `skerry join` as an operator types them, with sites in processes of their own."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from skerry.cli.main import main
from skerry.lab.run import free_port
from tests.functional.federation.cast import sites_url
from tests.functional.people import PASSWORD, Peopled


class Place:
    """A machine with a site: what is typed there has its settings in the environment."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        own = {
            "SKERRY_SITE_DATA": str(folder),
            "SKERRY_API_LISTEN": self.url.removeprefix("http://"),
            "OS_IMAGE_ENDPOINT_OVERRIDE": self.url,
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SKERRY_", "OS_"))}
        self._environ: Mapping[str, str] = {**kept, **own, **variables}

    async def run(self, *words: str) -> str:
        """What a command prints; it must succeed."""
        process = await self._start(*words)
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return out.decode()

    async def json(self, *words: str) -> Any:
        """What a command says to scripts."""
        return json.loads(await self.run(*words, "-f", "json"))

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[aiohttp.ClientSession]:
        """`skerry serve`; yields a client of its API once that answers."""
        process = await self._start("serve")
        try:
            async with aiohttp.ClientSession(self.url) as client:
                async with asyncio.timeout(20):
                    while not await _answers(client):
                        assert process.returncode is None
                yield client
        finally:
            if process.returncode is None:
                process.terminate()
            await process.communicate()

    async def _start(self, *words: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "skerry", *words,
            env=self._environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip


async def _answers(client: aiohttp.ClientSession) -> bool:
    try:
        async with client.get("/healthcheck") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        await asyncio.sleep(0.02)
        return False


async def test_a_site_is_added_joins_serves_and_writes_through(tmp_path: Path) -> None:
    centre = Place(
        tmp_path / "centre", SKERRY_SITE_NAME="central", SKERRY_SITES_LISTEN=f"127.0.0.1:{free_port()}"
    )
    edge = Place(tmp_path / "edge")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(centre.serving())
        said = await centre.run("site", "add", "lyon-3", "--label", "tier=far", "--expires", "10m")
        (line,) = [line.split() for line in said.splitlines() if "skerry join" in line]
        assert line[:2] == ["skerry", "join"]

        said = await edge.run(*line[1:])
        assert "This is site lyon-3 now, below central at https://127.0.0.1:" in said
        there = await stack.enter_async_context(edge.serving())

        async with asyncio.timeout(20):
            while len((await _json(there, "/skerry/v1/sites"))["sites"]) != 2:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        changed = await edge.json("site", "set", "lyon-3", "--label", "rack=7", "--label", "tier=")
        assert changed["labels"] == {"rack": "7"}
        assert (await _json(there, "/skerry/v1/status"))["site"] == "lyon-3"


async def _json(client: aiohttp.ClientSession, path: str) -> Any:
    async with client.get(path) as answer:
        return await answer.json()


@pytest.fixture
def type_at(central: Peopled, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Commands as an administrator of the centre types them: the exit code, and what they print."""
    monkeypatch.setenv("OS_IMAGE_ENDPOINT_OVERRIDE", central.url)
    monkeypatch.setenv("OS_AUTH_TYPE", "http_basic")
    monkeypatch.setenv("OS_USERNAME", "admin")
    monkeypatch.setenv("OS_PASSWORD", PASSWORD)

    async def type_at(*words: str) -> tuple[int, str]:
        code = await asyncio.to_thread(main, words)
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return type_at


async def test_what_an_administrator_types_in_the_life_of_a_site(
    central: Peopled, type_at: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said = await type_at("site", "add", "lyon", "--label", "tier=far", "-f", "json")
    assert code == 0
    invitation = json.loads(said)
    assert invitation["url"] == sites_url(central)
    assert "invited" in (await type_at("site", "list"))[1]

    monkeypatch.setenv("SKERRY_SITE_DATA", str(tmp_path / "lyon"))
    code, said = await type_at("join", invitation["url"], invitation["token"], "-f", "json")
    assert (code, json.loads(said)["upstream"]) == (0, "central")

    code, said = await type_at("site", "show", "lyon")
    assert code == 0
    assert "tier=far" in said
    for word, state in (("drain", "draining"), ("undrain", "active"), ("revoke", "revoked")):
        code, said = await type_at("site", word, "lyon", "-f", "json")
        assert (code, json.loads(said)["state"]) == (0, state)
    assert (await type_at("site", "undrain", "lyon"))[0] == 5
    assert await type_at("site", "remove", "lyon") == (0, "")
    assert (await type_at("site", "show", "lyon"))[0] == 3
    code, said = await type_at("site", "rotate")
    assert code == 0
    assert "Site central has a new key" in said


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["join", "https://127.0.0.1:1", "nonsense"], 2, "This is no token"),
        (["site", "add", "Not A Name"], 2, "cannot be called"),
        (["site", "add", "central"], 5, "There is a site central already"),
        (["site", "set", "nowhere", "--label", "a=b"], 3, "There is no site nowhere"),
        (["site", "remove", "central"], 5, "central is the centre"),
    ],
)
async def test_what_cannot_be_has_an_exit_code_and_a_reason(
    type_at: Any, words: list[str], code: int, complaint: str
) -> None:
    found, said = await type_at(*words)

    assert found == code
    assert complaint in said
