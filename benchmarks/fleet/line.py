"""A process that is the line to the centre: `python -m benchmarks.fleet.line PORT`.

Says the port at which it takes connections, then does what its standard input says: `cut`, `restore`.
"""

import sys

import uvloop

from benchmarks.fleet.speech import say, told
from skerry.lab.link import Link


async def _run(port: int) -> None:
    line = Link(("127.0.0.1", port))
    reader = await told()
    async with line.listening() as own:
        say(str(own))
        while word := (await reader.readline()).strip():
            line.cut() if word == b"cut" else line.restore()
            say("done")


if __name__ == "__main__":
    uvloop.run(_run(int(sys.argv[1])))
