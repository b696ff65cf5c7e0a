"""See and steer the copies that an edge keeps of its upstream's images."""

import asyncio
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from datetime import UTC, datetime
from typing import Any

from skerry.cli import output
from skerry.cli.client import Client, connect, site_argument
from skerry.core.units import Size

_ONE_IMAGE = {
    "queue": ("PUT", "/v2/cache/{}", "fetch an image before it is asked for"),
    "delete": ("DELETE", "/v2/cache/{}", "drop the copy of an image; upstream keeps it"),
    "pin": ("PUT", "/skerry/v1/cache/{}/pin", "never evict an image"),
    "unpin": ("DELETE", "/skerry/v1/cache/{}/pin", "let an image be evicted again"),
}


def arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="all copies, and what is queued")
    output.format_argument(listing)
    site_argument(listing)
    for name, (_, _, what) in _ONE_IMAGE.items():
        action = actions.add_parser(name, help=what, description=what)
        action.add_argument("images", nargs="+", metavar="ID")
        site_argument(action)
    prune = actions.add_parser("prune", help="evict the least recently used copies, and print their ids")
    prune.add_argument(
        "--to", type=_size, required=True, metavar="10GiB", help="until no more than this is used"
    )
    site_argument(prune)


def run(args: Namespace) -> int:
    """Do it."""
    asyncio.run(_do(args))
    return 0


async def _do(args: Namespace) -> None:
    async with connect(args.site) as client:
        if args.action == "list":
            await _list(client, args.format)
        elif args.action == "prune":
            answer = await client.json("POST", "/skerry/v1/cache/prune", json={"to": args.to})
            print(*answer["evicted"], sep="\n")
        else:
            method, path, _ = _ONE_IMAGE[args.action]
            for image in args.images:
                await client.json(method, path.format(image))


async def _list(client: Client, form: str) -> None:
    document = await client.json("GET", "/skerry/v1/cache")
    if form == "json":
        print(output.as_json(document))
    else:
        heading = ("IMAGE", "STATE", "SIZE", "PINNED", "HITS", "LAST USED")
        print(output.table(heading, [_row(copy) for copy in document["copies"]]))


def _row(copy: dict[str, Any]) -> tuple[str, ...]:
    used = (
        f"{datetime.fromtimestamp(copy['last_used'], UTC):%Y-%m-%d %H:%M:%S}"
        if copy["last_used"]
        else "never"
    )
    pinned = "pinned" if copy["pinned"] else "-"
    return copy["image_id"], copy["state"], output.size(copy["size"]), pinned, str(copy["hits"]), used


def _size(text: str) -> Size:
    try:
        return Size.parse(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
