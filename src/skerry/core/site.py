"""Sites as records: what is known of each, and the tree that they form.

Every site is an object of kind `site` in the centre's stream of records, so that all sites know of all
others: by which keys they sign, at which site they hang, which labels they carry.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from skerry.core.errors import Conflict, Forbidden, InvalidInput, NotFound
from skerry.core.image import Image
from skerry.core.signing import PublicKey
from skerry.core.wire import time_from_wire, time_to_wire

ReaderScope = Callable[[str, Image], bool]
"""Whether the site of this name may read an image, its record and its bytes."""

GRACE = timedelta(minutes=10)
"""How long a key that has been replaced still opens connections: those of its owner that are open already."""

MOST_KEYS = 8
MOST_LABELS = 32
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9._/-]{0,61}[a-z0-9])?")
_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_URL = re.compile(r"https://[A-Za-z0-9.:\[\]_-]{1,200}(/[A-Za-z0-9._~/-]{0,200})?")


class SiteState(StrEnum):
    """How a site stands to the federation."""

    INVITED = "invited"
    """It may join, once."""
    ACTIVE = "active"
    DRAINING = "draining"
    """It works as ever, and nothing new is planned for it."""
    REVOKED = "revoked"
    """Its keys open nothing any more."""


MEMBERS = frozenset({SiteState.ACTIVE, SiteState.DRAINING})
"""The states of sites that are let in."""

_NEXT: Mapping[SiteState, frozenset[SiteState]] = {
    SiteState.INVITED: frozenset({SiteState.REVOKED}),
    SiteState.ACTIVE: frozenset({SiteState.DRAINING, SiteState.REVOKED}),
    SiteState.DRAINING: frozenset({SiteState.ACTIVE, SiteState.REVOKED}),
    SiteState.REVOKED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class SiteRecord:
    """One site. The centre alone has no `upstream`.

    `keys` are those that it has signed with, newest first; the first is the one it uses. `url` is where it
    listens to other sites, if it does. `keyed_at` is when the newest key took over.
    """

    name: str
    upstream: str | None
    state: SiteState
    labels: Mapping[str, str] = field(default_factory=dict)
    keys: tuple[PublicKey, ...] = ()
    url: str = ""
    invited_at: datetime | None = None
    joined_at: datetime | None = None
    keyed_at: datetime | None = None


def site_to_body(site: SiteRecord) -> dict[str, Any]:
    """The body of a site's entry in the feed."""
    return {
        "name": site.name,
        "upstream": site.upstream,
        "state": site.state,
        "labels": dict(site.labels),
        "keys": [str(key) for key in site.keys],
        "url": site.url,
        "invited_at": site.invited_at and time_to_wire(site.invited_at),
        "joined_at": site.joined_at and time_to_wire(site.joined_at),
        "keyed_at": site.keyed_at and time_to_wire(site.keyed_at),
    }


def site_from_body(body: Mapping[str, Any]) -> SiteRecord:
    """Undo `site_to_body`. Raises ValueError for what no centre writes; unknown members are passed over."""
    try:
        record = SiteRecord(
            body["name"],
            body["upstream"],
            SiteState(body["state"]),
            dict(body["labels"]),
            tuple(map(PublicKey.parse, body["keys"])),
            body["url"],
            *(body[name] and time_from_wire(body[name]) for name in ("invited_at", "joined_at", "keyed_at")),
        )
        check_name(record.name)
        check_labels(record.labels)
        if record.upstream is not None:
            check_name(record.upstream)
        if record.url:
            check_url(record.url)
    except (LookupError, TypeError, AttributeError, InvalidInput) as error:
        raise ValueError(f"no site: {error!r:.200}") from None
    return record


def check_name(name: Any) -> str:
    """The name, if a site may have it. Raises InvalidInput."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidInput(
            f"A site cannot be called {name!r:.100}.", hint="Use a-z, 0-9 and dashes, 32 at most: lyon-2."
        )
    return name


def check_labels(labels: Any) -> dict[str, str]:
    """The labels, if a site may have them. Raises InvalidInput."""
    if not isinstance(labels, Mapping) or len(labels) > MOST_LABELS:
        raise InvalidInput(f"Labels are up to {MOST_LABELS} names with values.")
    for name, value in labels.items():
        if not isinstance(name, str) or not _LABEL.fullmatch(name):
            raise InvalidInput(
                f"A label cannot be called {name!r:.100}.",
                hint="Use a-z, 0-9, dots, dashes, slashes, 63 at most: tier.",
            )
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise InvalidInput(
                f"The label {name} cannot have the value {value!r:.100}.",
                hint="Use letters, digits, dots and dashes, 63 at most.",
            )
    return dict(labels)


def check_url(url: Any) -> str:
    """The URL at which a site listens to others. Raises InvalidInput."""
    if not isinstance(url, str) or not _URL.fullmatch(url):
        raise InvalidInput(
            f"{url!r:.100} is no URL of a site.", hint="Write for example: https://centre.example:9293"
        )
    return url.rstrip("/")


def relabel(site: SiteRecord, changes: Any) -> SiteRecord:
    """The site with labels set, or taken away where the value is None (RFC 7396). Raises InvalidInput."""
    if not isinstance(changes, Mapping):
        raise InvalidInput("Labels are names with values, or null to take one away.")
    kept = {name: value for name, value in {**site.labels, **changes}.items() if value is not None}
    return replace(site, labels=check_labels(kept))


def move_to(site: SiteRecord, state: Any) -> SiteRecord:
    """The site in another state. Raises InvalidInput, and Conflict for what cannot follow."""
    try:
        new = SiteState(state)
    except ValueError:
        raise InvalidInput(
            f"A site cannot be {state!r:.100}.", hint="Say active, draining, revoked."
        ) from None
    if site.upstream is None:
        raise Conflict(f"{site.name} is the centre, and stays active.", site=site.name)
    if new is not site.state and new not in _NEXT[site.state]:
        hint = (
            "Remove it and add it again." if site.state is SiteState.REVOKED else "It becomes so by joining."
        )
        raise Conflict(
            f"Site {site.name} is {site.state} and cannot become {new}.", hint=hint, site=site.name
        )
    return replace(site, state=new)


def check_removable(sites: Mapping[str, SiteRecord], site: SiteRecord) -> None:
    """Raise Conflict for a site that others need, or that works."""
    if site.upstream is None:
        raise Conflict(f"{site.name} is the centre.", site=site.name)
    below = sorted(subtree(sites, site.name) - {site.name})
    if below:
        raise Conflict(
            f"Site {site.name} is the upstream of {', '.join(below[:5])}.",
            hint="Give them another upstream first.",
            site=site.name,
        )
    if site.state is SiteState.ACTIVE:
        raise Conflict(f"Site {site.name} is active.", hint="Drain it, or revoke it, first.", site=site.name)


def children(sites: Mapping[str, SiteRecord]) -> dict[str, list[str]]:
    """The names of the sites that hang at each site, where there are any."""
    below: dict[str, list[str]] = {}
    for site in sites.values():
        if site.upstream is not None:
            below.setdefault(site.upstream, []).append(site.name)
    return below


def subtree(sites: Mapping[str, SiteRecord], name: str) -> frozenset[str]:
    """The site itself and all below it."""
    return all_below(children(sites), name)


def all_below(below: Mapping[str, Sequence[str]], name: str) -> frozenset[str]:
    """`subtree` for who knows the `children` already."""
    found = {name}
    waiting = [name]
    while waiting:
        new = set(below.get(waiting.pop(), ())) - found
        found |= new
        waiting += new
    return frozenset(found)


def path(sites: Mapping[str, SiteRecord], name: str) -> tuple[str, ...]:
    """The site, its upstream, and so on up to the centre; it ends where a site is unknown or comes again."""
    way: list[str] = []
    at: str | None = name
    while at is not None and at in sites and at not in way:
        way.append(at)
        at = sites[at].upstream
    return tuple(way)


def check_upstream(sites: Mapping[str, SiteRecord], name: str, upstream: Any) -> str:
    """The upstream, if the site may hang there. Raises NotFound, and Conflict for a circle."""
    above = sites.get(upstream) if isinstance(upstream, str) else None
    if above is None:
        raise NotFound(f"There is no site {upstream!r:.100} to hang {name} at.")
    if name in path(sites, above.name):
        raise Conflict(f"{name} cannot hang at {above.name}, which hangs at {name} itself.", site=name)
    if above.state is SiteState.REVOKED:
        raise Conflict(f"{name} cannot hang at {above.name}, which is revoked.", site=name)
    return above.name


def hang(sites: Mapping[str, SiteRecord], site: SiteRecord, upstream: Any) -> SiteRecord:
    """The site below another upstream. Raises NotFound, Conflict."""
    if site.upstream is None:
        raise Conflict(f"{site.name} is the centre, and has no upstream.", site=site.name)
    return replace(site, upstream=check_upstream(sites, site.name, upstream))


def is_another(before: SiteRecord, now: SiteRecord | None) -> bool:
    """Whether the site that had joined is no more: its name is free, or another one's."""
    return bool(before.keys) and (now is None or not set(before.keys) & set(now.keys))


def check_admitted(site: SiteRecord | None, name: str, key: PublicKey | None, now: datetime) -> None:
    """Raise Forbidden unless the site `name` is let in with this key.

    `key` is None where the operator's own certificates say who a site is.
    """
    if site is None:
        raise Forbidden(f"Site {name} is not known here.", hint="Was it removed? Add it, and have it join.")
    if site.state not in MEMBERS:
        raise Forbidden(f"Site {name} is {site.state}.", hint="The operator of the centre decides.")
    if key is None or key in site.keys[:1]:
        return
    if key not in site.keys:
        raise Forbidden(f"This is not the key of site {name}.", hint="Has it been joined anew elsewhere?")
    if site.keyed_at is not None and now > site.keyed_at + GRACE:
        raise Forbidden(f"The key of site {name} has been replaced by a newer one.")
