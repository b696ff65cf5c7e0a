"""Several processes of one site whose database is PostgreSQL's."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from peers.postgresql import PostgreSQL
from tests.fault.test_processes import crew, download, rename, shown, upload


async def test_processes_share_the_database_and_the_next_one_leads_when_the_leader_is_killed(
    tmp_path: Path, database_url: str
) -> None:
    data = os.urandom(1 << 20)
    async with crew(tmp_path, 3, SKERRY_DATABASE_URL=database_url) as site:
        image_id = await upload(site.processes[1], data)
        for number, process in enumerate(site.processes):
            assert await rename(process, image_id, f"{number}") == 200
            assert [await shown(any_, image_id) for any_ in site.processes] == [f"{number}"] * 3

        for process in site.processes[:2]:
            await process.end()
            last = site.processes[2]
            assert await rename(last, image_id, "after") == 200
            assert await shown(last, image_id) == "after"
            assert await download(last, image_id) == data
        await last.check_whole()


@pytest.mark.parametrize("end", [PostgreSQL.stop, PostgreSQL.crash])
async def test_processes_outlast_an_outage_of_the_server_also_when_the_leader_dies_in_it(
    tmp_path: Path, database_url: str, postgresql: PostgreSQL, end: Callable[[PostgreSQL], None]
) -> None:
    async with crew(tmp_path, 2, SKERRY_DATABASE_URL=database_url) as site:
        leader, aide = site.processes
        image_id = await aide.create(name="before")
        assert await shown(aide, image_id) == "before"

        end(postgresql)
        assert await rename(aide, image_id, "no") == 503
        assert await shown(aide, image_id) == "before", "known by heart"
        await leader.end()
        postgresql.start()

        assert await rename(aide, image_id, "after") == 200
        assert await shown(aide, image_id) == "after"
