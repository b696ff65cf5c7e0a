"""One `skerry serve` as a child of the lab."""

import asyncio
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from skerry.core.errors import SkerryError
from skerry.lab.plan import HOST, SitePlan

_START = 30.0
_STOP = 10.0
_LAST_WORDS = 10


class Process:
    """A site that has been started."""

    def __init__(self, site: SitePlan, child: asyncio.subprocess.Process) -> None:
        self.site = site
        self._child = child

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    async def died(self) -> SkerryError:
        """Wait until the site has ended, whyever; returns what to tell a person."""
        code = await self._child.wait()
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"stopped with exit code {code}"
        with self.site.log.open(errors="replace") as log:
            words = "".join(f"\n    {line.rstrip()}" for line in deque(log, _LAST_WORDS)) or " (nothing)"
        return SkerryError(
            f"Site {self.site.name} {how}. Its last words:{words}\n", hint=f"All of it: {self.site.log}"
        )

    async def ready(self) -> None:
        """Wait until the site takes connections. Raises SkerryError when it ends or takes too long."""
        death = asyncio.create_task(self.died())
        try:
            async with asyncio.timeout(_START):
                while not death.done():
                    with suppress(OSError):
                        _, writer = await asyncio.open_connection(HOST, self.site.port)
                        writer.close()
                        return
                    await asyncio.wait([death], timeout=0.05)
            raise await death
        except TimeoutError:
            raise SkerryError(
                f"Site {self.site.name} does not answer {_START:g} s after its start.",
                hint=f"See {self.site.log}",
            ) from None
        finally:
            death.cancel()


@asynccontextmanager
async def running(site: SitePlan, upstream: int | None) -> AsyncIterator[Process]:
    """Start a site; leaving stops it, gently at first, and at once when cancelled while it stops.

    The child has its own session, so that Ctrl-C reaches the lab alone, which stops the sites in order;
    and it sees no SKERRY_ variable, since those would be the same for every site.
    """
    site.folder.mkdir(parents=True, exist_ok=True)
    site.config.write_text(site.settings(upstream))
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SKERRY_")}
    with site.log.open("wb") as log:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "skerry", "serve", "--config", str(site.config),
            stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, env=environ, start_new_session=True,
        )  # fmt: skip
    try:
        yield Process(site, child)
    finally:
        with suppress(ProcessLookupError):
            child.terminate()
        try:
            async with asyncio.timeout(_STOP):
                await child.wait()
        except (TimeoutError, asyncio.CancelledError):
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()
