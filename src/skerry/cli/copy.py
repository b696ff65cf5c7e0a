"""What is known of the copies of images at sites."""

import asyncio
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from skerry.cli import output
from skerry.cli.client import Client, connect, site_argument
from skerry.cli.watch import repeated, watch_argument
from skerry.core.placement.knowledge import Sync


def arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="copies that are there, that ought to be, or are on their way")
    listing.add_argument("--at", metavar="SITE", help="at this site alone")
    listing.add_argument("--image", metavar="ID", help="of this image alone")
    listing.add_argument(
        "--state", action="append", default=[], choices=list(Sync), help="in this state alone"
    )
    output.format_argument(listing)
    watch_argument(listing)
    site_argument(listing)


def run(args: Namespace) -> int:
    """Do it."""
    asyncio.run(_do(args))
    return 0


async def _do(args: Namespace) -> None:
    query = [("site", args.at), ("image", args.image), *(("state", state) for state in args.state)]
    path = f"/skerry/v1/copies?{urlencode([(name, value) for name, value in query if value])}"
    async with connect(args.site) as client:
        await repeated(args, lambda: _list(client, path, args.format))


async def _list(client: Client, path: str, form: str) -> str:
    document = await client.json("GET", path)
    if form == "json":
        return output.as_json(document)
    heading = ("SITE", "IMAGE", "SYNC", "HEALTH", "CONTACT", "AS OF", "REASON")
    return output.table(heading, [_row(copy) for copy in document["copies"]])


def _row(copy: Mapping[str, Any]) -> tuple[str, ...]:
    sync, health, contact = copy["sync"], copy["health"], copy["contact"]
    reason = health["reason"] if health["value"] != "ok" else sync["reason"]
    as_of = sync["as_of"] or "never"
    return copy["site"], copy["image_id"], sync["value"], health["value"], contact["value"], as_of, reason
