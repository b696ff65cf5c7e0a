"""See whether a site's database has the tables that this program needs, or bring it there.

`skerry serve` upgrades by itself when it starts; `upgrade` does so beforehand, while the site does not run.
`check` may be asked at any time: 0 when the tables are those that this program needs, 1 when they are not, 2
when the database cannot be used.
"""

import asyncio
from argparse import ArgumentParser, Namespace
from pathlib import Path

from skerry.cli.errors import FAILED
from skerry.config import Config, load


def arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("action", choices=("check", "upgrade"))
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="settings in TOML; without it the defaults"
    )


def run(args: Namespace) -> int:
    """Do it, and say which version the tables are at."""
    config = load(args.config)
    return asyncio.run(_check(config) if args.action == "check" else _upgrade(config))


async def _check(config: Config) -> int:
    from skerry.catalog import schema
    from skerry.catalog.database import Database

    database = Database(config.database_url)
    try:
        version = await database.version()
    finally:
        await database.close()
    if version == schema.HEAD:
        print(f"The tables are at version {version}, as this program needs them.")
        return 0
    found = f"are at version {version}" if version else "do not exist"
    print(f"The tables {found}; this program needs version {schema.HEAD}. Run: skerry db upgrade.")
    return FAILED


async def _upgrade(config: Config) -> int:
    from skerry import service
    from skerry.catalog import schema

    before = await service.upgrade(config)
    if before == schema.HEAD:
        print(f"The tables are at version {before} already.")
    else:
        print(f"The tables are at version {schema.HEAD} now; before: {before or 'none'}.")
    return 0
