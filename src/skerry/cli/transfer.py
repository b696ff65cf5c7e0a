"""Images on their way to a site: see them, have them wait, go on, or be dropped."""

import asyncio
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from typing import Any

from skerry.cli import output
from skerry.cli.client import Client, connect, site_argument
from skerry.cli.watch import repeated, watch_argument

_ONE_IMAGE = {
    "pause": ("POST", "/skerry/v1/transfers/{}/pause", "fetch an image no more, but for a client that asks"),
    "resume": ("POST", "/skerry/v1/transfers/{}/resume", "end that"),
    "cancel": ("DELETE", "/skerry/v1/transfers/{}", "drop what has come of an image"),
}


def arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="what comes now, and what is queued")
    output.format_argument(listing)
    watch_argument(listing)
    site_argument(listing)
    for name, (_, _, what) in _ONE_IMAGE.items():
        action = actions.add_parser(name, help=what, description=what)
        action.add_argument("images", nargs="+", metavar="ID")
        site_argument(action)


def run(args: Namespace) -> int:
    """Do it."""
    asyncio.run(_do(args))
    return 0


async def _do(args: Namespace) -> None:
    async with connect(args.site) as client:
        if args.action == "list":
            await repeated(args, lambda: _list(client, args.format))
            return
        method, path, _ = _ONE_IMAGE[args.action]
        for image in args.images:
            await client.json(method, path.format(image))


async def _list(client: Client, form: str) -> str:
    document = await client.json("GET", "/skerry/v1/transfers")
    if form == "json":
        return output.as_json(document)
    heading = ("IMAGE", "STATE", "DONE", "TOTAL", "RATE", "PLACEMENT", "NEXT ATTEMPT", "REASON")
    return output.table(heading, [_row(one) for one in document["transfers"]])


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    rate = f"{output.size(one['rate'])}/s" if one["rate"] else "-"
    done, total = output.size(one["done"]), output.size(one["total"])
    placed, next_attempt = one["placement"] or "-", one["next_attempt"] or "-"
    return one["image_id"], one["state"], done, total, rate, placed, next_attempt, one["reason"] or "-"
