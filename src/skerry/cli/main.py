"""Find the command that was asked for, run it, and turn errors into a message and an exit code."""

import sys
from argparse import REMAINDER, ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from importlib import import_module

from skerry import __version__
from skerry.cli.errors import INTERRUPTED, exit_code
from skerry.core.errors import SkerryError

COMMANDS = {
    "serve": "run one site",
    "db": "check or upgrade the tables of a site's database",
    "lab": "run a central site and edges on this machine, and cut the lines between them",
    "push": "upload an image file, going on where an earlier attempt broke off",
    "pull": "download an image, going on where an earlier attempt broke off",
    "plan": "how an image would come to a site, and how long that takes",
    "status": "what a site has, is doing, and knows of its upstream",
    "site": "say which sites belong together: invite, see, label, move and send away",
    "join": "make this machine's site a member of others",
    "feed": "begin a site's records anew after it was restored from a backup",
    "placement": "say which images ought to be at which sites",
    "copy": "what is known of the copies of images at sites",
    "explain": "why an image is at a site or not, and what happens next",
    "transfer": "images on their way to a site: see, pause, resume, cancel",
    "verify": "read copies again, and have what is wrong of them brought anew",
    "cache": "see and steer the copies that an edge keeps",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (without the program); returns the exit code."""
    listing = "\n".join(f"  {name:8}{what}" for name, what in COMMANDS.items())
    parser = ArgumentParser(
        "skerry",
        description="An image service for edge clouds.",
        epilog=f"commands:\n{listing}\n\n`skerry COMMAND --help` says more.",
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"skerry {__version__}")
    parser.add_argument("command", metavar="COMMAND", choices=COMMANDS)
    parser.add_argument("rest", metavar="...", nargs=REMAINDER)
    chosen = parser.parse_args(argv)
    command = import_module(f"skerry.cli.{chosen.command}")
    own = ArgumentParser(f"skerry {chosen.command}", description=command.__doc__)
    command.arguments(own)
    args = own.parse_args(chosen.rest)
    try:
        return int(command.run(args))
    except SkerryError as error:
        print(f"skerry: {error}", file=sys.stderr)
        return exit_code(error)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"skerry: {place}{error.strerror or error}.", file=sys.stderr)
        return exit_code(error)
    except KeyboardInterrupt:
        return INTERRUPTED
