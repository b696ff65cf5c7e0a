"""Say which images ought to be at which sites, and see what that comes to."""

import asyncio
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from skerry.cli import output
from skerry.cli.client import Client, connect, site_argument
from skerry.core.errors import Conflict, InvalidInput
from skerry.core.placement.document import parse

_TOTALS = ("fetch", "drop", "later", "pin", "unpin")


def arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _action(actions, "list", "the placements, as a file that can be applied")
    _file_action(actions, "plan", "what would change if a file were applied")
    apply = _file_action(actions, "apply", "show the plan of a file, and apply it: all others go")
    apply.add_argument("--yes", action="store_true", help="do not ask")
    apply.add_argument("--fingerprint", help="apply only what the plan with this fingerprint has shown")
    _action(actions, "status", "what the site at --site does about it, and what waits for a person")
    approve = _action(actions, "approve", "let the deletions go ahead that wait at the site at --site")
    approve.add_argument("digest", metavar="DIGEST", help="as `skerry placement status` shows it")


def run(args: Namespace) -> int:
    """Do it."""
    asyncio.run(_do(args))
    return 0


async def _do(args: Namespace) -> None:
    async with connect(args.site) as client:
        match args.action:
            case "list":
                document = await client.json("GET", "/skerry/v1/placements")
                as_json = args.format == "json"
                print(
                    output.as_json(document)
                    if as_json
                    else yaml.safe_dump(document, sort_keys=False).rstrip()
                )
            case "plan":
                _show(args, await _plan(client, _read(args.file)))
            case "apply":
                await _apply(client, args)
            case "status":
                plan = await client.json("GET", "/skerry/v1/plan")
                print(output.as_json(plan) if args.format == "json" else _status(plan))
            case "approve":
                await client.json("POST", "/skerry/v1/plan/approve", json={"digest": args.digest})


async def _apply(client: Client, args: Namespace) -> None:
    document = _read(args.file)
    proposal = await _plan(client, document)
    if args.fingerprint and args.fingerprint != proposal["fingerprint"]:
        raise Conflict(
            "What these placements would change is not what that plan has shown.",
            hint="Look at the plan again: skerry placement plan -f FILE",
        )
    _show(args, proposal)
    if not (args.yes or args.fingerprint):
        if not sys.stdin.isatty():
            raise InvalidInput(
                "Nobody is there to be asked.", hint="Say --yes, or --fingerprint of the plan."
            )
        answer = await asyncio.to_thread(input, "Apply it? [y/N] ")
        if answer.strip().lower() not in ("y", "yes"):
            raise Conflict("Nothing was applied.")
    body = {**document, "fingerprint": proposal["fingerprint"]}
    await client.json("PUT", "/skerry/v1/placements", json=body)


async def _plan(client: Client, document: Mapping[str, Any]) -> dict[str, Any]:
    proposal: dict[str, Any] = await client.json("POST", "/skerry/v1/placements/plan", json=document)
    return proposal


def _read(file: Path) -> dict[str, Any]:
    """The document of a file, checked here so that an error names the file."""
    try:
        document = yaml.safe_load(file.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file}: not YAML: {error}.", hint="See docs/placements.md.") from None
    try:
        parse(document)
    except InvalidInput as error:
        raise InvalidInput(f"{file}: {error.message}", hint=error.hint) from None
    assert isinstance(document, dict)
    return document


def _show(args: Namespace, proposal: Mapping[str, Any]) -> None:
    if args.format == "json":
        print(output.as_json(proposal))
        return
    for name in proposal["added"]:
        print(f"+ {name}")
    for one in proposal["changed"]:
        print(f"~ {one['name']}: {', '.join(one['keys'])}")
    for name in proposal["removed"]:
        print(f"- {name}")
    if proposal["effects"]:
        rows = [(one["site"], *(_total(one[name]) for name in _TOTALS)) for one in proposal["effects"]]
        print(output.table(("SITE", *(name.upper() for name in _TOTALS)), rows))
    else:
        print("No copy comes or goes.")
    print(f"fingerprint: {proposal['fingerprint']}")


def _total(total: Mapping[str, Any]) -> str:
    return f"{total['images']} ({output.size(total['size'])})" if total["images"] else "-"


def _status(plan: Mapping[str, Any]) -> str:
    lines = [f"{one['action']:8} {one['image_id']}  {one['reason']}" for one in plan["actions"]]
    lines += [f"blocked  {one['image_id']}  {one['reason']}. {one['remedy']}" for one in plan["blocked"]]
    if plan["hold"]:
        lines.append(f"HELD     {plan['hold']['reason']}: skerry placement approve {plan['hold']['digest']}")
    return "\n".join(lines) or "All is as it ought to be."


def _action(actions: Any, name: str, what: str) -> ArgumentParser:
    action: ArgumentParser = actions.add_parser(name, help=what, description=what)
    output.format_argument(action)
    site_argument(action)
    return action


def _file_action(actions: Any, name: str, what: str) -> ArgumentParser:
    """An action on a file, which has the short option that a format has elsewhere."""
    action: ArgumentParser = actions.add_parser(name, help=what, description=what)
    action.add_argument("-f", "--file", type=Path, required=True, metavar="FILE", help="YAML")
    action.add_argument("--format", choices=("text", "json"), default="text", help="default text")
    site_argument(action)
    return action
