"""Run one site."""

import asyncio
import gc
import logging
import os
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop

from skerry.config import Config, load


def arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="settings in TOML; without it the defaults"
    )
    parser.add_argument("--check", action="store_true", help="check the settings and stop")


def run(args: Namespace) -> int:
    """Do it."""
    config = load(args.config)
    if args.check:
        return 0
    with _nothing_collected():
        from skerry import service

    logging.basicConfig(
        level=os.environ.get("SKERRY_LOG", "INFO").upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_together(config) if config.site.shared else service.serve(config))
    return 0


async def _together(config: Config) -> None:
    from skerry import processes

    await processes.serve(config)


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Have the garbage collector leave alone, for good, what comes to be meanwhile: modules, classes.

    After it, it looks seldom: requests leave few cycles. That is a twentieth of a small request, and of the
    start.
    """
    gc.disable()
    yield
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
    gc.enable()
