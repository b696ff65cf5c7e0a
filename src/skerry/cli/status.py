"""Say what a site has, what it is doing, and what it knows of its upstream."""

import asyncio
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from typing import Any

from skerry.cli import output
from skerry.cli.client import connect, site_argument


def arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    site_argument(parser)
    output.format_argument(parser)


def run(args: Namespace) -> int:
    """Ask and print."""
    document = asyncio.run(_ask(args.site))
    print(output.as_json(document) if args.format == "json" else as_text(document))
    return 0


def as_text(status: Mapping[str, Any]) -> str:
    """The status document of a site for a person."""
    lines = {
        "site": f"{status['site']} (skerry {status['version']}, up since {status['started_at']})",
        "images": str(status["images"]),
    }
    if upstream := status.get("upstream"):
        said = f"{upstream['state']} since {upstream['since']}"
        if upstream["state"] != "connected":
            said += f": {upstream['reason']}; next probe {upstream['next_probe']}"
        lines["upstream"] = f"{upstream['url']}, {said}"
    if cache := status.get("cache"):
        lines["cache"] = (
            f"{output.size(cache['used'])} of {output.size(cache['limit'])},"
            f" images {cache['images']}, pinned {cache['pinned']}, queued {cache['queued']}"
        )
    for number, transfer in enumerate(status.get("transfers", ())):
        lines[f"transfer {number + 1}"] = (
            f"{transfer['image_id']}: {output.size(transfer['done'])} of {output.size(transfer['total'])},"
            f" {output.size(int(transfer['rate']))}/s"
        )
    return output.fields(lines)


async def _ask(site: str) -> Any:
    async with connect(site) as client:
        return await client.json("GET", "/skerry/v1/status")
