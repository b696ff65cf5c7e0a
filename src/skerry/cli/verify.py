"""Read copies of a site again, and have what is wrong brought anew.

The exit code is 0 when all were right, and 8 when some were not.
"""

import asyncio
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import Any

from skerry.cli import output
from skerry.cli.client import connect, site_argument
from skerry.cli.errors import exit_code
from skerry.core.errors import WrongBytes

_LOOK = 0.5


def arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("images", nargs="*", metavar="ID", help="without any: so much of all as --share says")
    parser.add_argument(
        "--share", type=_share, default=1.0, metavar="5%", help="those that were read longest ago (100%%)"
    )
    output.format_argument(parser)
    site_argument(parser)


def run(args: Namespace) -> int:
    """Do it."""
    found = asyncio.run(_verify(args))
    if args.format == "json":
        print(output.as_json(found))
    else:
        print(f"{found['verified']} copies were read, {output.size(found['bytes'])}.")
        if found["wrong"]:
            rows = [_row(one) for one in found["wrong"]]
            print(output.table(("IMAGE", "SIZE", "WHAT IS WRONG", "STATE"), rows))
    return exit_code(WrongBytes("")) if found["wrong"] else 0


async def _verify(args: Namespace) -> Any:
    asked = {"images": args.images} if args.images else {"share": args.share}
    async with connect(args.site) as client:
        await client.json("POST", "/skerry/v1/verify", json=asked)
        while True:
            found = await client.json("GET", "/skerry/v1/verify")
            if not found["running"]:
                return found
            await asyncio.sleep(_LOOK)


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    state = "it is being healed" if one["healing"] else "failed: this is its home"
    return one["image_id"], output.size(one["size"]), one["trouble"], state


def _share(text: str) -> float:
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise ArgumentTypeError(f"expected a share such as 5%, got {text!r}")
    return share
