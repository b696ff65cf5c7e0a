"""Who this site is to other sites: its key, its certificate, its upstream. All of it is in `DATA/identity`.

    key.pem            the key of this site: it signs entries of the feed, and is that of its certificate
    cert.pem           its certificate, by the authority
    authority.pem      the certificate of the authority
    authority-key.pem  the key of the authority; at the centre alone
    membership.json    which site this is and where its upstream is; at a site that has joined, written last
    next.pem           a key that is about to replace key.pem

With `[sites] cert` and its like set, the operator issues certificates and there is neither cert.pem nor an
authority here; key.pem signs entries all the same.
"""

import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509

from skerry.config import Config
from skerry.core import enrolment
from skerry.core.errors import ConfigError, InvalidInput
from skerry.core.signing import PublicKey, SigningKey
from skerry.core.site import check_name, check_url
from skerry.core.write_points import reached
from skerry.identity import tls
from skerry.identity.authority import Authority
from skerry.identity.certificates import (
    from_pem,
    key_of,
    make_key,
    read_certificate,
    read_key,
    subject,
    third_gone,
    to_der,
    unusable,
)
from skerry.identity.durable import rename, replace_file


@dataclass(frozen=True, slots=True)
class Upstream:
    """The site above: its name, by which it is known again, and the URL at which it listens to sites."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Belongs:
    """What a member keeps of having joined: the keys are those of the centre that it trusts in any case."""

    site: str
    upstream: Upstream
    centre: str
    centre_keys: tuple[PublicKey, ...]


class Folder:
    """The files. With `[sites] cert` set, three of them are the operator's."""

    def __init__(self, config: Config) -> None:
        self.path = config.data / "identity"
        own = config.sites
        self.url = own.url.rstrip("/")
        """Where this site says that it listens to others; empty when the settings do not say."""
        self.issued = not own.cert
        """Whether certificates come from the centre, and not from the operator."""
        self.key = self.path / "key.pem"
        self.next = self.path / "next.pem"
        self.cert = Path(own.cert) if own.cert else self.path / "cert.pem"
        self.tls_key = Path(own.key) if own.cert else self.key
        self.authority = Path(own.authority) if own.cert else self.path / "authority.pem"
        self.authority_key = self.path / "authority-key.pem"
        self.membership = config.membership

    def make(self) -> None:
        """Make the folder, for this user alone. Raises ConfigError."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise unusable(self.path, error.strerror or str(error)) from None

    def read_authority(self) -> str:
        """The certificates of the authority. Raises ConfigError."""
        read_certificate(self.authority)
        return self.authority.read_text()

    def keep(self, belongs: Belongs) -> None:
        """Write down that this site is a member, after everything that this needs. Blocks."""
        document = {
            "site": belongs.site,
            "upstream": {"name": belongs.upstream.name, "url": belongs.upstream.url},
            "centre": belongs.centre,
            "centre_keys": [str(key) for key in belongs.centre_keys],
        }
        replace_file(self.membership, msgspec.json.format(msgspec.json.encode(document)) + b"\n")

    def read(self) -> Belongs:
        """Undo `keep`. Raises ConfigError."""
        try:
            said: Any = msgspec.json.decode(self.membership.read_bytes())
            return Belongs(
                check_name(said["site"]),
                Upstream(check_name(said["upstream"]["name"]), check_url(said["upstream"]["url"])),
                check_name(said["centre"]),
                tuple(map(PublicKey.parse, said["centre_keys"])),
            )
        except (OSError, LookupError, TypeError, ValueError, InvalidInput, msgspec.DecodeError) as error:
            raise unusable(self.membership, repr(error)) from None

    def settle(self) -> None:
        """Finish the change of keys that a crash has interrupted, if its certificate is here already."""
        if self.issued and self.next.exists() and self.cert.exists():
            following = read_key(self.next)
            if following is not None and key_of(read_certificate(self.cert)) == following.public:
                rename(self.next, self.key)


class Membership:
    """This site among the others. `upstream` is None at the centre, `authority` everywhere else.

    Contexts are handed out and kept, so that connections made later show a certificate that came later.
    """

    def __init__(
        self,
        folder: Folder,
        name: str,
        key: SigningKey,
        *,
        upstream: Upstream | None,
        centre: str,
        centre_keys: tuple[PublicKey, ...],
        authority: Authority | None = None,
    ) -> None:
        self.name = name
        self.key = key
        self.upstream = upstream
        self.centre = centre
        self.centre_keys = centre_keys
        self.authority = authority
        self.folder = folder
        self.trusted = folder.read_authority()
        """The certificates of the authority, PEM."""
        self._contexts: list[ssl.SSLContext] = []
        self._to_others: dict[str, ssl.SSLContext] = {}

    @property
    def pin(self) -> bytes:
        """What tokens for this federation carry; good at the centre."""
        return enrolment.pin(to_der(from_pem(self.trusted)), self.key.public)

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate of this site. Raises ConfigError."""
        return read_certificate(self.folder.cert)

    def due(self, now: datetime) -> bool:
        """Whether it is time for a new certificate, or a new key was asked for and is not in use yet."""
        if self.folder.next.exists():
            return True
        return self.folder.issued and third_gone(self.certificate, now)

    def server_context(self) -> ssl.SSLContext:
        """For the listener of this site. Raises ConfigError."""
        context = tls.server_context(self.folder.cert, self.folder.tls_key, self.trusted)
        self._contexts.append(context)
        return context

    def client_context(self, site: str | None = None) -> ssl.SSLContext:
        """To connect to the upstream, or another site, as this site. Raises ConfigError."""
        if site is not None:
            if site not in self._to_others:
                self._to_others[site] = tls.client_context(
                    self.trusted, site, self.folder.cert, self.folder.tls_key
                )
            return self._to_others[site]
        assert self.upstream is not None
        context = tls.client_context(self.trusted, self.upstream.name, self.folder.cert, self.folder.tls_key)
        self._contexts.append(context)
        return context

    def asking_context(self) -> ssl.SSLContext:
        """To ask the upstream for a certificate: as nobody, which works with one that has expired as well.

        Where the operator issues them, as this site.
        """
        assert self.upstream is not None
        if self.folder.issued:
            return tls.client_context(self.trusted, self.upstream.name)
        return tls.client_context(self.trusted, self.upstream.name, self.folder.cert, self.folder.tls_key)

    def follow(self, upstream: Upstream) -> None:
        """Go by another upstream from now on, and after a restart. Blocks."""
        self.folder.keep(Belongs(self.name, upstream, self.centre, self.centre_keys))
        self.upstream = upstream
        for context in self._contexts:
            if isinstance(context, tls.SiteContext):
                context.expected = upstream.name

    def next_key(self) -> SigningKey:
        """The key that is to replace the one in use, durably. Blocks."""
        return make_key(self.folder.next)

    def wanted_key(self) -> SigningKey:
        """The key to ask a certificate for. Blocks."""
        return self.next_key() if self.folder.next.exists() else self.key

    def take(self, key: SigningKey, certificate: str) -> None:
        """Go by a new certificate (empty where the operator issues them), and its key if that is new. Blocks.

        A crash leaves the old key in use, or the new one with its certificate.
        """
        if self.folder.issued:
            _check_issued(certificate, self.name, key.public)
            replace_file(self.folder.cert, certificate.encode())
            reached("identity.certified")
        if key.public != self.key.public:
            rename(self.folder.next, self.folder.key)
            self.key.become(key)
        for context in (*self._contexts, *self._to_others.values()):
            tls.load_pair(context, self.folder.cert, self.folder.tls_key)


def open_membership(config: Config, now: datetime) -> Membership:
    """Who this site is to others. Blocks. Raises ConfigError.

    A site that has joined is a member. One that has not is a centre: what that needs is made on first use.
    """
    folder = Folder(config)
    return _member(folder, config) if folder.membership.exists() else _centre(folder, config, now)


def _member(folder: Folder, config: Config) -> Membership:
    if config.upstream.url:
        raise ConfigError(
            f"[upstream] url is set, and this site has joined others ({folder.membership}).",
            hint="Take [upstream] url out; or, to leave the others, delete that file.",
        )
    folder.settle()
    said = folder.read()
    if config.site.name not in (said.site, type(config.site)().name):
        raise ConfigError(
            f"[site] name is {config.site.name!r}, and this site has joined as {said.site!r}.",
            hint=f'Write name = "{said.site}", or take the line out.',
        )
    key = read_key(folder.key)
    if key is None:
        raise unusable(folder.key, "it is not there")
    member = Membership(
        folder,
        said.site,
        key,
        upstream=said.upstream,
        centre=said.centre,
        centre_keys=said.centre_keys,
    )
    _check_subject(folder, member)
    return member


def _centre(folder: Folder, config: Config, now: datetime) -> Membership:
    try:
        name = check_name(config.site.name)
    except InvalidInput as error:
        raise ConfigError(f"[site] name: {error.message}", hint=error.hint) from None
    folder.make()
    folder.settle()
    key = make_key(folder.key)
    authority = None
    if folder.issued:
        authority = Authority.open(folder.authority_key, folder.authority, name, now)
        if not folder.cert.exists():
            replace_file(folder.cert, authority.issue(name, key.public, now).encode())
    centre = Membership(
        folder, name, key, upstream=None, centre=name, centre_keys=(key.public,), authority=authority
    )
    _check_subject(folder, centre)
    return centre


def _check_subject(folder: Folder, member: Membership) -> None:
    found = subject(member.certificate)
    if found != member.name:
        raise ConfigError(
            f"{folder.cert} is the certificate of {f'site {found}' if found else 'no site'},"
            f" and this is site {member.name}.",
            hint=f"It must have the URI skerry://site/{member.name} among its alternative names.",
        )
    if folder.issued and key_of(member.certificate) != member.key.public:
        raise unusable(folder.cert, f"it is not the certificate of {folder.key}")


def _check_issued(certificate: str, name: str, key: PublicKey) -> None:
    """Raise ValueError for what would lock this site out."""
    issued = from_pem(certificate)
    if subject(issued) != name or key_of(issued) != key:
        raise ValueError("the certificate that came is not this site's")
