"""A home with several users, and what each of them may say to it."""

from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import bcrypt
import msgspec

from skerry.api.context import Site
from skerry.core.clock import Clock
from tests.functional.sites import running, settings

USERS = ("admin", "alice", "bob", "carol")
PASSWORD = "secret"
_DIGEST = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()

V2_1 = {"Content-Type": "application/openstack-images-v2.1-json-patch"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass(slots=True)
class Person:
    """A user of the site; each is a project of the same name."""

    name: str
    session: aiohttp.ClientSession

    async def send(self, method: str, path: str, json: Any = None, **more: Any) -> Answer:
        if json is not None:
            more["data"] = BytesIO(msgspec.json.encode(json))
            more.setdefault("headers", {"Content-Type": "application/json"})
        async with self.session.request(method, path, allow_redirects=False, **more) as response:
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str, **more: Any) -> Answer:
        return await self.send("GET", path, **more)

    async def create(self, **attributes: Any) -> Any:
        """A new image; it must succeed."""
        answer = await self.send("POST", "/v2/images", attributes)
        assert answer.status == 201, answer.body
        return answer.json

    async def patch(self, image_id: str, *operations: dict[str, Any]) -> Answer:
        return await self.send("PATCH", f"/v2/images/{image_id}", list(operations), headers=V2_1)

    async def names(self, query: str = "") -> list[str]:
        """The names of the images on a page, in order."""
        answer = await self.get(f"/v2/images{query}")
        assert answer.status == 200, answer.body
        return [image["name"] for image in answer.json["images"]]


class Peopled:
    """A site and its users, by name."""

    def __init__(self, site: Site, url: str) -> None:
        self.site = site
        self.url = url
        self.admin, self.alice, self.bob, self.carol = (Person(name, _session(url, name)) for name in USERS)


def _session(url: str, user: str) -> aiohttp.ClientSession:
    known = b64encode(f"{user}:{PASSWORD}".encode()).decode()
    return aiohttp.ClientSession(url, headers={"Authorization": f"Basic {known}"})


@asynccontextmanager
async def peopled(
    data: Path, clock: Clock | None = None, **sections: Mapping[str, Any]
) -> AsyncIterator[Peopled]:
    """A running home that knows `USERS`; `admin` is an administrator."""
    htpasswd = data / "htpasswd"
    htpasswd.write_text("".join(f"{user}:{_DIGEST}\n" for user in USERS))
    identity = {"method": "http_basic", "htpasswd": htpasswd, "admins": "admin"}
    async with (
        running(settings(data, identity=identity, **sections), clock) as api,
        AsyncExitStack() as sessions,
    ):
        result = Peopled(api.site, api.url)
        for person in (result.admin, result.alice, result.bob, result.carol):
            await sessions.enter_async_context(person.session)
        yield result
