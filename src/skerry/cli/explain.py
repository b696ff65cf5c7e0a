"""Why an image is at a site or not, and what happens next."""

import asyncio
from argparse import ArgumentParser, Namespace

from skerry.cli import output
from skerry.cli.client import Client, connect, site_argument
from skerry.cli.watch import repeated, watch_argument


def arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("image", metavar="IMAGE", help="its id")
    parser.add_argument("at", metavar="SITE", help="the name of the site")
    output.format_argument(parser)
    watch_argument(parser)
    site_argument(parser)


def run(args: Namespace) -> int:
    """Do it."""
    asyncio.run(_do(args))
    return 0


async def _do(args: Namespace) -> None:
    async with connect(args.site) as client:
        await repeated(args, lambda: _explain(client, args))


async def _explain(client: Client, args: Namespace) -> str:
    document = await client.json("GET", f"/skerry/v1/explain/{args.image}/{args.at}")
    if args.format == "json":
        return output.as_json(document)
    rows = [
        (fact["topic"], fact["says"] + (f" ({fact['at']})" if fact["at"] else ""))
        for fact in document["facts"]
    ]
    return "\n".join(f"{topic:8} {says}" for topic, says in rows)
