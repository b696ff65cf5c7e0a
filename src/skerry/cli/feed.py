"""Begin the records of a site anew, after its database was restored from a backup.

Other sites notice when a site has lost what they have seen of its records: they keep what they have, take
nothing more from it, and wait for a person. `restart`, while the site does not run, is that person's word
that what is in the database now is what holds. Other sites then forget the images of this site that it does
not know, and their bytes.
"""

import asyncio
from argparse import ArgumentParser, Namespace
from pathlib import Path

from skerry.config import load


def arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("action", choices=("restart",))
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="settings in TOML; without it the defaults"
    )


def run(args: Namespace) -> int:
    """Do it, and say which epoch has begun."""
    from skerry import members
    from skerry.core.clock import SystemClock

    config = load(args.config)
    epoch = asyncio.run(members.begin_anew(config, SystemClock()))
    print(f"Epoch {epoch} of this site's records has begun. Start the site: others follow by themselves.")
    return 0
