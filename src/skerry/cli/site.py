"""Say which sites belong together: invite, see, label, move and send away; at any of them."""

import asyncio
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Mapping
from typing import Any

from skerry.cli import output
from skerry.cli.client import Client, connect, site_argument
from skerry.core.units import Duration

_STATES = {
    "drain": ("draining", "plan nothing new for a site; it works as ever"),
    "undrain": ("active", "end that"),
    "revoke": ("revoked", "let a site in no more, from its next contact on; for good"),
}


def arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = _action(actions, "add", "invite a site: prints a token, good once, and how to use it")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--label", action="append", default=[], type=_label, metavar="NAME=VALUE")
    add.add_argument("--upstream", metavar="NAME", help="the site that it hangs at (default: the centre)")
    add.add_argument("--expires", type=_duration, default=Duration(3600), metavar="1h",
                     help="how long the token is good (default 1h)")  # fmt: skip
    _action(actions, "list", "all sites")
    _action(actions, "show", "one site").add_argument("name", metavar="NAME")
    change = _action(actions, "set", "change the labels or the upstream of a site")
    change.add_argument("name", metavar="NAME")
    change.add_argument("--label", action="append", default=[], type=_label, metavar="NAME=VALUE",
                        help="without a value (NAME=) it is taken away")  # fmt: skip
    change.add_argument("--upstream", metavar="NAME", help="the site that it shall hang at")
    for name, (_, what) in _STATES.items():
        _action(actions, name, what).add_argument("name", metavar="NAME")
    _action(actions, "remove", "forget a site that was drained or revoked").add_argument(
        "name", metavar="NAME"
    )
    _action(actions, "preflight", "whether a site can be cut off, and what it would lack").add_argument(
        "name", metavar="NAME"
    )
    _action(actions, "rotate", "have the site at --site take a new key")


def run(args: Namespace) -> int:
    """Do it."""
    asyncio.run(_do(args))
    return 0


async def _do(args: Namespace) -> None:
    async with connect(args.site) as client:
        match args.action:
            case "add":
                await _add(client, args)
            case "list":
                document = await client.json("GET", "/skerry/v1/sites")
                print(output.as_json(document) if args.format == "json" else _table(document["sites"]))
            case "show":
                _print(args, await client.json("GET", f"/skerry/v1/sites/{args.name}"))
            case "remove":
                await client.json("DELETE", f"/skerry/v1/sites/{args.name}")
            case "preflight":
                answer = await client.json("GET", f"/skerry/v1/sites/{args.name}/preflight")
                print(output.as_json(answer) if args.format == "json" else _preflight(answer))
            case "rotate":
                answer = await client.json("POST", "/skerry/v1/rotate")
                said = f"Site {answer['site']} has a new key, {answer['key']}."
                print(output.as_json(answer) if args.format == "json" else said)
            case "set":
                change: dict[str, Any] = {}
                if args.label:
                    change["labels"] = {name: value or None for name, value in args.label}
                if args.upstream:
                    change["upstream"] = args.upstream
                _print(args, await client.json("PATCH", f"/skerry/v1/sites/{args.name}", json=change))
            case state:
                change = {"state": _STATES[state][0]}
                _print(args, await client.json("PATCH", f"/skerry/v1/sites/{args.name}", json=change))


async def _add(client: Client, args: Namespace) -> None:
    wanted = {"name": args.name, "labels": dict(args.label), "expires": float(args.expires)}
    if args.upstream:
        wanted["upstream"] = args.upstream
    answer = await client.json("POST", "/skerry/v1/sites", json=wanted)
    if args.format == "json":
        print(output.as_json(answer))
        return
    print(
        f"At the new site, until {answer['expires_at']}:\n\n  skerry join {answer['url']} {answer['token']}"
    )


def _print(args: Namespace, site: Mapping[str, Any]) -> None:
    if args.format == "json":
        print(output.as_json(site))
        return
    print(
        output.fields(
            {
                "site": site["name"],
                "upstream": site["upstream"] or "none: it is the centre",
                "state": site["state"],
                "labels": _labels(site),
                "url": site["url"],
                "invited": site["invited_at"] or "",
                "joined": site["joined_at"] or "",
                "key": f"{site['keys'][0]} since {site['keyed_at']}" if site["keys"] else "",
                "older keys": ", ".join(site["keys"][1:]),
            }
        )
    )


def _preflight(answer: Mapping[str, Any]) -> str:
    verdict = "can be cut off" if answer["is_safe"] else "is better not cut off"
    lacking = [
        f"  {one['image_id']}  {one['sync']['value']}: {one['sync']['reason']}" for one in answer["lacking"]
    ]
    said = f"Site {answer['site']} {verdict}: {answer['reason']}"
    return "\n".join([f"{said} (as of {answer['as_of'] or 'never'}).", *lacking])


def _table(sites: list[Mapping[str, Any]]) -> str:
    heading = ("SITE", "UPSTREAM", "STATE", "LABELS", "JOINED")
    return output.table(heading, [_row(site) for site in sites])


def _row(site: Mapping[str, Any]) -> tuple[str, ...]:
    labels = _labels(site) or "-"
    return site["name"], site["upstream"] or "-", site["state"], labels, site["joined_at"] or "-"


def _labels(site: Mapping[str, Any]) -> str:
    return ",".join(f"{name}={value}" for name, value in sorted(site["labels"].items()))


def _action(actions: Any, name: str, what: str) -> ArgumentParser:
    action: ArgumentParser = actions.add_parser(name, help=what, description=what)
    output.format_argument(action)
    site_argument(action)
    return action


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    return name, value


def _duration(text: str) -> Duration:
    try:
        return Duration.parse(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
