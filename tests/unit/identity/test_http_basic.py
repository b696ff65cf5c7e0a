"""Users and passwords from an htpasswd file."""

import asyncio
import base64
import os
from collections.abc import Callable
from pathlib import Path

import bcrypt
import pytest

from skerry.config import IdentitySection, PolicySection
from skerry.core.caller import Caller
from skerry.core.errors import ConfigError, NotAuthenticated
from skerry.identity.http_basic import HttpBasic
from skerry.identity.policy import Policy

Write = Callable[..., Path]


def digest(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


def header(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def count_digests(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The passwords that bcrypt was computed for, growing."""
    computed: list[bytes] = []
    real = bcrypt.checkpw

    def checkpw(password: bytes, digest: bytes) -> bool:
        computed.append(password)
        return real(password, digest)

    monkeypatch.setattr(bcrypt, "checkpw", checkpw)
    return computed


@pytest.fixture
def write(tmp_path: Path) -> Write:
    path = tmp_path / "htpasswd"
    writes = 0

    def write(*lines: str) -> Path:
        nonlocal writes
        writes += 1
        path.write_text("".join(f"{line}\n" for line in lines))
        os.utime(path, (writes, writes))
        return path

    return write


def open_site(path: Path, *admins: str) -> HttpBasic:
    section = IdentitySection(method="http_basic", htpasswd=str(path), admins=admins)
    return HttpBasic(section, Policy(PolicySection()))


async def test_a_user_is_a_project_of_the_same_name(write: Write) -> None:
    site = open_site(write(f"ann:{digest('pw')}"))
    caller = await site.identify(header("ann", "pw"), write=True)
    assert caller == Caller("ann", "ann", frozenset({"member", "reader"}))


async def test_named_users_are_administrators(write: Write) -> None:
    site = open_site(write(f"ann:{digest('pw')}", f"root:{digest('pw')}"), "root")
    assert (await site.identify(header("root", "pw"), write=True)).is_admin
    assert not (await site.identify(header("ann", "pw"), write=True)).is_admin


async def test_who_was_found_right_is_known_without_computing_again(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = open_site(write(f"ann:{digest('pw')}"))
    computed = count_digests(monkeypatch)
    assert site.known(header("ann", "pw")) is None
    callers = await asyncio.gather(*(site.identify(header("ann", "pw"), write=False) for _ in range(5)))
    assert site.known(header("ann", "pw")) == callers[0]
    assert site.known(header("ann", "pW")) is None
    assert computed == [b"pw"]


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer abc"},
        {"Authorization": "Basic"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic " + base64.b64encode(b"\xff\xfe").decode()},
        {"Authorization": "Basic \udcff"},
        {"Authorization": "Basic " + base64.b64encode(b"ann").decode()},
        header("ann", "wrong"),
        header("ann", ""),
        header("ann", "pw\0"),
        header("ann", "p" * 8000),
        header("bob", "pw"),
        header("", ""),
        {"X-Auth-Token": "pw", "X-Roles": "admin"},
    ],
)
async def test_everything_else_is_refused(write: Write, sent: dict[str, str]) -> None:
    site = open_site(write(f"ann:{digest('pw')}"))
    for _ in range(2):
        assert site.known(sent) is None
        with pytest.raises(NotAuthenticated):
            await site.identify(sent, write=False)


async def test_a_user_that_does_not_exist_costs_as_much_as_a_wrong_password(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = open_site(write(f"ann:{digest('pw')}"))
    computed = count_digests(monkeypatch)
    for user in ("ann", "bob"):
        with pytest.raises(NotAuthenticated):
            await site.identify(header(user, "wrong"), write=False)
    assert computed == [b"wrong", b"wrong"]


async def test_bcrypt_looks_at_the_first_72_bytes_of_a_password_as_htpasswd_does(write: Write) -> None:
    site = open_site(write(f"ann:{digest('p' * 72)}"))
    assert (await site.identify(header("ann", "p" * 100), write=False)).user_id == "ann"


async def test_a_changed_password_takes_effect_at_once_also_for_who_was_known(write: Write) -> None:
    site = open_site(write(f"ann:{digest('old')}"))
    await site.identify(header("ann", "old"), write=False)
    write(f"ann:{digest('new')}")
    assert site.known(header("ann", "old")) is None
    with pytest.raises(NotAuthenticated):
        await site.identify(header("ann", "old"), write=False)
    await site.identify(header("ann", "new"), write=False)


async def test_a_change_that_breaks_the_file_leaves_the_former_users_in_force(
    write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    site = open_site(write(f"ann:{digest('pw')}"))
    write("ann")
    await site.identify(header("ann", "pw"), write=False)
    assert "line 1 is not" in caplog.text


async def test_a_file_without_users_lets_nobody_in(write: Write) -> None:
    with pytest.raises(NotAuthenticated):
        await open_site(write("# nobody yet", "")).identify(header("ann", "pw"), write=False)


@pytest.mark.parametrize("line", ["ann", ":x", "ann:pw", "ann:{SHA}x", "ann:$apr1$x$y", "ann:$2y$05$short"])
def test_a_line_that_is_not_bcrypt_is_one_error_that_names_it(write: Write, line: str) -> None:
    with pytest.raises(ConfigError, match="line 2 is not") as refused:
        open_site(write("# users", line))
    assert "htpasswd -nB" in refused.value.hint


def test_an_administrator_who_is_no_user_is_an_error(write: Write) -> None:
    with pytest.raises(ConfigError, match="there is no user 'rot'"):
        open_site(write(f"root:{digest('pw')}"), "rot")
