"""The centre's small certificate authority: it says which key is which site's, and nothing else."""

from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from skerry.core.signing import PublicKey, SigningKey
from skerry.identity.certificates import (
    key_of,
    make_key,
    read_certificate,
    site_uri,
    to_der,
    to_pem,
    unusable,
)
from skerry.identity.durable import replace_file

VALIDITY = timedelta(days=365)
"""Of a site's certificate. It is renewed after a third, so that a site may be cut off for the rest."""

_OWN_VALIDITY = timedelta(days=365 * 30)
_BACK = timedelta(hours=1)
"""Certificates are good from so long ago, for sites whose clocks are slow."""


class Authority:
    """Issues certificates for sites. Its own is `certificate`, as text `pem`."""

    def __init__(self, key: SigningKey, certificate: x509.Certificate) -> None:
        self._key = key
        self.certificate = certificate
        self.pem = to_pem(certificate)
        self.der = to_der(certificate)

    @classmethod
    def open(cls, key_path: Path, path: Path, centre: str, now: datetime) -> "Authority":
        """The one in the files, which are made on first use: the key first, then its certificate.

        So a crash in between leaves a key without a certificate, and the next start goes on. Raises
        ConfigError.
        """
        key = make_key(key_path)
        if not path.exists():
            replace_file(path, to_pem(_certify_itself(key, centre, now)).encode())
        certificate = read_certificate(path)
        if key_of(certificate) != key.public:
            raise unusable(path, f"it is not the certificate of {key_path}")
        return cls(key, certificate)

    def issue(self, site: str, key: PublicKey, now: datetime) -> str:
        """A certificate (PEM) that says that `key` is the site's, for both ends of a connection."""
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_name(site))
            .issuer_name(self.certificate.subject)
            .public_key(Ed25519PublicKey.from_public_bytes(key.raw))
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACK)
            .not_valid_after(now + VALIDITY)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(site_uri(site))]), critical=False
            )
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(Ed25519PublicKey.from_public_bytes(key.raw)),
                critical=False,
            )
            .add_extension(_issuer(self._key), critical=False)
            .sign(self._key.private, None)
        )
        return to_pem(certificate)


def _certify_itself(key: SigningKey, centre: str, now: datetime) -> x509.Certificate:
    name = _name(f"Skerry authority of {centre}")
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACK)
        .not_valid_after(now + _OWN_VALIDITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.private.public_key()), critical=False)
        .sign(key.private, None)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _issuer(key: SigningKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.private.public_key())


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
