"""An image service as people see it, whichever program it is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peers.client import Client
from peers.http import Answer, request
from peers.keystone import Account, Keystone
from peers.process import PeerError


@dataclass(frozen=True)
class Place:
    """A region of Keystone's catalogue, and the image service's address there."""

    region: str
    url: str
    keystone: Keystone

    def client(self, account: Account) -> Client:
        """The `openstack` command and openstacksdk of one person here."""
        return Client(self.keystone.credentials(account, self.region))

    def request(
        self, account: Account, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> Answer:
        """One plain request by this person; underscores in header names stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return request(method, f"{self.url}{path}", body, self.keystone.headers(account) | named)

    def create(self, account: Account, qcow2: Path | None = None, **attributes: Any) -> str:
        """Make an image by plain requests and return its id: for tests that are about what comes after."""
        record = {"disk_format": "qcow2", "container_format": "bare", **attributes}
        created = self.request(
            account, "POST", "/v2/images", json.dumps(record).encode(), Content_Type="application/json"
        )
        if created.status != 201:
            raise PeerError(f"no image at {self.url}: {created.status} {created.body.decode()}")
        image = str(created.json()["id"])
        if qcow2 is not None:
            octets = {"Content_Type": "application/octet-stream"}
            sent = self.request(account, "PUT", f"/v2/images/{image}/file", qcow2.read_bytes(), **octets)
            if sent.status != 204:
                raise PeerError(f"no bytes for {image} at {self.url}: {sent.status} {sent.body.decode()}")
        return image
