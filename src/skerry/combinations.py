"""Which settings cannot stand together, and what to write instead. A part of `config`, which calls it."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from skerry.core.errors import ConfigError

if TYPE_CHECKING:
    from skerry.config import Config


def check_combinations(config: "Config", source: str) -> None:
    """Raise ConfigError for settings that are each right and cannot stand together."""

    def refuse(key: str, what: str, remedy: str) -> ConfigError:
        return ConfigError(f"{source}: {key} {what}.", hint=remedy)

    try:
        host, port = config.listen
    except ValueError:
        raise refuse("[api] listen", "must be HOST:PORT", 'Write listen = "127.0.0.1:9292".') from None
    if not 0 <= port < 65536:
        raise refuse("[api] listen", f"has no such port {port}", 'Write listen = "127.0.0.1:9292".')
    if config.identity.method == "noauth" and not _is_loopback(host):
        raise refuse(
            "[identity] method",
            f"noauth makes everybody an administrator, and [api] listen is reachable from outside ({host})",
            'Write method = "keystone" or "http_basic", or listen on 127.0.0.1.',
        )
    if config.identity.method == "http_basic" and not config.identity.htpasswd:
        raise refuse(
            "[identity] htpasswd", "is needed with http_basic", 'Write htpasswd = "/etc/skerry/htpasswd".'
        )
    for other in config.store.others:
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*=/.+", other):
            raise refuse(
                "[store] others", f"has {other!r}", 'Write name=/path for each: others = ["fast=/mnt/nvme"].'
            )
    needs_keystone = config.identity.method == "keystone" or config.upstream.auth == "keystone"
    if needs_keystone and not config.keystone.auth_url:
        raise refuse(
            "[keystone] auth_url", "is needed for keystone", 'Write auth_url = "https://keystone.example/v3".'
        )
    if needs_keystone and not (config.keystone.username or config.keystone.application_credential_id):
        raise refuse(
            "[keystone] username", "is needed for keystone", 'Write the site\'s own account, as "glance".'
        )
    if config.upstream.url and not re.match(r"https?://[^/]+", config.upstream.url):
        raise refuse("[upstream] url", "is not an http(s) URL", 'Write url = "https://centre.example:9292".')
    if config.upstream.auth != "none" and not config.upstream.url:
        raise refuse("[upstream] auth", "is set and [upstream] url is not", "Set url, or drop auth.")
    if config.upstream.auth == "http_basic" and not config.upstream.username:
        raise refuse(
            "[upstream] username", "is needed with http_basic", "Write the site's user and password."
        )
    if config.upstream.replica and not config.upstream.url:
        raise refuse(
            "[upstream] replica",
            "is set and [upstream] url is not",
            "Set url as well: bytes come from there, and writes go there.",
        )
    if config.upstream.replica and not config.upstream.replica.startswith("postgresql"):
        raise refuse(
            "[upstream] replica",
            "is not a PostgreSQL database",
            'Write replica = "postgresql+psycopg://USER:PASSWORD@HOST/DATABASE".',
        )
    _check_sites(config, refuse)


def _check_sites(config: "Config", refuse: Callable[[str, str, str], ConfigError]) -> None:
    """The combinations of [sites]."""
    sites = config.sites
    given = [bool(sites.cert), bool(sites.key), bool(sites.authority)]
    if any(given) and not all(given):
        raise refuse(
            "[sites] cert, key and authority",
            "belong together",
            "Name all three files, or none: then the centre issues certificates.",
        )
    if sites.url and not re.match(r"https://[^/]+", sites.url):
        raise refuse("[sites] url", "is not an https URL", 'Write url = "https://centre.example:9293".')
    if sites.url and not sites.listen:
        raise refuse("[sites] url", "is set and [sites] listen is not", "Set listen, or drop url.")
    if not sites.listen:
        return
    try:
        address = config.listen_to_sites
    except ValueError:
        address = None
    if address is None or not address[0] or not 0 <= address[1] < 65536:
        raise refuse("[sites] listen", "must be HOST:PORT", 'Write listen = "0.0.0.0:9293".')
    if config.upstream.url:
        raise refuse(
            "[sites] listen",
            "is set and so is [upstream] url",
            "A site between others joins its upstream: take [upstream] url out, and run skerry join.",
        )
    if _is_loopback(address[0]):
        return
    if config.identity.method == "noauth":
        raise refuse(
            "[identity] method",
            f"noauth makes everybody an administrator, and [sites] listen is reachable from outside"
            f" ({address[0]})",
            'Write method = "keystone" or "http_basic", or listen on 127.0.0.1.',
        )
    if not sites.url:
        raise refuse(
            "[sites] url",
            "is needed when sites are listened to from outside",
            'Write what they reach it by, as url = "https://centre.example:9293".',
        )


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")
