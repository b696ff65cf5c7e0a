"""TLS between sites: both ends show certificates of one authority, which say which site they are.

What counts is the name of the site in the certificate, and not the name of the host: sites move, are reached
over tunnels, and have addresses that mean nothing. TLS 1.3 alone; no session is resumed, so that every
connection shows its certificate.
"""

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from cryptography import x509

from skerry.core.errors import (
    ConfigError,
    Forbidden,
    NotAuthenticated,
    SkerryError,
    UpstreamAway,
    UpstreamFailed,
)
from skerry.core.signing import PublicKey
from skerry.identity.certificates import key_of, site_of, subject, unusable

_log = logging.getLogger(__name__)
_NOT_YET_VALID, _EXPIRED = 9, 10
"""X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end. The certificate is good until `expires`, in seconds since the epoch.

    `key` is None where it is not of the kind that sites sign with.
    """

    name: str
    key: PublicKey | None
    expires: float


class SiteContext(ssl.SSLContext):
    """Connects to the site `expected` alone; to any of the federation when that is None."""

    expected: str | None = None


class _Client(ssl.SSLObject):
    """Looks whom it has reached before anything is sent."""

    def do_handshake(self) -> None:
        super().do_handshake()
        expected = self.context.expected if isinstance(self.context, SiteContext) else None
        found = site_of(_uris(self))
        if found is None or expected not in (None, found):
            wanted = f"site {expected}" if expected else "a site"
            raise ssl.SSLCertVerificationError(
                f"this is the certificate of {found or 'no site'}, not of {wanted}"
            )


class _Server(ssl.SSLObject):
    """Says why it has sent somebody away, which asyncio does not."""

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLCertVerificationError as error:
            _log.warning("somebody was sent away: the certificate is refused: %s", error.verify_message)
            raise


def server_context(certificate: Path, key: Path, authority: str) -> ssl.SSLContext:
    """For the listener: who has a certificate shows a good one; newcomers have none. Raises ConfigError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslobject_class = _Server
    context.verify_mode = ssl.CERT_OPTIONAL
    context.num_tickets = 0
    return _equip(context, authority, certificate, key)


def client_context(
    authority: str, expected: str | None, certificate: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """To connect to the site `expected`; without a certificate, as somebody unknown. Raises ConfigError."""
    context = SiteContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslobject_class = _Client
    context.check_hostname = False
    context.expected = expected
    return _equip(context, authority, certificate, key)


def blind_context() -> ssl.SSLContext:
    """To ask somebody who they say they are, without believing it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def peer_of(connection: ssl.SSLObject) -> Peer | None:
    """Who is at the other end; None for somebody without a certificate, or with one that names no site."""
    der = connection.getpeercert(binary_form=True)
    if der is None:
        return None
    certificate = x509.load_der_x509_certificate(der)
    name = subject(certificate)
    if name is None:
        return None
    return Peer(name, key_of(certificate), certificate.not_valid_after_utc.timestamp())


def explain(error: Exception, url: str) -> SkerryError:
    """Why there is no connection to the site at `url`, for a person."""
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _refused(cause, url)
    if isinstance(cause, ssl.SSLError):
        return UpstreamFailed(
            f"{url} does not speak TLS 1.3: {cause.reason or cause}.",
            hint="Is this the [sites] url of the other site, and not that of its API?",
        )
    if isinstance(cause, TimeoutError):
        return UpstreamAway(f"{url} does not answer in time.", hint="Is the line there?")
    if isinstance(cause, aiohttp.ServerDisconnectedError | ConnectionResetError):
        return UpstreamFailed(
            f"{url} ends the connection at once.",
            hint="It may not take this site's certificate: its log says why.",
        )
    why = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return UpstreamAway(f"{url} cannot be reached: {why}.", hint="Is the address right, and the line there?")


def _refused(error: ssl.SSLCertVerificationError, url: str) -> SkerryError:
    code = getattr(error, "verify_code", 0)
    if code in (_NOT_YET_VALID, _EXPIRED):
        when = "not valid yet" if code == _NOT_YET_VALID else "not valid any more"
        return NotAuthenticated(
            f"The certificate of {url} is {when} by the clock of this machine.", hint="Set the clock right."
        )
    why = getattr(error, "verify_message", "") or str(error.args[-1] if error.args else error)
    return Forbidden(
        f"{url} is not whom this site trusts: {why}.",
        hint="Is it another federation, or somebody in between?",
    )


def _equip(
    context: ssl.SSLContext, authority: str, certificate: Path | None, key: Path | None
) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cadata=authority)
    except (ssl.SSLError, ValueError):
        raise ConfigError(
            "The certificate of the authority cannot be used.", hint="Name a file of certificates in PEM."
        ) from None
    if certificate is not None and key is not None:
        load_pair(context, certificate, key)
    return context


def load_pair(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Have new connections show another certificate. Raises ConfigError."""
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except OSError as error:  # ssl.SSLError is one
        why = getattr(error, "reason", None) or error.strerror or str(error)
        raise unusable(certificate, f"with the key {key}: {why}") from None
    except ValueError:
        raise unusable(key, "it has a password") from None


def _no_password() -> str:
    raise ValueError


def _uris(connection: ssl.SSLObject) -> list[str]:
    names: Any = (connection.getpeercert() or {}).get("subjectAltName", ())
    return [str(value) for kind, value in names if kind == "URI"]
