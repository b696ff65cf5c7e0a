"""Run a tree of sites on this machine (Ctrl-C stops all of it), or change a link of a running lab.

Edges hang at the central site, but those of the `--edge` right after a `--region` hang at that region, which
hangs at the central site itself: `--region paris --edge lyon,brest --edge nice` puts lyon and brest below
paris, and nice beside it.
"""

import asyncio
import os
import shutil
import signal
import sys
from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from skerry.core.errors import InvalidInput
from skerry.core.units import Duration, Rate
from skerry.lab import control
from skerry.lab.plan import CENTRAL, LabPlan, Named, control_socket, hang, plan
from skerry.lab.run import free_port, run_lab


def arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--edge", action="append", dest="named", default=[], metavar="NAME[,NAME...]",
                        type=lambda text: Named(tuple(text.split(","))),
                        help="edges; may be repeated")  # fmt: skip
    parser.add_argument("--region", action="append", dest="named", metavar="NAME",
                        type=lambda text: Named((text,), is_region=True),
                        help="an edge at which those of the next --edge hang; may be repeated")  # fmt: skip
    parser.add_argument("--central-port", type=int, default=9292, metavar="PORT",
                        help="edges listen 100, 200, ... above it (default 9292; 0: any)")  # fmt: skip
    where = "folder for all that the lab keeps"
    parser.add_argument("--state", type=Path, default=_default_state(), metavar="DIR",
                        help=f"{where} (default %(default)s)")  # fmt: skip
    parser.set_defaults(action="run")
    actions = parser.add_subparsers(metavar="link", title="a running lab")
    link = actions.add_parser("link", help="cut, restore, slow or delay the link above a site")
    link.add_argument("link", metavar="NAME")
    link.add_argument("--state", type=Path, default=SUPPRESS, metavar="DIR", help=where)
    link.set_defaults(action="show")
    orders = link.add_subparsers(metavar="ORDER")
    for name, what in (
        ("show", "say how it is (when no order is given)"),
        ("cut", "swallow all that is sent, without refusing it"),
        ("restore", "let everything through again"),
        ("shape", "limit the rate of each direction and delay each way; without options no longer"),
    ):
        order = orders.add_parser(name, help=what, description=what)
        order.add_argument("--state", type=Path, default=SUPPRESS, metavar="DIR", help=where)
        order.set_defaults(action=name)
        if name == "shape":
            order.add_argument("--rate", type=_unit(Rate.parse), metavar="20Mbit")
            order.add_argument("--delay", type=_unit(Duration.parse), default=0.0, metavar="50ms")


def run(args: Namespace) -> int:
    """Run the lab, or send the order."""
    if args.action != "run":
        order = {"link": args.link, "do": args.action}
        if args.action == "shape":
            order |= {"rate": args.rate, "delay": args.delay}
        print(asyncio.run(control.send(control_socket(args.state), order))["said"])
        return 0
    if not args.named:
        raise InvalidInput("A lab needs an edge.", hint="Write for example: skerry lab --edge lyon")
    asyncio.run(_until_stopped(plan(args.state, hang(args.named), args.central_port, free_port)))
    return 0


async def _until_stopped(lab: LabPlan) -> None:
    """Run until a signal; each further one kills the site that is just being waited for."""
    task = asyncio.current_task()
    assert task is not None

    def stop() -> None:
        _print("Stopping.")
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        await run_lab(
            lab,
            started=lambda: _print(_banner(lab)),
            say=lambda event: _print(f"{datetime.now():%H:%M:%S} {event}"),
        )
    except asyncio.CancelledError:
        _print(f"The lab has stopped; what it keeps is in {lab.state}")


def _banner(lab: LabPlan) -> str:
    """Where the sites are, and what to try next."""
    skerry, edge = _own_name(), lab.leaf
    state = "" if lab.state == _default_state() else f" --state {lab.state}"
    width = max(len(site.name) for site in lab.sites)
    sites = "\n".join(
        f"  {site.name:{width}}  {site.url}"
        + ("" if site.upstream in (None, CENTRAL) else f"  below {site.upstream}")
        for site in lab.sites
    )
    return f"""
The lab is running; Ctrl-C stops all of it.

{sites}

Try, in another terminal (your own qcow2, ISO or raw image will do as well):

  head -c 256M /dev/urandom > /tmp/demo.img
  {skerry} push /tmp/demo.img --name demo --site {lab.central.url}
  {skerry} pull demo /tmp/first.img --site {edge.url}
  {skerry} lab{state} link {edge.name} cut
  {skerry} pull demo /tmp/second.img --site {edge.url}

And after that:

  {skerry} status --site {edge.url}
  {skerry} lab{state} link {edge.name} restore
  {skerry} lab{state} link {edge.name} shape --rate 20Mbit --delay 50ms

For the openstack command: export OS_AUTH_TYPE=none OS_ENDPOINT={edge.url}
"""


def _unit(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    def checked(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise ArgumentTypeError(str(error)) from None

    return checked


def _default_state() -> Path:
    return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "skerry" / "lab"


def _own_name() -> str:
    """How a person at this terminal calls this program."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{sys.executable} -m skerry"
    found = shutil.which("skerry")
    return "skerry" if found and called.exists() and called.samefile(found) else sys.argv[0]


def _print(text: str) -> None:
    print(text, flush=True)
