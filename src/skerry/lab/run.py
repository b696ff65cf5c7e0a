"""Run a lab: sites as child processes, links between them, orders from outside, until cancelled."""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack

from skerry.core.errors import Conflict
from skerry.lab.control import taking_orders
from skerry.lab.link import Link
from skerry.lab.plan import HOST, LabPlan
from skerry.lab.process import Process, running


def free_port() -> int:
    """A port of loopback that nobody listens on just now."""
    with socket.create_server((HOST, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


async def run_lab(plan: LabPlan, started: Callable[[], None], say: Callable[[str], None]) -> None:
    """Run the lab until cancelled, then stop all of it, each site before its upstream.

    `started` is called once all sites answer; `say` is told of each change of a link and of each site that
    dies, and the others run on. Raises Conflict when the folder or a port is in use, SkerryError when a site
    does not start.
    """
    plan.state.mkdir(parents=True, exist_ok=True)
    ports = {site.name: site.port for site in plan.sites}
    links = {site.name: Link((HOST, ports[site.upstream])) for site in plan.sites if site.upstream}
    async with AsyncExitStack() as lab:
        await lab.enter_async_context(taking_orders(plan.control, links, say))
        _check_ports(plan)
        sites: list[Process] = []
        for site in plan.sites:
            upstream = None
            if site.name in links:
                upstream = await lab.enter_async_context(links[site.name].listening(HOST))
            process = await lab.enter_async_context(running(site, upstream))
            await process.ready()
            sites.append(process)
        started()
        async with asyncio.TaskGroup() as watchers:
            for process in sites:
                watchers.create_task(_watch(process, say))
        say("No site is left: the lab ends.")


async def _watch(process: Process, say: Callable[[str], None]) -> None:
    say(str(await process.died()))


def _check_ports(plan: LabPlan) -> None:
    for site in plan.sites:
        try:
            socket.create_server((HOST, site.port)).close()
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise Conflict(
                f"Port {site.port} of {HOST} cannot be used for {site.name}: {reason}.",
                hint="Stop what listens there, or put the lab elsewhere: skerry lab --central-port PORT",
            ) from None
