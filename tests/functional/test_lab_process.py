"""A site as a child of the lab, when it does not do what it is told."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from skerry.lab import process
from skerry.lab.plan import SitePlan
from skerry.lab.run import free_port


async def test_an_impatient_person_does_not_wait_for_a_site_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_STOP", 3600.0)
    started = asyncio.get_running_loop().create_future()

    async def lab() -> None:
        async with process.running(SitePlan("lyon", free_port(), tmp_path / "lyon"), None) as site:
            started.set_result(site)
            await asyncio.Event().wait()

    running = asyncio.create_task(lab())
    site: process.Process = await started
    os.kill(site.pid, signal.SIGSTOP)
    await asyncio.to_thread(os.waitid, os.P_PID, site.pid, os.WSTOPPED | os.WNOWAIT)
    running.cancel()
    await asyncio.wait([running], timeout=0.2)
    assert not running.done(), "it waits for the site to end"
    running.cancel()
    async with asyncio.timeout(60):
        await asyncio.wait([running])
        assert "was killed by SIGKILL" in str(await site.died())
