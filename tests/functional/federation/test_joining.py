"""How a site becomes one of several, and what it is told when it does not."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from skerry.core import write_points
from skerry.core.enrolment import Token
from skerry.core.errors import (
    ConfigError,
    Conflict,
    Forbidden,
    InvalidInput,
    NotAuthenticated,
    UpstreamAway,
    UpstreamFailed,
)
from skerry.lab.run import free_port
from tests.functional.federation.cast import (
    Shifted,
    as_site,
    centre,
    identity_of,
    invite,
    join,
    joined,
    member,
    sites_url,
)
from tests.functional.people import Peopled
from tests.functional.sites import eventually, noise, settings


async def sites_of(central: Peopled) -> dict[str, Any]:
    """All sites by name, as an administrator of the centre sees them."""
    answer = await central.admin.get("/skerry/v1/sites")
    assert answer.status == 200
    return {site["name"]: site for site in answer.json["sites"]}


async def test_a_site_joins_with_one_token_and_serves_what_the_centre_has(
    central: Peopled, tmp_path: Path
) -> None:
    data = noise(100_000)
    image = await central.admin.create(disk_format="raw", container_format="bare", visibility="public")
    headers = {"Content-Type": "application/octet-stream"}
    await central.admin.send("PUT", f"/v2/images/{image['id']}/file", data=data, headers=headers)

    config = await joined(central, tmp_path / "lyon", "lyon", labels={"tier": "far"})
    async with member(config) as lyon:
        federation = lyon.site.federation
        assert federation is not None
        await eventually(lambda: lyon.site.records.cached(image["id"]) or federation.sites.all().get("lyon"))
        await eventually(lambda: "lyon" in federation.sites.all())

        assert await lyon.download(image["id"]) == data
        assert lyon.site.config.site.name == "lyon"
        assert [site["name"] for site in (await lyon.call("GET", "/skerry/v1/sites"))[2]["sites"]] == [
            "central",
            "lyon",
        ]
    (record,) = [site for name, site in (await sites_of(central)).items() if name == "lyon"]
    assert record["state"] == "active"
    assert record["labels"] == {"tier": "far"}
    assert record["upstream"] == "central"


async def test_a_site_that_is_invited_is_no_member_yet(central: Peopled) -> None:
    await invite(central, "lyon")

    assert (await sites_of(central))["lyon"]["state"] == "invited"
    assert (await sites_of(central))["lyon"]["keys"] == []


async def test_a_token_is_not_kept_by_the_centre(central: Peopled, tmp_path: Path) -> None:
    token = Token.parse(await invite(central, "lyon"))

    kept = b"".join(file.read_bytes() for file in (tmp_path / "central").rglob("*") if file.is_file())
    assert token.key.public.raw in kept
    assert token.secret not in kept
    assert str(token).split(".")[2].encode() not in kept


async def test_a_token_works_once(central: Peopled, tmp_path: Path) -> None:
    token = await invite(central, "lyon")
    await join(settings(tmp_path / "lyon"), sites_url(central), token)

    with pytest.raises(Forbidden, match="token for site lyon has been used"):
        await join(settings(tmp_path / "thief"), sites_url(central), token)
    assert not (tmp_path / "thief" / "identity" / "membership.json").exists()


async def test_a_token_expires(central: Peopled, tmp_path: Path, clock: Shifted) -> None:
    token = await invite(central, "lyon", expires=60)
    clock.ahead = 61

    with pytest.raises(Forbidden, match="token for site lyon expired at"):
        await join(settings(tmp_path / "lyon"), sites_url(central), token)


async def test_a_token_that_was_replaced_is_wrong(central: Peopled, tmp_path: Path) -> None:
    first, second = await invite(central, "lyon"), await invite(central, "lyon")

    with pytest.raises(Forbidden, match="not the one for site lyon"):
        await join(settings(tmp_path / "lyon"), sites_url(central), first)
    await join(settings(tmp_path / "lyon"), sites_url(central), second)


@pytest.fixture
def crash_at() -> Iterator[Callable[[str], None]]:
    """Have the program die at a write point."""

    def crash_at(fatal: str) -> None:
        def die(label: str) -> None:
            if label == fatal:
                raise RuntimeError(label)

        write_points.set_hook(die)

    yield crash_at
    write_points.set_hook(None)


@pytest.mark.parametrize("label", ["join.answered", "join.certified"])
async def test_a_newcomer_that_dies_goes_on_with_the_same_command(
    central: Peopled, tmp_path: Path, label: str, crash_at: Callable[[str], None]
) -> None:
    config, token = settings(tmp_path / "lyon"), await invite(central, "lyon")
    crash_at(label)
    with pytest.raises(RuntimeError, match=label):
        await join(config, sites_url(central), token)
    write_points.set_hook(None)

    assert (await join(config, sites_url(central), token)).site == "lyon"
    async with as_site(identity_of(config)) as lyon:
        assert (await lyon.get("/v2/images")).status == 200


async def test_a_centre_that_dies_as_it_lets_a_site_in_has_let_it_in_or_not(
    central: Peopled, tmp_path: Path, crash_at: Callable[[str], None]
) -> None:
    config, token = settings(tmp_path / "lyon"), await invite(central, "lyon")
    crash_at("sites.token-used")
    with pytest.raises(UpstreamFailed):
        await join(config, sites_url(central), token)
    write_points.set_hook(None)

    assert (await sites_of(central))["lyon"]["state"] == "invited"
    assert (await join(config, sites_url(central), token)).site == "lyon"


async def test_a_newcomer_does_not_speak_to_another_federation(central: Peopled, tmp_path: Path) -> None:
    token = await invite(central, "lyon")
    async with centre(tmp_path / "other") as other:
        with pytest.raises(Forbidden, match="not the federation that this token is for"):
            await join(settings(tmp_path / "lyon"), sites_url(other), token)
    assert not (tmp_path / "lyon" / "identity").exists()


async def test_a_newcomer_whose_clock_is_wrong_is_told_so(tmp_path: Path) -> None:
    ahead = Shifted()
    ahead.ahead = 86400
    async with centre(tmp_path / "central", ahead) as central:
        token = await invite(central, "lyon")
        with pytest.raises(NotAuthenticated, match="not valid yet by the clock of this machine"):
            await join(settings(tmp_path / "lyon"), sites_url(central), token)


async def test_a_url_that_cannot_be_reached_is_told(central: Peopled, tmp_path: Path) -> None:
    token = await invite(central, "lyon")

    with pytest.raises(UpstreamAway, match="cannot be reached: Connect"):
        await join(settings(tmp_path / "lyon"), f"https://127.0.0.1:{free_port()}", token)
    with pytest.raises(UpstreamFailed, match="does not speak TLS"):
        await join(settings(tmp_path / "lyon"), central.url.replace("http", "https"), token)
    with pytest.raises(InvalidInput, match="no URL of a site"):
        await join(settings(tmp_path / "lyon"), central.url, token)


async def test_a_member_does_not_join_again(central: Peopled, tmp_path: Path) -> None:
    config = await joined(central, tmp_path / "lyon", "lyon")

    with pytest.raises(Conflict, match="a member already"):
        await join(config, sites_url(central), await invite(central, "nice"))


async def test_a_centre_does_not_join_others(central: Peopled, tmp_path: Path) -> None:
    async with centre(tmp_path / "other"):
        pass

    with pytest.raises(Conflict, match="a centre itself"):
        await join(settings(tmp_path / "other"), sites_url(central), await invite(central, "lyon"))


async def test_settings_that_contradict_the_token_are_told(central: Peopled, tmp_path: Path) -> None:
    token = await invite(central, "lyon")

    for section, complaint in (
        ({"upstream": {"url": "http://glance:9292"}}, r"\[upstream\] url is set"),
        ({"site": {"name": "nice"}}, "token is for 'lyon'"),
    ):
        with pytest.raises(ConfigError, match=complaint):
            await join(settings(tmp_path / "lyon", **section), sites_url(central), token)


async def test_a_site_that_runs_does_not_join(central: Peopled, tmp_path: Path) -> None:
    config = settings(tmp_path / "lyon")
    async with member(config):
        with pytest.raises(ConfigError, match="another skerry serves from"):
            await join(config, sites_url(central), await invite(central, "lyon"))


async def test_a_name_that_is_taken_is_told_where_the_token_is_made(central: Peopled, tmp_path: Path) -> None:
    await joined(central, tmp_path / "lyon", "lyon")

    for name in ("lyon", "central"):
        answer = await central.admin.send("POST", "/skerry/v1/sites", {"name": name})
        assert answer.status == 409
        assert f"There is a site {name} already, and it is active" in answer.body.decode()


async def test_only_administrators_see_and_invite_sites(central: Peopled) -> None:
    for method, path, body in (
        ("GET", "/skerry/v1/sites", None),
        ("GET", "/skerry/v1/sites/central", None),
        ("POST", "/skerry/v1/sites", {"name": "lyon"}),
        ("PATCH", "/skerry/v1/sites/central", {"labels": {}}),
        ("DELETE", "/skerry/v1/sites/central", None),
        ("POST", "/skerry/v1/rotate", {}),
    ):
        assert (await central.alice.send(method, path, body)).status == 403, path


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "../etc"},
        {"name": "lyon", "labels": {"tier": 7}},
        {"name": "lyon", "expires": "soon"},
        {"name": "lyon", "expires": 1e9},
        {"name": "lyon", "colour": "blue"},
        ["lyon"],
    ],
)
async def test_an_invitation_that_makes_no_sense_is_refused(central: Peopled, body: Any) -> None:
    assert (await central.admin.send("POST", "/skerry/v1/sites", body)).status == 400
    assert set(await sites_of(central)) == {"central"}


async def test_a_site_is_not_invited_below_nobody(central: Peopled) -> None:
    answer = await central.admin.send("POST", "/skerry/v1/sites", {"name": "lyon", "upstream": "paris"})

    assert answer.status == 404
    assert "There is no site 'paris'" in answer.body.decode()


async def test_a_site_is_labelled_drained_revoked_and_removed(central: Peopled, tmp_path: Path) -> None:
    await joined(central, tmp_path / "lyon", "lyon", labels={"tier": "far"})

    async def patch(**body: Any) -> tuple[int, Any]:
        answer = await central.admin.send("PATCH", "/skerry/v1/sites/lyon", body)
        return answer.status, answer.json if answer.status == 200 else answer.body.decode()

    assert (await patch(labels={"tier": None, "rack": "7"}))[1]["labels"] == {"rack": "7"}
    assert (await patch(state="draining"))[1]["state"] == "draining"
    assert (await patch(state="active"))[1]["state"] == "active"
    assert (await central.admin.send("DELETE", "/skerry/v1/sites/lyon")).status == 409
    assert (await patch(state="revoked"))[1]["state"] == "revoked"
    assert (await patch(state="active"))[0] == 409
    assert (await central.admin.send("DELETE", "/skerry/v1/sites/lyon")).status == 204
    assert (await central.admin.get("/skerry/v1/sites/lyon")).status == 404
    await joined(central, tmp_path / "lyon-again", "lyon")


async def test_a_site_that_belongs_to_no_others_says_so(tmp_path: Path) -> None:
    async with member(settings(tmp_path)) as alone:
        for method, path in (
            ("GET", "/skerry/v1/sites"),
            ("GET", "/skerry/v1/join"),
            ("POST", "/skerry/v1/join"),
        ):
            status, _, answer = await alone.call(method, path, headers={"Accept": "application/json"})
            assert status == 404
            assert "belongs to no others" in answer["message"]
