"""Make this machine's site a member of others, with the line that `skerry site add` printed at the centre.

Makes the key pair of the site, enrols it, and writes down where its upstream is; `skerry serve`, which must
not run meanwhile, follows from its next start on. The same command again goes on where one was interrupted.
"""

import asyncio
from argparse import ArgumentParser, Namespace
from pathlib import Path

from skerry.cli import output
from skerry.config import load
from skerry.core.enrolment import Token


def arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("url", metavar="URL", help="where the upstream listens to sites")
    parser.add_argument("token", metavar="TOKEN")
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="settings in TOML; without it the defaults"
    )
    output.format_argument(parser)


def run(args: Namespace) -> int:
    """Do it, and say what the site is now."""
    config, token = load(args.config), Token.parse(args.token)
    from skerry import members

    belongs = asyncio.run(members.join(config, args.url, token))
    upstream = belongs.upstream
    if args.format == "json":
        document = {
            "site": belongs.site,
            "upstream": upstream.name,
            "url": upstream.url,
            "centre": belongs.centre,
        }
        print(output.as_json(document))
    else:
        print(
            f"This is site {belongs.site} now, below {upstream.name} at {upstream.url}; start: skerry serve"
        )
    return 0
