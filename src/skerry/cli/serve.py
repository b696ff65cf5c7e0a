"""Run one site."""

import asyncio
import logging
import os
from argparse import ArgumentParser, Namespace
from pathlib import Path

import uvloop

from skerry.config import load


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
    from skerry import processes, service

    logging.basicConfig(
        level=os.environ.get("SKERRY_LOG", "INFO").upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(processes.serve(config) if config.site.shared else service.serve(config))
    return 0
