"""The same answer again and again, until interrupted."""

import asyncio
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable

_EVERY = 2.0
"""Seconds between two answers."""

_CLEAR = "\033[H\033[2J"


def watch_argument(parser: ArgumentParser) -> None:
    """Declare `--watch`."""
    parser.add_argument(
        "--watch", action="store_true", help=f"ask again every {_EVERY:g} s, until interrupted"
    )


async def repeated(args: Namespace, ask: Callable[[], Awaitable[str]]) -> None:
    """Print an answer; with `--watch` each further one in place of it, or below it when not on a terminal."""
    while True:
        answer = await ask()
        print(f"{_CLEAR if args.watch and sys.stdout.isatty() else ''}{answer}", flush=True)
        if not args.watch:
            return
        await asyncio.sleep(_EVERY)
