"""See whether a site's database has the tables that this program needs, bring it there, or replicate it.

`skerry serve` upgrades by itself when it starts; `upgrade` does so beforehand, while the site does not run.
`check` may be asked at any time: 0 when the tables are those that this program needs, 1 when they are not, 2
when the database cannot be used. At a site with a replica it looks at that as well.

`publication` and `subscription` print what `psql` is to be given, at the home and at an edge, so that
PostgreSQL itself keeps a replica of the records there.
"""

import asyncio
from argparse import ArgumentParser, Namespace
from pathlib import Path

from skerry.cli.errors import FAILED
from skerry.config import Config, load


def arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("action", choices=("check", "upgrade", "publication", "subscription"))
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="settings in TOML; without it the defaults"
    )
    parser.add_argument(
        "--connection",
        metavar="WORDS",
        default="host=HOME dbname=skerry user=REPLICATOR",
        help="subscription: how the edge's server reaches the home's, in libpq's words",
    )


def run(args: Namespace) -> int:
    """Do it, and say which version the tables are at."""
    config = load(args.config)
    match args.action:
        case "check":
            return asyncio.run(_check(config))
        case "upgrade":
            return asyncio.run(_upgrade(config))
        case "publication":
            from skerry.catalog.publication import publication

            print(publication(), end="")
        case "subscription":
            _print_subscription(config, args.connection)
    return 0


def _print_subscription(config: Config, connection: str) -> None:
    from sqlalchemy import make_url

    from skerry.catalog.publication import subscription

    reader = make_url(config.upstream.replica).username if config.upstream.replica else None
    print(subscription(config.site.name, connection, reader), end="")


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
    else:
        found = f"are at version {version}" if version else "do not exist"
        print(f"The tables {found}; this program needs version {schema.HEAD}. Run: skerry db upgrade.")
    replica = await _check_replica(config) if config.upstream.replica else True
    return 0 if replica and version == schema.HEAD else FAILED


async def _check_replica(config: Config) -> bool:
    """Whether the replica's tables are those of this program, and those of the home the same."""
    from skerry.catalog import rows, schema
    from skerry.catalog.database import Database

    database = Database(config.upstream.replica, read_only=True, setting="[upstream] replica")
    try:
        here = await database.version()
        counters = await database.read(rows.counted) if here else {}
    finally:
        await database.close()
    told = counters.get(schema.VERSION)
    home = None if told is None else f"{told:04d}"
    if here == home == schema.HEAD:
        print(f"The replica's tables are at version {here}, as the home's are.")
        return True
    print(
        f"The replica's tables are at version {here or 'none'}, the home's at version {home or 'unknown'};"
        f" this program needs version {schema.HEAD}. A subscription does not carry changes of tables:"
        " see docs/architectures.md."
    )
    return False


async def _upgrade(config: Config) -> int:
    from skerry import service
    from skerry.catalog import schema

    before = await service.upgrade(config)
    if before == schema.HEAD:
        print(f"The tables are at version {before} already.")
    else:
        print(f"The tables are at version {schema.HEAD} now; before: {before or 'none'}.")
    return 0
