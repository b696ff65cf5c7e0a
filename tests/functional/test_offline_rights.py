"""A site with Keystone that is restarted while it is cut off, as its callers see it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from skerry.config import Config
from tests.functional.sites import Api, line_to, noise, running, settings
from tests.simulators.clock import ManualClock
from tests.simulators.keystone import ACCOUNT, PASSWORD, KeystoneSimulator

ANN = {"X-Auth-Token": "ann-1"}
BEN = {"X-Auth-Token": "ben-1"}


@asynccontextmanager
async def keystone(clock: ManualClock) -> AsyncIterator[KeystoneSimulator]:
    simulator = KeystoneSimulator(clock)
    await simulator.start()
    simulator.token("ann-1", "member", "reader")
    simulator.token("ben-1", "member", "reader", user="ben")
    yield simulator
    simulator.there.set()
    await simulator.stop()


def known_by(keystone: KeystoneSimulator, data: Path, **upstream: str) -> Config:
    account = {"auth_url": keystone.url, "username": ACCOUNT, "password": PASSWORD, "timeout": 1}
    above = {"upstream": {**upstream, "auth": "keystone"}} if upstream else {}
    return settings(data, identity={"method": "keystone"}, keystone=account, **above)


async def create(api: Api, data: bytes) -> str:
    record = {"name": "one", "disk_format": "raw", "container_format": "bare"}
    status, _, image = await api.call("POST", "/v2/images", json=record, headers=ANN)
    assert status == 201, image
    headers = {**ANN, "Content-Type": "application/octet-stream"}
    status, _, body = await api.call("PUT", f"/v2/images/{image['id']}/file", data=data, headers=headers)
    assert status == 204, body
    return str(image["id"])


@pytest.mark.parametrize("silent", [False, True], ids=["stopped", "black-holed"])
async def test_an_edge_restarted_while_cut_off_serves_who_was_there_before_and_nobody_else(
    tmp_path: Path, silent: bool
) -> None:
    clock, data = ManualClock(), noise(100_000)
    async with (
        keystone(clock) as central,
        running(known_by(central, tmp_path / "centre"), clock) as centre,
        line_to(centre.url) as (line, url),
    ):
        image = await create(centre, data)
        config = known_by(central, tmp_path / "edge", url=url)
        async with running(config, clock) as edge:
            status, _, body = await edge.call("GET", f"/v2/images/{image}/file", headers=ANN)
            assert (status, body) == (200, data)
        line.cut()
        if silent:
            central.there.clear()
        else:
            await central.stop()
        async with running(config, clock) as edge:
            file = f"/v2/images/{image}/file"
            answers = [
                await edge.call("GET", file, headers=ANN),
                await edge.call("GET", f"/v2/images/{image}", headers=ANN),
                await edge.call("GET", "/v2/images", headers=ANN),
            ]
            assert [status for status, _, _ in answers] == [200, 200, 200]
            assert answers[0][2] == data
            status, headers, body = await edge.call("DELETE", f"/v2/images/{image}", headers=ANN)
            assert (status, b"writing needs a fresh check" in body) == (503, True)
            assert headers["Retry-After"]
            status, _, body = await edge.call("GET", file, headers=BEN)
            assert (status, b"was not checked before" in body) == (503, True)
            clock.forward(3601)
            assert (await edge.call("GET", file, headers=ANN))[0] == 503


async def test_a_site_whose_clock_starts_in_1970_serves_who_was_there_before(tmp_path: Path) -> None:
    clock = ManualClock()
    async with keystone(clock) as central:
        config = known_by(central, tmp_path)
        async with running(config, clock) as site:
            image = await create(site, b"data")
        central.there.clear()
        clock.set_by(-clock.now().timestamp())
        async with running(config, clock) as site:
            assert (await site.call("GET", f"/v2/images/{image}/file", headers=ANN))[0] == 200
            clock.forward(3601)
            assert (await site.call("GET", f"/v2/images/{image}/file", headers=ANN))[0] == 503
