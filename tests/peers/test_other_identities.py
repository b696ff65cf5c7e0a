"""The `openstack` command without a Keystone: users in an htpasswd file, and nobody asked at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest

from peers.client import Client
from peers.skerry import Skerry

QCOW2 = ("--disk-format", "qcow2", "--container-format", "bare")


def as_user(site: Skerry, user: str, password: str) -> Client:
    return Client(
        {
            "OS_AUTH_TYPE": "http_basic",
            "OS_ENDPOINT": f"{site.url}/v2",  # with http_basic the client takes the address as it is
            "OS_USERNAME": user,
            "OS_PASSWORD": password,
        }
    )


@pytest.fixture
def basic(installed: None, tmp_path: Path) -> Iterator[tuple[Skerry, Skerry]]:
    """A central site and an edge that share a file of users; the edge has an account of its own above."""
    passwords = {"operator": "o", "ann": "a", "ben": "b", "the-edge": "e"}
    htpasswd = tmp_path / "htpasswd"
    htpasswd.write_text(
        "".join(
            f"{user}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()}\n"
            for user, password in passwords.items()
        )
    )
    identity = {"method": "http_basic", "htpasswd": str(htpasswd), "admins": ["operator", "the-edge"]}
    with Skerry(tmp_path / "centre", {"identity": identity}) as centre:
        upstream = {"url": centre.url, "auth": "http_basic", "username": "the-edge", "password": "e"}
        with Skerry(tmp_path / "edge", {"identity": identity, "upstream": upstream}) as edge:
            yield centre, edge


@pytest.fixture
def noauth(installed: None, tmp_path: Path) -> Iterator[tuple[Skerry, Skerry]]:
    """A central site and an edge with the settings that they have without any file."""
    with (
        Skerry(tmp_path / "centre") as centre,
        Skerry(tmp_path / "edge", {"upstream": {"url": centre.url}}) as edge,
    ):
        yield centre, edge


def test_users_of_an_htpasswd_file_have_their_own_images_at_both_sites(
    basic: tuple[Skerry, Skerry], small_qcow2: Path, tmp_path: Path
) -> None:
    centre, edge = basic

    as_user(centre, "ann", "a").run("image", "create", *QCOW2, "--private", "--file", small_qcow2, "anns")
    as_user(edge, "ann", "a").run("image", "save", "--file", tmp_path / "saved", "anns")

    assert (tmp_path / "saved").read_bytes() == small_qcow2.read_bytes()
    assert "No Image found" in as_user(edge, "ben", "b").refusal("image", "show", "anns")
    assert as_user(edge, "operator", "o").json("image", "show", "anns")["owner"] == "ann"
    assert "401" in as_user(edge, "ann", "wrong").refusal("image", "list")
    assert "401" in as_user(centre, "nobody", "a").refusal("image", "list")


def test_without_any_identity_everybody_is_an_administrator_at_both_sites(
    noauth: tuple[Skerry, Skerry], small_qcow2: Path, tmp_path: Path
) -> None:
    centre, edge = (Client({"OS_AUTH_TYPE": "none", "OS_ENDPOINT": site.url}) for site in noauth)

    edge.run("image", "create", *QCOW2, "--public", "--file", small_qcow2, "uploaded-at-the-edge")
    centre.run("image", "save", "--file", tmp_path / "from-centre", "uploaded-at-the-edge")
    edge.run("image", "save", "--file", tmp_path / "from-edge", "uploaded-at-the-edge")

    assert (tmp_path / "from-centre").read_bytes() == small_qcow2.read_bytes()
    assert (tmp_path / "from-edge").read_bytes() == small_qcow2.read_bytes()
    assert [entry["State"] for entry in edge.json("cached", "image", "list")] == ["cached"]
