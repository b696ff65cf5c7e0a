"""Who a site is to others, as its files say it, whatever happens while they are written."""

import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from skerry.config import Config, load
from skerry.core import write_points
from skerry.core.errors import ConfigError
from skerry.core.signing import SigningKey
from skerry.identity.authority import Authority
from skerry.identity.certificates import key_of, make_key
from skerry.identity.membership import Belongs, Folder, Membership, Upstream, open_membership

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CENTRE_KEY = SigningKey.generate().public


def config(data: Path, **variables: str) -> Config:
    return load(None, {"SKERRY_SITE_DATA": str(data), **variables})


def centre(data: Path, name: str = "central") -> Config:
    return config(data, SKERRY_SITES_LISTEN="127.0.0.1:0", SKERRY_SITE_NAME=name)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    (tmp_path / "centre").mkdir()
    return Authority.open(tmp_path / "centre" / "key.pem", tmp_path / "centre" / "cert.pem", "central", NOW)


@pytest.fixture
def lyon(tmp_path: Path, authority: Authority) -> Config:
    """The settings of a site that has joined."""
    settings = config(tmp_path / "lyon")
    folder = Folder(settings)
    folder.make()
    key = make_key(folder.key)
    folder.authority.write_text(authority.pem)
    folder.cert.write_text(authority.issue("lyon", key.public, NOW))
    folder.keep(Belongs("lyon", Upstream("paris", "https://paris:9293"), "central", (CENTRE_KEY,)))
    return settings


def opened(settings: Config) -> Membership:
    return open_membership(settings, NOW)


@pytest.fixture
def crash() -> Iterator[None]:
    """The program dies at each write point."""

    def die(label: str) -> None:
        raise SystemExit(label)

    write_points.set_hook(die)
    yield
    write_points.set_hook(None)


def test_a_site_without_others_makes_no_files(tmp_path: Path) -> None:
    assert config(tmp_path).alone
    assert list(tmp_path.iterdir()) == []


def test_a_centre_makes_what_it_needs_once(tmp_path: Path) -> None:
    first, again = opened(centre(tmp_path)), opened(centre(tmp_path))

    assert first.upstream is None
    assert first.name == first.centre == "central"
    assert again.key.public == first.key.public
    assert again.pin == first.pin
    assert stat.S_IMODE((tmp_path / "identity").stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "identity").iterdir()} == {0o600}


def test_a_centre_is_not_renamed_by_its_settings(tmp_path: Path) -> None:
    opened(centre(tmp_path))

    with pytest.raises(ConfigError, match="certificate of site central, and this is site rome"):
        opened(centre(tmp_path, "rome"))
    with pytest.raises(ConfigError, match="cannot be called"):
        opened(centre(tmp_path / "other", "Not A Name"))


def test_a_member_is_what_it_has_joined_as(lyon: Config) -> None:
    member = opened(lyon)

    assert member.name == "lyon"
    assert member.upstream == Upstream("paris", "https://paris:9293")
    assert (member.centre, member.centre_keys) == ("central", (CENTRE_KEY,))
    assert member.authority is None
    member.server_context()
    member.client_context()


def test_settings_that_contradict_a_membership_are_refused(lyon: Config) -> None:
    for variable, value, complaint in (
        ("SKERRY_UPSTREAM_URL", "https://glance:9292", r"\[upstream\] url is set"),
        ("SKERRY_SITE_NAME", "nice", "has joined as 'lyon'"),
    ):
        with pytest.raises(ConfigError, match=complaint):
            opened(config(lyon.data, **{variable: value}))
    assert opened(config(lyon.data, SKERRY_SITE_NAME="lyon")).name == "lyon"


@pytest.mark.parametrize("name", ["key.pem", "cert.pem", "authority.pem", "membership.json"])
def test_a_member_with_a_file_that_cannot_be_used_says_which(lyon: Config, name: str) -> None:
    (lyon.data / "identity" / name).write_text("nonsense")

    with pytest.raises(ConfigError, match=name):
        opened(lyon)


@pytest.mark.parametrize("name", ["key.pem", "cert.pem", "authority.pem"])
def test_a_member_that_lacks_a_file_says_which(lyon: Config, name: str) -> None:
    (lyon.data / "identity" / name).unlink()

    with pytest.raises(ConfigError, match=name):
        opened(lyon)


def test_a_member_with_the_certificate_of_another_key_says_so(lyon: Config, authority: Authority) -> None:
    Folder(lyon).cert.write_text(authority.issue("lyon", CENTRE_KEY, NOW))

    with pytest.raises(ConfigError, match="is not the certificate of"):
        opened(lyon)


def test_a_key_is_replaced_for_those_who_hold_it(lyon: Config, authority: Authority) -> None:
    member = opened(lyon)
    held, old = member.key, member.key.public
    new = member.next_key()
    member.take(new, authority.issue("lyon", new.public, NOW))

    assert held.public == new.public != old
    assert opened(lyon).key.public == new.public
    assert not member.due(NOW)


def test_a_crash_before_the_new_certificate_leaves_the_old_key_and_what_is_to_do(lyon: Config) -> None:
    member = opened(lyon)
    old, new = member.key.public, member.next_key()

    again = opened(lyon)
    assert again.key.public == old
    assert again.due(NOW)
    assert again.wanted_key().public == new.public


@pytest.mark.usefixtures("crash")
def test_a_crash_after_the_new_certificate_leaves_the_new_key(lyon: Config, authority: Authority) -> None:
    member = opened(lyon)
    new = member.next_key()
    with pytest.raises(SystemExit, match=r"identity\.certified"):
        member.take(new, authority.issue("lyon", new.public, NOW))

    again = opened(lyon)
    assert again.key.public == new.public
    assert key_of(again.certificate) == new.public
    assert not again.due(NOW)


def test_a_certificate_that_is_not_this_sites_is_not_taken(lyon: Config, authority: Authority) -> None:
    member = opened(lyon)
    key = member.key
    for wrong in (authority.issue("nice", key.public, NOW), authority.issue("lyon", CENTRE_KEY, NOW), "x"):
        with pytest.raises(ValueError):
            member.take(key, wrong)

    assert opened(lyon).key.public == key.public


def test_a_member_follows_another_upstream_also_after_a_restart(lyon: Config) -> None:
    member = opened(lyon)
    nice = Upstream("nice", "https://nice:9293")
    member.follow(nice)

    assert member.upstream == nice
    assert opened(lyon).upstream == nice
    assert opened(lyon).centre_keys == (CENTRE_KEY,)


def test_what_a_member_keeps_is_for_people_to_read(lyon: Config) -> None:
    document = msgspec.json.decode((lyon.data / "identity" / "membership.json").read_bytes())

    assert document == {
        "site": "lyon",
        "upstream": {"name": "paris", "url": "https://paris:9293"},
        "centre": "central",
        "centre_keys": [str(CENTRE_KEY)],
    }
