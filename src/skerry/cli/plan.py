"""How an image would come to a site: what is there already, what comes over lines, and how long it takes."""

import asyncio
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from typing import Any

from skerry.cli import output
from skerry.cli.client import Client, connect, site_argument
from skerry.cli.images import find


def arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("image", metavar="IMAGE", help="its name or id")
    output.format_argument(parser)
    site_argument(parser)


def run(args: Namespace) -> int:
    """Ask, and print."""
    asyncio.run(_do(args))
    return 0


async def _do(args: Namespace) -> None:
    async with connect(args.site) as client:
        print(await text(client, (await find(client, args.image)).id, args.format))


async def text(client: Client, image_id: str, form: str) -> str:
    """The plan of a site, as JSON or for people."""
    plan = await client.json("GET", f"/skerry/v1/images/{image_id}/plan")
    return output.as_json(plan) if form == "json" else _for_people(plan)


def _for_people(plan: Mapping[str, Any]) -> str:
    head = f"image {plan['image_id']}, {output.size(plan['size'])}: "
    if plan["by"] == "nothing":
        return head + "it is here, nothing comes"
    whole = plan["by"] == "whole"
    rows = [(one["name"] or "-", one["image_id"], output.size(one["bytes"])) for one in plan["reused"]]
    if plan["done"]:
        rows.append(("what came before", "-", output.size(plan["done"])))
    for source, size in plan["sources"].items():
        rows.append((source, "-", ("" if whole else "at most ") + output.size(size)))
    if plan["holes"]:
        rows.append(("holes", "-", output.size(plan["holes"])))
    how = f"whole, because: {plan['reason']}" if whole else "by its chunks"
    return f"{head}{how}\n{output.table(('FROM', 'IMAGE', 'BYTES'), rows)}\n{_time(plan)}"


def _time(plan: Mapping[str, Any]) -> str:
    if plan["seconds"] is None:
        return "How long it takes is not known: the line to upstream has not been measured yet."
    at = f" at {output.size(plan['rate'])}/s, as measured last" if plan["rate"] else ""
    return f"{'' if plan['by'] == 'whole' else 'At most '}{plan['seconds']:.1f} s from upstream{at}."
