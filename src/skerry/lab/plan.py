"""What a lab consists of, as a value: sites, ports, folders, settings. No process and no socket."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from skerry.core.errors import InvalidInput

HOST = "127.0.0.1"
CENTRAL = "central"
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
_STEP = 100


@dataclass(frozen=True, slots=True)
class SitePlan:
    """One site of the lab: its name, the port of its API, and the folder for all that it keeps.

    `upstream` is the name of the site that it hangs at; the central one hangs at none.
    """

    name: str
    port: int
    folder: Path
    upstream: str | None = None

    @property
    def url(self) -> str:
        """Where its API is."""
        return f"http://{HOST}:{self.port}"

    @property
    def config(self) -> Path:
        """Its settings, written by the lab at each start."""
        return self.folder / "skerry.toml"

    @property
    def log(self) -> Path:
        """All that it says, since the last start."""
        return self.folder / "skerry.log"

    def settings(self, upstream: int | None) -> str:
        """The TOML of its settings; `upstream` is the port of its link to the site above."""
        lines = [
            "# Written by `skerry lab` at each start; changes are lost.",
            "[site]",
            f"name = {json.dumps(self.name)}",
            f"data = {json.dumps(str(self.folder))}",
            "[api]",
            f'listen = "{HOST}:{self.port}"',
            "[identity]",
            'method = "noauth"',
        ]
        if upstream is not None:
            lines += [
                "[upstream]",
                f'url = "http://{HOST}:{upstream}"',
                'ttl = "5s"  # so that what changes is soon seen',
            ]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class LabPlan:
    """One central site, and the edges at it or at one another, in the folder `state`."""

    state: Path
    central: SitePlan
    edges: tuple[SitePlan, ...]

    @property
    def sites(self) -> tuple[SitePlan, ...]:
        """All sites, each after its upstream."""
        return (self.central, *self.edges)

    @property
    def leaf(self) -> SitePlan:
        """An edge at which no other hangs."""
        upstreams = {site.upstream for site in self.edges}
        return next(site for site in self.edges if site.name not in upstreams)

    @property
    def control(self) -> Path:
        """The socket on which a running lab takes orders."""
        return control_socket(self.state)


def control_socket(state: Path) -> Path:
    """The socket on which the lab that runs in the folder `state` takes orders."""
    return state / "lab.sock"


@dataclass(frozen=True, slots=True)
class Named:
    """What one option of the command line names: a region, or edges."""

    names: tuple[str, ...]
    is_region: bool = False


def hang(named: Sequence[Named]) -> list[tuple[str, str]]:
    """Each edge, and what it hangs at: edges named right after a region at that, all others at the centre."""
    tree, at = list[tuple[str, str]](), CENTRAL
    for one in named:
        tree += [(name, CENTRAL if one.is_region else at) for name in one.names]
        at = one.names[0] if one.is_region else CENTRAL
    return tree


def plan(
    state: Path, edges: Sequence[tuple[str, str]], central_port: int, free_port: Callable[[], int]
) -> LabPlan:
    """Lay out a lab of edges, each given with the name of what it hangs at, which is given before it.

    They listen 100, 200, … above the central site, or anywhere free when its port is 0. Raises InvalidInput.
    """
    names = [CENTRAL, *(name for name, _ in edges)]
    for name, _ in edges:
        if not _NAME.fullmatch(name):
            raise InvalidInput(
                f"A site cannot be called {name!r}.",
                hint="Use a-z, 0-9 and dashes, as in lyon-2.",
            )
    if len(set(names)) != len(names):
        raise InvalidInput(
            f"Each site needs a name of its own, and one is called {CENTRAL}.", hint="Name each edge once."
        )
    if not 0 <= central_port <= 65535 - _STEP * len(edges):
        raise InvalidInput(f"There is no room for the lab at port {central_port}.", hint="Choose another.")
    ports = [central_port + _STEP * i if central_port else free_port() for i in range(len(names))]
    upstreams = [None, *(upstream for _, upstream in edges)]
    central, *rest = (
        SitePlan(name, port, state / name, upstream)
        for name, port, upstream in zip(names, ports, upstreams, strict=True)
    )
    return LabPlan(state, central, tuple(rest))
