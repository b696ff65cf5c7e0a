"""A whole centre and a whole edge whose databases are PostgreSQL's."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from peers.http import Answer, request
from peers.postgresql import PostgreSQL
from peers.skerry import Skerry

RECORD = {"name": "one", "disk_format": "raw", "container_format": "bare", "visibility": "public"}


def call(site: Skerry, method: str, path: str, body: object = None) -> Answer:
    """A request that waits no longer than ten seconds; bytes go as they are, anything else as JSON."""
    kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
    sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    return request(method, site.url + path, sent, {"Content-Type": kind}, timeout=10)


def upload(site: Skerry, data: bytes) -> str:
    created = call(site, "POST", "/v2/images", RECORD)
    assert created.status == 201, created.body
    image_id = str(created.json()["id"])
    assert call(site, "PUT", f"/v2/images/{image_id}/file", data).status == 204
    return image_id


def listed(site: Skerry) -> list[str]:
    return [image["id"] for image in call(site, "GET", "/v2/images").json()["images"]]


def skerry(site: Skerry, *words: str) -> subprocess.CompletedProcess[str]:
    """`skerry WORDS` with the settings of a site."""
    program = Path(sys.executable).parent / "skerry"
    command = [str(program), *words, "--config", str(site.folder / "skerry.toml")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.fixture
def sites(tmp_path: Path, new_database: Callable[..., str]) -> Iterator[tuple[Skerry, Skerry]]:
    """A centre and an edge that asks it about everything, each with a database of its own."""
    database = {"url": new_database()}
    with Skerry(tmp_path / "centre", {"database": database}) as centre:
        settings = {"database": {"url": new_database()}, "upstream": {"url": centre.url, "ttl": "0s"}}
        with Skerry(tmp_path / "edge", settings) as edge:
            yield centre, edge


def test_an_image_goes_from_the_centre_to_the_edge_and_both_know_it_after_a_restart(
    sites: tuple[Skerry, Skerry], tmp_path: Path
) -> None:
    data = os.urandom(3 << 20)
    image_id = upload(sites[0], data)

    for _ in range(2):
        for site in sites:
            assert listed(site) == [image_id]
            record = call(site, "GET", f"/v2/images/{image_id}").json()
            assert record["os_hash_value"] == hashlib.sha512(data).hexdigest()
            assert call(site, "GET", f"/v2/images/{image_id}/file").body == data
        for site in sites:
            site.stop()
            site.start()

    assert [copy["image_id"] for copy in call(sites[1], "GET", "/skerry/v1/cache").json()["copies"]] == [
        image_id
    ]
    assert not list(tmp_path.rglob("skerry.db*"))


@pytest.mark.parametrize("end", [PostgreSQL.stop, PostgreSQL.crash])
def test_sites_answer_503_while_their_server_is_away_and_recover_by_themselves(
    sites: tuple[Skerry, Skerry], postgresql: PostgreSQL, end: Callable[[PostgreSQL], None]
) -> None:
    centre, edge = sites
    data = os.urandom(1 << 20)
    first = upload(centre, data)
    assert call(edge, "GET", f"/v2/images/{first}/file").body == data

    end(postgresql)
    for site in sites:
        refused = call(site, "GET", "/v2/images?name=never-asked")
        assert refused.status == 503
        assert b"The database does not answer." in refused.body
        assert call(site, "GET", "/healthcheck").status == 200
    assert call(centre, "POST", "/v2/images", RECORD).status == 503
    assert call(centre, "GET", f"/v2/images/{first}/file").body == data, "known by heart"
    postgresql.start()

    second = upload(centre, data)
    assert listed(edge) == listed(centre)
    assert sorted(listed(centre)) == sorted([first, second]), "made in one second they have no order"
    assert call(edge, "GET", f"/v2/images/{second}/file").body == data


def test_an_upload_that_met_the_outage_can_be_done_again(
    sites: tuple[Skerry, Skerry], postgresql: PostgreSQL
) -> None:
    centre, _ = sites
    data = os.urandom(1 << 20)
    image_id = str(call(centre, "POST", "/v2/images", RECORD).json()["id"])

    postgresql.stop()
    assert call(centre, "PUT", f"/v2/images/{image_id}/file", data).status == 503
    postgresql.start()

    assert call(centre, "PUT", f"/v2/images/{image_id}/file", data).status == 204
    assert call(centre, "GET", f"/v2/images/{image_id}/file").body == data


def test_the_command_line_checks_the_database_of_a_site_that_runs_and_upgrades_it_when_it_does_not(
    sites: tuple[Skerry, Skerry], postgresql: PostgreSQL
) -> None:
    centre, _ = sites

    assert skerry(centre, "db", "check").returncode == 0
    refused = skerry(centre, "db", "upgrade")
    assert (refused.returncode, "another skerry" in refused.stderr) == (2, True)
    centre.stop()
    assert skerry(centre, "db", "upgrade").returncode == 0

    postgresql.stop()
    away = skerry(centre, "db", "check")
    assert away.returncode == 2
    assert "Check host and port" in away.stderr
    assert skerry(centre, "serve").returncode == 2
    postgresql.start()
    centre.start()


def test_a_site_does_not_start_on_the_database_of_another(
    sites: tuple[Skerry, Skerry], tmp_path: Path
) -> None:
    settings = (sites[0].folder / "skerry.toml").read_text()
    other = tmp_path / "other.toml"
    other.write_text(settings.replace(str(sites[0].folder / "data"), str(tmp_path / "other")))

    program = Path(sys.executable).parent / "skerry"
    refused = subprocess.run(
        [program, "serve", "--config", other], capture_output=True, text=True, timeout=60
    )

    assert refused.returncode == 2
    assert "Another skerry uses this database" in refused.stderr
    assert call(sites[0], "POST", "/v2/images", RECORD).status == 201
