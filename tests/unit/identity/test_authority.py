"""The small authority of a centre."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from skerry.core.errors import ConfigError
from skerry.core.signing import SigningKey
from skerry.identity.authority import VALIDITY, Authority
from skerry.identity.certificates import from_pem, key_of, site_of, subject, third_gone

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def opened(folder: Path) -> Authority:
    return Authority.open(folder / "authority-key.pem", folder / "authority.pem", "central", NOW)


def test_an_authority_is_made_once_and_for_nobody_else_to_read(tmp_path: Path) -> None:
    authority = opened(tmp_path)

    assert opened(tmp_path).pem == authority.pem
    assert stat.S_IMODE((tmp_path / "authority-key.pem").stat().st_mode) == 0o600
    assert sorted(file.name for file in tmp_path.iterdir()) == ["authority-key.pem", "authority.pem"]


def test_an_authority_whose_making_was_interrupted_is_made_to_the_end(tmp_path: Path) -> None:
    key = key_of(opened(tmp_path).certificate)
    (tmp_path / "authority.pem").unlink()

    assert key_of(opened(tmp_path).certificate) == key


@pytest.mark.parametrize("name", ["authority-key.pem", "authority.pem"])
def test_a_file_that_is_no_pem_is_told_and_left_alone(tmp_path: Path, name: str) -> None:
    opened(tmp_path)
    (tmp_path / name).write_text("nonsense")

    with pytest.raises(ConfigError, match=name):
        opened(tmp_path)
    assert (tmp_path / name).read_text() == "nonsense"


def test_a_certificate_of_another_key_is_told(tmp_path: Path) -> None:
    opened(tmp_path)
    (tmp_path / "authority-key.pem").unlink()

    with pytest.raises(ConfigError, match="is not the certificate of"):
        opened(tmp_path)


def test_a_certificate_says_which_site_has_which_key(tmp_path: Path) -> None:
    authority, key = opened(tmp_path), SigningKey.generate().public
    certificate = from_pem(authority.issue("lyon", key, NOW))

    assert subject(certificate) == "lyon"
    assert key_of(certificate) == key
    certificate.verify_directly_issued_by(authority.certificate)
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_certificate_of_another_authority_is_not_of_this_one(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    certificate = from_pem(opened(tmp_path).issue("lyon", SigningKey.generate().public, NOW))

    with pytest.raises(InvalidSignature):
        certificate.verify_directly_issued_by(opened(tmp_path / "other").certificate)


def test_a_certificate_is_good_for_clocks_that_are_a_little_slow_and_renewed_early(tmp_path: Path) -> None:
    certificate = from_pem(opened(tmp_path).issue("lyon", SigningKey.generate().public, NOW))

    assert certificate.not_valid_before_utc == NOW - timedelta(hours=1)
    assert certificate.not_valid_after_utc == NOW + VALIDITY
    assert not third_gone(certificate, NOW + VALIDITY / 4)
    assert third_gone(certificate, NOW + VALIDITY / 2)


def test_a_certificate_is_about_one_site_or_about_none() -> None:
    assert site_of(["skerry://site/lyon", "https://lyon.example"]) == "lyon"
    assert site_of(["https://lyon.example"]) is None
    assert site_of(["skerry://site/lyon", "skerry://site/paris"]) is None
