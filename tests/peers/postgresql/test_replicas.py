"""Architecture A by PostgreSQL's own means: a subscription, and a streaming standby."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from peers.postgresql import PostgreSQL, Standby
from skerry.catalog.publication import PUBLISHED, publication, subscription
from skerry.cli.main import main
from skerry.core.freshness import STALE
from skerry.lab.link import Link
from tests.functional.sites import Api, Counter, line_to, noise, running, settings
from tests.peers.postgresql.test_server import name_of
from tests.simulators.clock import ManualClock

SILENT_AFTER = 60
MEMBER = "22222222222222222222222222222222"


@dataclass
class Scene:
    """A home and an edge that has a replica of its records, with two lines between them.

    `asked` is what the edge asked the home by HTTP; `clock` is the edge's.
    """

    home: Api
    edge: Api
    asked: Counter
    clock: ManualClock
    http: Link
    replication: Link
    server: PostgreSQL
    replica: PostgreSQL
    folder: Path

    def cut(self) -> None:
        """Nothing goes from one to the other any more."""
        self.http.cut()
        self.replication.cut()

    def restore(self) -> None:
        self.http.restore()
        self.replication.restore()

    async def at_the_edge(self, path: str) -> tuple[int, str, Any]:
        """(status, Skerry-Stale, body)."""
        status, headers, body = await self.edge.call("GET", path)
        return status, headers.get(STALE, ""), body

    async def listed(self) -> list[str]:
        status, _, body = await self.at_the_edge("/v2/images")
        return [image["name"] for image in body["images"]] if status == 200 else [f"status {status}"]

    async def records(self) -> Any:
        """All that the edge says of images, and the home of the same."""
        here = (await self.at_the_edge("/v2/images"))[2]
        return here, (await self.home.call("GET", "/v2/images"))[2]


async def soon(condition: Callable[[], Awaitable[object]]) -> None:
    """Return when the condition holds. Raises TimeoutError when it does not for a minute."""
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110  (what is waited for happens in other programs)
            await asyncio.sleep(0.05)


@asynccontextmanager
async def a_subscription(
    home: PostgreSQL, database: str, line: int, folder: Path
) -> AsyncIterator[tuple[PostgreSQL, str]]:
    """As `skerry db publication` and `skerry db subscription` say."""
    home.script(publication(), database)
    home.sql("GRANT pg_read_all_data TO skerry")
    server = PostgreSQL(folder / "replica")
    await asyncio.to_thread(server.start)
    try:
        server.create("replica")
        # a subscription gives up on a silent home after this
        server.sql("ALTER SYSTEM SET wal_receiver_timeout = '2s'")
        server.sql("ALTER SYSTEM SET wal_retrieve_retry_interval = '200ms'")
        server.sql("SELECT pg_reload_conf()")
        words = subscription("Lyon-3", home.reached_by(database, line), "skerry")
        await asyncio.to_thread(server.script, words, "replica")
        yield server, server.url("replica")
    finally:
        await asyncio.to_thread(server.stop)


@asynccontextmanager
async def a_standby(
    home: PostgreSQL, database: str, line: int, folder: Path
) -> AsyncIterator[tuple[PostgreSQL, str]]:
    """As `pg_basebackup -R` makes it."""
    server = Standby(folder / "replica", home.reached_by("postgres", line))
    await asyncio.to_thread(server.start)
    try:
        for name in ("wal_receiver_timeout = '2s'", "wal_retrieve_retry_interval = '200ms'"):
            server.sql(f"ALTER SYSTEM SET {name}")
        server.sql("SELECT pg_reload_conf()")
        yield server, server.url(database)
    finally:
        await asyncio.to_thread(server.stop)


@pytest.fixture(params=[a_subscription, a_standby])
async def scene(request: pytest.FixtureRequest, installed: None, tmp_path: Path) -> AsyncIterator[Scene]:
    with TemporaryDirectory(prefix="skerry-replicas-") as place:
        folder = Path(place)
        folder.chmod(0o755)
        with PostgreSQL(folder / "home") as server:
            clock = ManualClock()
            home_settings = settings(tmp_path / "home", database={"url": server.create("skerry")})
            async with running(home_settings) as home:
                asked = Counter(home.url)
                replication = Link(("127.0.0.1", server.port))
                async with (
                    asked.listening() as counted,
                    line_to(counted) as (http, url),
                    replication.listening() as port,
                    request.param(server, "skerry", port, folder) as (replica, replica_url),
                ):
                    upstream = {"url": url, "replica": replica_url, "timeout": 0.4, "stall": 2}
                    feed = {"silent_after": SILENT_AFTER}
                    edge_settings = settings(tmp_path / "edge", upstream=upstream, feed=feed)
                    async with running(edge_settings, clock) as edge:
                        scene = Scene(home, edge, asked, clock, http, replication, server, replica, tmp_path)
                        await soon(lambda: _complete(scene))
                        asked.take()
                        yield scene


async def _complete(scene: Scene) -> bool:
    return await scene.listed() == []


async def test_what_changes_at_the_home_shows_at_the_edge_and_nobody_asks_for_it(scene: Scene) -> None:
    image = await scene.home.create(name="one", visibility="shared", tags=["a"], colour="red")
    image_id = image["id"]
    await soon(lambda: _is(scene, ["one"]))
    assert (await scene.at_the_edge(f"/v2/images/{image_id}"))[::2] == (200, image)

    await scene.home.patch(image_id, {"op": "replace", "path": "/name", "value": "two"})
    await scene.home.call("POST", f"/v2/images/{image_id}/members", json={"member": MEMBER})
    await soon(lambda: _is(scene, ["two"]))
    here, there = await scene.records()
    assert here == there

    async def shared() -> bool:
        _, _, body = await scene.at_the_edge(f"/v2/images/{image_id}/members")
        return [member["member_id"] for member in body["members"]] == [MEMBER]

    await soon(shared)
    await scene.home.call("DELETE", f"/v2/images/{image_id}")
    await soon(lambda: _is_gone(scene, image_id))
    assert await scene.listed() == []
    assert scene.asked.take() == []


async def _is(scene: Scene, names: list[str]) -> bool:
    return await scene.listed() == names


async def _is_gone(scene: Scene, image_id: str) -> bool:
    return (await scene.at_the_edge(f"/v2/images/{image_id}"))[0] == 404


async def _is_active(scene: Scene, image_id: str) -> bool:
    _, _, body = await scene.at_the_edge(f"/v2/images/{image_id}")
    return isinstance(body, dict) and body.get("status") == "active"


async def test_bytes_come_from_the_home_on_first_use_and_stay_until_it_deletes_the_image(
    scene: Scene,
) -> None:
    data = noise(3 << 20)
    image_id = (await scene.home.create(data, name="one"))["id"]
    await soon(lambda: _is_active(scene, image_id))

    for _ in range(2):
        assert await scene.edge.download(image_id) == data
    bytes_of_it = [asked for asked in scene.asked.take() if asked.endswith("/file")]
    assert bytes_of_it == [f"GET /v2/images/{image_id}/file"]

    await scene.home.call("DELETE", f"/v2/images/{image_id}")
    await soon(lambda: _is_gone(scene, image_id))
    assert scene.edge.site.edge is not None
    await scene.edge.site.edge.cache.sweep()
    assert scene.edge.site.copies.all() == []


async def test_a_write_goes_up_and_whoever_made_it_sees_it_at_once(scene: Scene) -> None:
    for round_ in range(10):
        image = await scene.edge.create(name=f"{round_}")
        assert (await scene.edge.show(image["id"]))["name"] == f"{round_}"
        assert await scene.edge.patch(image["id"], {"op": "replace", "path": "/name", "value": "new"}) == 200
        assert (await scene.edge.show(image["id"]))["name"] == "new"
        await scene.edge.call("DELETE", f"/v2/images/{image['id']}")
        assert await _is_gone(scene, image["id"])


async def test_a_cut_off_edge_works_says_since_when_and_catches_up(scene: Scene) -> None:
    data = noise(1 << 20)
    kept = (await scene.home.create(data, name="kept"))["id"]
    gone = (await scene.home.create(name="gone"))["id"]
    await soon(lambda: _has(scene, {"gone", "kept"}))
    assert await scene.edge.download(kept) == data

    scene.cut()
    await scene.home.call("DELETE", f"/v2/images/{gone}")
    await scene.home.create(name="new")
    status, stale, _ = await scene.at_the_edge(f"/v2/images/{kept}")
    assert (status, stale) == (200, "")
    scene.clock.forward(SILENT_AFTER + 1)
    status, stale, _ = await scene.at_the_edge(f"/v2/images/{kept}")
    assert (status, "not been heard of" in stale) == (200, True)
    assert await scene.edge.download(kept) == data
    assert set(await scene.listed()) == {"gone", "kept"}
    assert (await scene.edge.call("DELETE", f"/v2/images/{gone}"))[0] == 503

    scene.restore()
    await soon(lambda: _has(scene, {"new", "kept"}))

    async def heard() -> bool:
        return (await scene.at_the_edge(f"/v2/images/{kept}"))[1] == ""

    await soon(heard)
    here, there = await scene.records()
    assert here == there


async def _has(scene: Scene, names: set[str]) -> bool:
    return set(await scene.listed()) == names


async def test_a_home_whose_server_is_killed_is_caught_up_with(scene: Scene) -> None:
    image_id = (await scene.home.create(name="before"))["id"]
    await soon(lambda: _is(scene, ["before"]))

    await asyncio.to_thread(scene.server.kill)
    assert (await scene.at_the_edge(f"/v2/images/{image_id}"))[0] == 200
    await asyncio.to_thread(scene.server.start)

    async def changed() -> bool:
        return await scene.home.patch(image_id, {"op": "replace", "path": "/name", "value": "after"}) == 200

    await soon(changed)
    await soon(lambda: _is(scene, ["after"]))
    here, there = await scene.records()
    assert here == there


async def test_an_edge_whose_replica_is_killed_says_so_and_goes_on_with_it(scene: Scene) -> None:
    image_id = (await scene.home.create(name="before"))["id"]
    await soon(lambda: _is(scene, ["before"]))
    await scene.edge.show(image_id)

    await asyncio.to_thread(scene.replica.kill)

    async def said() -> bool:
        status, stale, _ = await scene.at_the_edge(f"/v2/images/{image_id}")
        assert status == 200, "known by heart"
        return "does not answer" in stale

    await soon(said)
    await scene.home.patch(image_id, {"op": "replace", "path": "/name", "value": "after"})
    assert (await scene.at_the_edge("/v2/images?name=other"))[0] == 503
    await asyncio.to_thread(scene.replica.start)

    await soon(lambda: _is(scene, ["after"]))
    assert (await scene.at_the_edge(f"/v2/images/{image_id}"))[1] == ""


async def test_the_command_line_compares_the_tables_of_both(
    scene: Scene, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKERRY_SITE_DATA", str(scene.folder / "edge"))
    monkeypatch.setenv("SKERRY_UPSTREAM_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("SKERRY_UPSTREAM_REPLICA", scene.edge.site.config.upstream.replica)
    assert await asyncio.to_thread(main, ["db", "check"]) == 0
    assert "as the home's are" in capsys.readouterr().out

    scene.server.sql("UPDATE counters SET value = 2 WHERE name = 'schema'", "skerry")

    async def differs() -> bool:
        return await asyncio.to_thread(main, ["db", "check"]) == 1

    await soon(differs)
    assert "the home's at version 0002" in capsys.readouterr().out


async def test_an_edge_neither_shows_nor_forgets_anything_while_its_replica_is_filled_anew(
    installed: None, tmp_path: Path
) -> None:
    with TemporaryDirectory(prefix="skerry-replicas-") as place:
        folder = Path(place)
        folder.chmod(0o755)
        with PostgreSQL(folder / "home") as server:
            url = server.create("skerry")
            async with running(settings(tmp_path / "home", database={"url": url})) as home:
                data = noise(1 << 20)
                image_id = (await home.create(data, name="one"))["id"]
                async with a_subscription(server, name_of(url), server.port, folder) as (replica, there):
                    upstream = {"url": home.url, "replica": there}
                    async with running(settings(tmp_path / "edge", upstream=upstream)) as edge:

                        async def shown() -> bool:
                            _, _, body = await edge.call("GET", f"/v2/images/{image_id}")
                            return isinstance(body, dict) and body.get("status") == "active"

                        await soon(shown)
                        await edge.download(image_id)
                        assert edge.site.edge is not None
                        replica.sql("ALTER SUBSCRIPTION skerry_lyon_3 DISABLE", "replica")
                        tables = ", ".join(table.name for table in PUBLISHED)
                        replica.sql(f"TRUNCATE {tables}", "replica")

                        async def refused() -> bool:
                            return (await edge.call("GET", f"/v2/images/{image_id}"))[0] == 503

                        await soon(refused)
                        await edge.site.edge.cache.sweep()
                        assert [copy.image_id for copy in edge.site.copies.all()] == [image_id]

                        replica.sql("DROP SUBSCRIPTION skerry_lyon_3", "replica")
                        words = server.reached_by(name_of(url))
                        replica.sql(
                            f"CREATE SUBSCRIPTION again CONNECTION '{words}' PUBLICATION skerry", "replica"
                        )
                        await soon(shown)
                        assert await edge.download(image_id) == data
