"""A stock Glance at the edge, at its best over a thin line.

Its records and Keystone are at hand; its store is the centre's web server, at the other end of the line (the
`http` driver of glance_store); what it has read once is in its cache. So what it sends is the file, and
nothing else.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from benchmarks.clients import WrongAnswerError, curl
from benchmarks.clients.service import Service
from benchmarks.wan.line import Line
from benchmarks.wan.pairs import Pairs
from benchmarks.wan.trip import Trip, trip
from peers.glance import Glance
from peers.http import request
from peers.keystone import ADMIN, Keystone
from peers.mariadb import MariaDB
from peers.process import HOST

PATCH = "application/openstack-images-v2.1-json-patch"


@contextlib.contextmanager
def running(folder: Path, line: Line) -> Iterator[Service]:
    """Start it with its Keystone and database; its store is where `line` leads."""
    with (
        MariaDB(folder / "mariadb") as database,
        Keystone(folder / "keystone", database) as keystone,
        Glance(folder / "glance", database, keystone, web_port=line.port, by_web=True) as glance,
    ):
        token = keystone.token(ADMIN)
        yield Service("stock Glance", glance.port, glance, token, token)


def bring(glance: Service, line: Line, pairs: Pairs, name: str) -> Trip:
    """Its cache comes to hold an image that it has not read yet, which a client asks for."""
    image_id = _registered(glance, f"http://{HOST}:{line.port}/{name}")
    size = pairs.size(name)

    def first_use() -> None:
        curl.download([glance.file(image_id)], glance.headers, size)
        glance.wait_cached(image_id)

    cost = trip(line, first_use)
    glance.delete(image_id)
    return cost


def _registered(glance: Service, url: str) -> str:
    image_id = glance.create()
    body = [{"op": "add", "path": "/locations/-", "value": {"url": url, "metadata": {}}}]
    headers = {"X-Auth-Token": glance.member, "Content-Type": PATCH}
    answer = request("PATCH", f"{glance.url}/v2/images/{image_id}", json.dumps(body).encode(), headers)
    if answer.status != 200:
        raise WrongAnswerError(f"{glance.name}: no image at {url}: {answer.status} {answer.body[:500]!r}")
    return image_id
