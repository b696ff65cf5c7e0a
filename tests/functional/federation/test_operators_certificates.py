"""Certificates that an operator issues, with keys of another kind, instead of the centre's."""

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from skerry.core.clock import SystemClock
from skerry.core.errors import ConfigError, Forbidden
from skerry.lab.run import free_port
from tests.functional.federation.cast import LISTEN, centre, invite, join, member, sites_url
from tests.functional.people import Peopled
from tests.functional.sites import eventually, settings


class Operator:
    """Has an authority, and issues certificates as files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._key = generate_private_key(SECP256R1())
        self._own = self._certificate("Operator's authority", self._key, None)
        self.authority = self._write("authority.pem", self._own.public_bytes(Encoding.PEM))

    def section(self, site: str, **more: str) -> dict[str, str]:
        """The section `[sites]` of a site with a certificate."""
        key = generate_private_key(SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        certificate = self._certificate(f"{site}.example", key, f"skerry://site/{site}")
        return {
            "cert": self._write(f"{site}.pem", certificate.public_bytes(Encoding.PEM)),
            "key": self._write(f"{site}-key.pem", pem),
            "authority": self.authority,
            **more,
        }

    def _certificate(self, name: str, key: EllipticCurvePrivateKey, uri: str | None) -> x509.Certificate:
        now, issuer = SystemClock().now(), "Operator's authority"
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=uri is None, path_length=None), critical=True)
        )
        if uri is not None:
            names = [x509.UniformResourceIdentifier(uri), x509.DNSName(name)]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def _write(self, name: str, content: bytes) -> str:
        (self._folder / name).write_bytes(content)
        return str(self._folder / name)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path / "operator")


@pytest.fixture
async def central(tmp_path: Path, operator: Operator) -> AsyncIterator[Peopled]:
    """A centre with a certificate of the operator's."""
    async with centre(tmp_path / "central", sites=operator.section("central", **LISTEN)) as site:
        yield site


def section(operator: Operator, site: str) -> Mapping[str, Mapping[str, str]]:
    return {"sites": operator.section(site)}


async def test_sites_join_follow_and_change_their_keys_with_certificates_of_the_operators(
    central: Peopled, operator: Operator, tmp_path: Path
) -> None:
    port = free_port()
    listening = {"listen": f"127.0.0.1:{port}", "url": f"https://127.0.0.1:{port}"}
    paris_config = settings(tmp_path / "paris", sites=operator.section("paris", **listening))
    await join(paris_config, sites_url(central), await invite(central, "paris"))
    async with member(paris_config) as paris:
        assert paris.site.federation is not None
        sites = paris.site.federation.sites
        await eventually(lambda: "paris" in sites.all())
        token = await invite(central, "lyon", upstream="paris")
        await eventually(lambda: "lyon" in sites.all())
        lyon_config = settings(tmp_path / "lyon", **section(operator, "lyon"))
        assert (await join(lyon_config, listening["url"], token)).upstream.name == "paris"

        async with member(lyon_config) as lyon:
            assert lyon.site.federation is not None
            image = await central.admin.create(name="one", disk_format="raw", container_format="bare")
            await eventually(lambda: lyon.site.records.cached(image["id"]) is not None)
            old = lyon.site.federation.key.public
            assert (await lyon.call("POST", "/skerry/v1/rotate"))[0] == 200
            assert lyon.site.federation.key.public != old
            assert central.site.federation is not None
            assert central.site.federation.sites.keys("lyon") == (lyon.site.federation.key.public, old)
    assert not (tmp_path / "lyon" / "identity" / "cert.pem").exists()


async def test_a_newcomer_without_a_certificate_is_told_to_get_one(central: Peopled, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"the operator issues certificates: \[sites\] cert"):
        await join(settings(tmp_path / "lyon"), sites_url(central), await invite(central, "lyon"))


async def test_a_newcomer_with_a_certificate_where_none_is_wanted_is_told(
    operator: Operator, tmp_path: Path
) -> None:
    async with centre(tmp_path / "own") as own:
        config = settings(tmp_path / "lyon", **section(operator, "lyon"))
        with pytest.raises(ConfigError, match="the centre issues certificates itself"):
            await join(config, sites_url(own), await invite(own, "lyon"))


async def test_the_certificate_of_one_site_does_not_join_as_another(
    central: Peopled, operator: Operator, tmp_path: Path
) -> None:
    config = settings(tmp_path / "lyon", **section(operator, "nice"))

    with pytest.raises(Forbidden, match="nice"):
        await join(config, sites_url(central), await invite(central, "lyon"))


async def test_a_newcomer_that_trusts_another_authority_is_told(central: Peopled, tmp_path: Path) -> None:
    other = Operator(tmp_path / "other")

    with pytest.raises(ConfigError, match="another authority than the one of the centre"):
        await join(
            settings(tmp_path / "lyon", **section(other, "lyon")),
            sites_url(central),
            await invite(central, "lyon"),
        )


async def test_a_site_does_not_start_with_the_certificate_of_another(
    operator: Operator, tmp_path: Path
) -> None:
    section = operator.section("rome", **LISTEN)
    with pytest.raises(ConfigError, match="certificate of site rome, and this is site central"):
        async with centre(tmp_path / "central", sites=section):
            pass


async def test_a_site_does_not_start_with_a_key_that_does_not_fit(operator: Operator, tmp_path: Path) -> None:
    section = {**operator.section("central", **LISTEN), "key": operator.section("rome")["key"]}
    with pytest.raises(ConfigError, match="cannot be used: with the key"):
        async with centre(tmp_path / "central", sites=section):
            pass
