"""Settings: one TOML file, or environment variables, or nothing at all.

Every key `[section] key` is also the variable `SKERRY_SECTION_KEY`, which wins over the file. Everything is
checked at start; what is wrong is said in one error that names the file (or the variable), the key, and what
to write instead.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_type_hints

import msgspec

from skerry.combinations import check_combinations
from skerry.core.errors import ConfigError
from skerry.core.spelling import nearest
from skerry.core.units import Duration, Size


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file."""


class SiteSection(_Section, frozen=True):
    """Which site this is. `data` is the folder for everything that it keeps.

    With `shared`, `skerry serve` may be started several times for it: one process leads, the others help.
    """

    name: str = "local"
    data: str = ""
    shared: bool = False


class ApiSection(_Section, frozen=True):
    """Where the API listens and how patient it is.

    `listen` is HOST:PORT. `public_url` is what clients are told, when it differs. A client that moves fewer
    than `min_rate` bytes a second for `slow_after` is dropped.
    """

    listen: str = "127.0.0.1:9292"
    public_url: str = ""
    min_rate: Size = Size(1024)
    slow_after: Duration = Duration(30)


class LimitsSection(_Section, frozen=True):
    """Bounds on what one request or one image may bring; the defaults are Glance's where it has one."""

    image_size: Size = Size(1 << 40)
    body: Size = Size(1 << 20)
    properties: int = 128
    tags: int = 128
    members: int = 128
    page: int = 1000
    page_default: int = 25


class DatabaseSection(_Section, frozen=True):
    """`url` is SQLAlchemy's, of SQLite or PostgreSQL; empty means SQLite in the data folder."""

    url: str = ""


class StoreSection(_Section, frozen=True):
    """`path` is the folder for images; empty means `images` in the data folder.

    `others` are folders, each `name=path`, where placements may have copies by the name (`store: fast`): on
    another disk, say. Copies come into `path` and are moved from there.
    """

    path: str = ""
    others: tuple[str, ...] = ()


class IdentitySection(_Section, frozen=True):
    """How callers are known.

    `noauth`: everybody is an administrator (loopback only). `http_basic`: `htpasswd` is a file of
    `user:bcrypt` lines, each user is a project of that name, `admins` lists those who are administrators.
    `keystone`: see [keystone].
    """

    method: Literal["noauth", "http_basic", "keystone"] = "noauth"
    htpasswd: str = ""
    admins: tuple[str, ...] = ()


class KeystoneSection(_Section, frozen=True):
    """The identity service, and this site's own account there (used to check tokens, and to ask upstream).

    `fallback_auth_url` is asked when `auth_url` does not answer. `cache` is how long a checked token is
    believed; when none answers, until the token expires.
    """

    auth_url: str = ""
    fallback_auth_url: str = ""
    username: str = ""
    password: str = ""
    project_name: str = "service"
    user_domain_name: str = "Default"
    project_domain_name: str = "Default"
    application_credential_id: str = ""
    application_credential_secret: str = ""
    cafile: str = ""
    cache: Duration = Duration(300)
    timeout: Duration = Duration(5)


class PolicySection(_Section, frozen=True):
    """`file` is an operator's policy.yaml, in oslo.policy's format with Glance's rule names."""

    file: str = ""


class UpstreamSection(_Section, frozen=True):
    """The image service above this site; without `url` the site is a centre.

    Records are believed for `ttl` (0: always ask), and used until `max_stale` when nobody answers. A request
    waits `timeout` for the first answer at most. `auth` is this site's own credential there: `keystone` uses
    [keystone], `http_basic` uses `username` and `password`.

    Images come from there at `rate` bytes a second at most, all together; 0 is as fast as can be.

    With `replica`, a PostgreSQL database that follows the upstream's by PostgreSQL's own means, records are
    read there and never asked for; [feed] silent_after says when they count as old.
    """

    url: str = ""
    replica: str = ""
    ttl: Duration = Duration(60)
    max_stale: Duration = Duration(30 * 86400)
    timeout: Duration = Duration(2)
    stall: Duration = Duration(15)
    rate: Size = Size(0)
    auth: Literal["none", "http_basic", "keystone"] = "none"
    username: str = ""
    password: str = ""
    cafile: str = ""


class SitesSection(_Section, frozen=True):
    """This site among others: `listen` is HOST:PORT for other sites, `url` what they are told.

    A site that listens and has not joined another is a centre. `cert`, `key` and `authority` are PEM files of
    the operator's, all three, instead of certificates by the centre.
    """

    listen: str = ""
    url: str = ""
    cert: str = ""
    key: str = ""
    authority: str = ""


class FeedSection(_Section, frozen=True):
    """Records that travel between sites.

    What a site says of its own records is good for `head_lifetime`, and said again when half of that is over.
    Deletions are told of for `keep_deleted`; a site that was away for longer reads everything anew. After
    `silent_after` without a word from above, answers about the images of other sites say that they may be
    out of date.
    """

    head_lifetime: Duration = Duration(600)
    keep_deleted: Duration = Duration(30 * 86400)
    silent_after: Duration = Duration(120)


class CacheSection(_Section, frozen=True):
    """The copies of upstream's images: `size` is a hard limit. `fetches` run at the same time at most."""

    size: Size = Size(100 << 30)
    fetches: int = 4


class TransferSection(_Section, frozen=True):
    """Images between sites. Siblings, which have the same upstream, are sent `egress` bytes a second at most,
    all together; 0 is nothing ever.
    """

    egress: Size = Size(1 << 30)


class ImportsSection(_Section, frozen=True):
    """Image import. Hosts, networks and ports that `web-download` may reach.

    An address is refused when it is in `denied_networks` and not in `allowed_networks`; loopback, link-local,
    private and other special ranges are always in the first. With `allowed_hosts` set no other host is asked.
    """

    methods: tuple[Literal["glance-direct", "web-download"], ...] = ("glance-direct", "web-download")
    allowed_schemes: tuple[Literal["http", "https"], ...] = ("http", "https")
    allowed_ports: tuple[int, ...] = (80, 443)
    allowed_hosts: tuple[str, ...] = ()
    denied_hosts: tuple[str, ...] = ()
    allowed_networks: tuple[str, ...] = ()
    denied_networks: tuple[str, ...] = ()


class FormatsSection(_Section, frozen=True):
    """What images may be. `match` refuses data that is not of the declared disk format."""

    disk: tuple[str, ...] = (
        "ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop", "gpt",
    )  # fmt: skip
    container: tuple[str, ...] = ("ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed")
    match: bool = True


class Config(_Section, frozen=True):
    """All settings of one site."""

    site: SiteSection = SiteSection()
    api: ApiSection = ApiSection()
    limits: LimitsSection = LimitsSection()
    database: DatabaseSection = DatabaseSection()
    store: StoreSection = StoreSection()
    identity: IdentitySection = IdentitySection()
    keystone: KeystoneSection = KeystoneSection()
    policy: PolicySection = PolicySection()
    upstream: UpstreamSection = UpstreamSection()
    sites: SitesSection = SitesSection()
    feed: FeedSection = FeedSection()
    cache: CacheSection = CacheSection()
    transfer: TransferSection = TransferSection()
    imports: ImportsSection = ImportsSection()
    formats: FormatsSection = FormatsSection()

    @property
    def data(self) -> Path:
        """The folder for everything that the site keeps."""
        if self.site.data:
            return Path(self.site.data)
        base = os.environ.get("STATE_DIRECTORY") or os.environ.get("XDG_DATA_HOME") or "~/.local/share"
        return Path(base).expanduser() / "skerry"

    @property
    def images(self) -> Path:
        """The folder for image bytes."""
        return Path(self.store.path) if self.store.path else self.data / "images"

    @property
    def other_stores(self) -> dict[str, Path]:
        """The folders of `[store] others` by name."""
        return {name: Path(path) for name, _, path in (one.partition("=") for one in self.store.others)}

    @property
    def membership(self) -> Path:
        """The file that says whom this site has joined, if it has."""
        return self.data / "identity" / "membership.json"

    @property
    def alone(self) -> bool:
        """Whether this site belongs to no others: it has joined none, and listens to none."""
        return not self.sites.listen and not self.membership.exists()

    @property
    def database_url(self) -> str:
        """The database, as SQLAlchemy names it."""
        return self.database.url or f"sqlite:///{self.data / 'skerry.db'}"

    @property
    def listen(self) -> tuple[str, int]:
        """Host and port that the API listens on."""
        return _address(self.api.listen)

    @property
    def listen_to_sites(self) -> tuple[str, int] | None:
        """Host and port that other sites are listened to on, if they are."""
        return _address(self.sites.listen) if self.sites.listen else None


def _address(text: str) -> tuple[str, int]:
    """HOST:PORT. Raises ValueError."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def load(path: Path | None, environ: Mapping[str, str] = os.environ) -> Config:
    """Read and check the settings. Raises ConfigError."""
    document: dict[str, Any] = {}
    if path is not None:
        try:
            document = tomllib.loads(path.read_text())
        except OSError as error:
            raise ConfigError(
                f"{path}: cannot be read: {error.strerror}.", hint="Name a file that exists and is readable."
            ) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: not TOML: {error}.", hint="See docs/configuration.md.") from None
    source = str(path) if path else "environment"
    _refuse_unknown(document, source)
    origin = _overlay(document, environ)
    try:
        config = msgspec.convert(document, Config, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise _explain(error, source, origin) from None
    check_combinations(config, source)
    return config


def _refuse_unknown(document: Mapping[str, Any], source: str) -> None:
    sections = get_type_hints(Config)
    for section, table in document.items():
        if section not in sections:
            raise ConfigError(
                f"{source}: unknown section [{section}].", hint=nearest(section, sections, "[{}]")
            )
        if not isinstance(table, dict):
            raise ConfigError(
                f"{source}: {section} must be a table.", hint=f"Write [{section}] and its keys below."
            )
        keys = sections[section].__struct_fields__
        for key in table:
            if key not in keys:
                raise ConfigError(f"{source}: [{section}] has no key {key!r}.", hint=nearest(key, keys))


def _overlay(document: dict[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """Put SKERRY_SECTION_KEY variables over the document; return section.key -> variable for messages."""
    origin: dict[str, str] = {}
    for section, kind in get_type_hints(Config).items():
        for key, hint in get_type_hints(kind).items():
            variable = f"SKERRY_{section}_{key}".upper()
            if variable not in environ:
                continue
            text = environ[variable]
            value: Any = text
            if hint is bool:
                value = {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)
            elif hint is int:
                value = int(text) if re.fullmatch(r"-?\d+", text) else text
            elif getattr(hint, "__origin__", None) is tuple:
                items = [item.strip() for item in text.split(",") if item.strip()]
                value = [int(item) if item.isdigit() and hint.__args__[0] is int else item for item in items]
            document.setdefault(section, {})[key] = value
            origin[f"{section}.{key}"] = variable
    return origin


def _decode(kind: type, value: Any) -> Any:
    if kind in (Size, Duration):
        return kind.parse(value)
    raise NotImplementedError(kind)


def _explain(error: msgspec.ValidationError, source: str, origin: Mapping[str, str]) -> ConfigError:
    what, _, where = str(error).partition(" - at `$.")
    key = where.rstrip("`").partition("[")[0]
    section, _, name = key.partition(".")
    place = origin.get(key) or f"{source}: [{section}] {name}"
    return ConfigError(f"{place}: {what[:1].lower()}{what[1:]}.", hint=_remedy(section, name))


def _remedy(section: str, name: str) -> str:
    default = getattr(getattr(Config(), section, None), name, None)
    if default is None:
        return "See docs/configuration.md."
    if isinstance(default, tuple):
        default = list(default)
    shown = msgspec.json.encode(default, enc_hook=str).decode()
    return f"Write for example: {name} = {shown} (the default)."
