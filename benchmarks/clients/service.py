"""An image service as the benchmark sees it: an address, a process, and two people's tokens."""

import json
from dataclasses import dataclass
from typing import Any

from benchmarks.clients import WrongAnswerError
from peers.http import request
from peers.process import HOST, Peer, eventually


@dataclass(frozen=True)
class Service:
    """A Skerry site or a stock Glance. Images are asked for by `member`, the cache is steered by `admin`."""

    name: str
    port: int
    peer: Peer
    member: str
    admin: str

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """The process that all others of the service descend from."""
        return self.peer.daemon.pid

    @property
    def headers(self) -> tuple[str, ...]:
        """What the member's clients send."""
        return (f"X-Auth-Token: {self.member}",)

    def file(self, image_id: str) -> str:
        """The address of an image's bytes."""
        return f"{self.url}/v2/images/{image_id}/file"

    def call(self, method: str, path: str, body: object = None, *, admin: bool = False) -> Any:
        """One request; the answer's document, or None."""
        headers = {"X-Auth-Token": self.admin if admin else self.member, "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        answer = request(method, f"{self.url}{path}", content, headers)
        if answer.status >= 300:
            raise WrongAnswerError(f"{self.name}: {method} {path}: {answer.status} {answer.body[:500]!r}")
        return json.loads(answer.body) if answer.body else None

    def create(self, **fields: object) -> str:
        """A new image without bytes; its id."""
        plain = {"name": "bench", "disk_format": "raw", "container_format": "bare"}
        return str(self.call("POST", "/v2/images", {**plain, **fields})["id"])

    def delete(self, image_id: str) -> None:
        """Delete an image and its bytes."""
        self.call("DELETE", f"/v2/images/{image_id}")

    def cached(self) -> set[str]:
        """The images whose bytes are in the cache, whole."""
        return {image["image_id"] for image in self.call("GET", "/v2/cache", admin=True)["cached_images"]}

    def wait_cached(self, image_id: str) -> None:
        """Return once the bytes are in the cache."""
        eventually(lambda: image_id in self.cached(), f"{self.name}: image {image_id} in the cache")

    def drop_copy(self, image_id: str) -> None:
        """Drop the bytes from the cache."""
        self.call("DELETE", f"/v2/cache/{image_id}", admin=True)
        eventually(lambda: image_id not in self.cached(), f"{self.name}: image {image_id} out of the cache")
