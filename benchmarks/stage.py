"""Everything that is measured, running on loopback: Keystone, a stock Glance, a centre, an edge, nginx."""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmarks.clients import WrongAnswerError, curl
from benchmarks.clients.service import Service
from benchmarks.scale import Scale
from peers.glance import Glance
from peers.install import HOME
from peers.keystone import ADMIN, DEMO, Keystone
from peers.mariadb import MariaDB
from peers.nginx import Nginx
from peers.skerry import Skerry

TTL = "1h"
"""The edge's TTL: longer than the run, because within it is what is measured."""


@dataclass
class Stage:
    """The programs, and what several figures need in them, made when first asked for."""

    scale: Scale
    folder: Path
    database: MariaDB
    keystone: Keystone
    glance: Service
    centre: Service
    edge: Service
    nginx: Nginx

    @cached_property
    def payload(self) -> Path:
        """A file of random bytes, the size of the image."""
        file = self.folder / "payload"
        with file.open("wb") as out:
            for _ in range(self.scale.size >> 20):
                out.write(os.urandom(1 << 20))
        return file

    @cached_property
    def digest(self) -> str:
        """The sha512 of the payload."""
        with self.payload.open("rb") as file:
            return hashlib.file_digest(file, "sha512").hexdigest()

    @cached_property
    def images(self) -> dict[str, str]:
        """The payload as an image: its id at Glance, and at the centre and the edge."""
        ids = {}
        for service in (self.glance, self.centre):
            ids[service.name] = self.upload(service)
        ids[self.edge.name] = ids[self.centre.name]
        return ids

    @cached_property
    def catalogues(self) -> dict[str, str]:
        """Many records at Glance, and at the centre and the edge; the id of one of them at each."""
        ids = {}
        for service in (self.glance, self.centre):
            with ThreadPoolExecutor(4) as pool:
                made = list(
                    pool.map(
                        lambda number, at=service: at.create(**_record(number)), range(self.scale.images)
                    )
                )
            ids[service.name] = made[len(made) // 2]
        ids[self.edge.name] = ids[self.centre.name]
        return ids

    def new_edge(self, name: str) -> Skerry:
        """One more edge of the centre, with nothing kept and not started."""
        return _edge(self.folder / name, self.centre.url, self.keystone)

    def upload(self, service: Service) -> str:
        """The payload as a new image, its digest checked; its id."""
        image_id = service.create()
        curl.upload([service.file(image_id)], service.headers, self.payload)
        found = service.call("GET", f"/v2/images/{image_id}")["os_hash_value"]
        if found != self.digest:
            raise WrongAnswerError(f"{service.name}: the image has another sha512 than what was uploaded")
        return image_id

    def verify_download(self, service: Service, image_id: str) -> None:
        """Raise WrongAnswerError unless what a client gets is the payload."""
        if curl.sha512(service.file(image_id), service.headers) != self.digest:
            raise WrongAnswerError(f"{service.name}: the download has another sha512 than what was uploaded")


@contextlib.contextmanager
def running(scale: Scale) -> Iterator[Stage]:
    """Start everything afresh; stop it and remove what it kept."""
    folder = HOME / "bench"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        database = stack.enter_context(MariaDB(folder / "mariadb"))
        keystone = stack.enter_context(Keystone(folder / "keystone", database))
        glance = stack.enter_context(Glance(folder / "glance", database, keystone))
        centre = stack.enter_context(Skerry(folder / "centre", keystone=keystone))
        edge = stack.enter_context(_edge(folder / "edge", centre.url, keystone))
        served = folder / "edge" / "data" / "images"
        nginx = stack.enter_context(Nginx(folder / "nginx", served, workers=os.cpu_count() or 1))
        member, admin = keystone.token(DEMO), keystone.token(ADMIN)
        yield Stage(
            scale,
            folder,
            database,
            keystone,
            glance=Service("stock Glance", glance.port, glance, member, admin),
            centre=Service("Skerry centre", centre.port, centre, member, admin),
            edge=Service("Skerry edge", edge.port, edge, member, admin),
            nginx=nginx,
        )


def _edge(folder: Path, upstream: str, keystone: Keystone) -> Skerry:
    settings = {"upstream": {"url": upstream, "auth": "keystone", "ttl": TTL}}
    return Skerry(folder, settings, keystone=keystone)


def _record(number: int) -> dict[str, object]:
    """What a real image carries, more or less."""
    return {
        "name": f"bench-{number:04}",
        "tags": ["bench", f"build-{number % 10}"],
        "min_disk": 10,
        "min_ram": 512,
        "os_distro": "debian",
        "os_version": str(number % 20),
        "hw_disk_bus": "virtio",
        "hw_vif_model": "virtio",
    }
