"""Keys and certificates as files: PEM, and what a certificate says about a site."""

from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from skerry.core.errors import ConfigError
from skerry.core.signing import PublicKey, SigningKey
from skerry.identity.durable import replace_file

_URI = "skerry://site/"


def site_uri(name: str) -> str:
    """What a certificate of the site names as its subject, a URI among the alternative names (RFC 5280)."""
    return _URI + name


def site_of(uris: list[str]) -> str | None:
    """The one site that a certificate is about, by its URIs; None when it is about none, or several."""
    names = [uri.removeprefix(_URI) for uri in uris if uri.startswith(_URI)]
    return names[0] if len(names) == 1 else None


def subject(certificate: x509.Certificate) -> str | None:
    """The site that a certificate is about."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return None
    return site_of(found.value.get_values_for_type(x509.UniformResourceIdentifier))


def key_of(certificate: x509.Certificate) -> PublicKey | None:
    """Its key, if it is one with which sites sign."""
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None
    return PublicKey(key.public_bytes_raw()) if isinstance(key, Ed25519PublicKey) else None


def to_pem(certificate: x509.Certificate) -> str:
    """As text."""
    return certificate.public_bytes(Encoding.PEM).decode()


def to_der(certificate: x509.Certificate) -> bytes:
    """As bytes."""
    return certificate.public_bytes(Encoding.DER)


def from_pem(text: str) -> x509.Certificate:
    """The first certificate of a text. Raises ValueError."""
    return x509.load_pem_x509_certificate(text.encode())


def read_certificate(path: Path) -> x509.Certificate:
    """The first certificate of a file. Raises ConfigError."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise unusable(path, error.strerror or str(error)) from None
    except ValueError:
        raise unusable(path, "it is no certificate in PEM") from None


def read_key(path: Path) -> SigningKey | None:
    """The signing key in a file; None when there is no such file. Raises ConfigError."""
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unusable(path, error.strerror or str(error)) from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise unusable(path, "it is no private key in PEM") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise unusable(path, "it is no Ed25519 key")
    return SigningKey(key)


def make_key(path: Path) -> SigningKey:
    """The signing key in a file, which is made when there is none, durably. Raises ConfigError."""
    key = read_key(path)
    if key is None:
        key = SigningKey.generate()
        replace_file(path, key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return key


def third_gone(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether it is time for a new one: most of its life is kept for sites that are cut off for long."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return now - begin > (end - begin) / 3


def unusable(path: Path, why: str) -> ConfigError:
    """The error over a file that an operator has to look at."""
    return ConfigError(
        f"{path} cannot be used: {why}.", hint="Bring it back from a backup; see docs/sites.md."
    )
