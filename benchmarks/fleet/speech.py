"""How a process of the benchmark speaks with the one that started it: in lines."""

import asyncio
import sys


async def told() -> asyncio.StreamReader:
    """What it is told, on its standard input."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def say(line: str) -> None:
    """Answer with a line."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
