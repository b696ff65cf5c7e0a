"""A centre whose operator says which images belong at which sites, for tests."""

import asyncio
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from tests.functional.people import Peopled
from tests.functional.sites import Api, noise


@dataclass
class Placed:
    """A centre, and the edges that have joined it, by name."""

    centre: Peopled
    edges: dict[str, Api]

    async def get(self, path: str) -> Any:
        answer = await self.centre.admin.send("GET", path)
        assert answer.status == 200, answer.body
        return answer.json

    async def plan(self, document: dict[str, Any]) -> dict[str, Any]:
        answer = await self.centre.admin.send("POST", "/skerry/v1/placements/plan", document)
        assert answer.status == 200, answer.body
        assert isinstance(answer.json, dict)
        return answer.json

    async def apply(self, document: dict[str, Any]) -> None:
        fingerprint = (await self.plan(document))["fingerprint"]
        sent = {**document, "fingerprint": fingerprint}
        answer = await self.centre.admin.send("PUT", "/skerry/v1/placements", sent)
        assert answer.status == 200, answer.body

    async def becomes(self, image_id: str, sync: str, site: str = "lyon") -> dict[str, Any]:
        """What the centre says of an image at a site, once it says `sync`."""
        async with asyncio.timeout(30):
            while True:
                found = (await self.get(f"/skerry/v1/copies?site={site}&image={image_id}"))["copies"][0]
                if found["sync"]["value"] == sync:
                    assert isinstance(found, dict)
                    return found
                await asyncio.sleep(0.05)

    async def image(self, size: int = 100_000, **attributes: Any) -> str:
        """A new image at the centre, with bytes."""
        data = noise(size)
        record = {"name": "one", "disk_format": "raw", "container_format": "bare", "visibility": "public"}
        created = await self.centre.admin.send("POST", "/v2/images", {**record, **attributes})
        assert created.status == 201, created.body
        image_id = str(created.json["id"])
        headers = {"Content-Type": "application/octet-stream"}
        path = f"/v2/images/{image_id}/file"
        assert (await self.centre.admin.send("PUT", path, data=BytesIO(data), headers=headers)).status == 204
        return image_id
