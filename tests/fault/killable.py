"""A real `skerry serve` in a process of its own, that dies where a test wants it to."""

import asyncio
import hashlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

_PROGRAM = """
import os, resource, signal, sys
from pathlib import Path
from skerry.cli.main import main
from skerry.core import write_points

folder, largest = Path(sys.argv[1]), int(sys.argv[2])

def passed(label):
    with (folder / "passed").open("a") as log:
        print(label, file=log)
    if (folder / "die-at").exists() and (folder / "die-at").read_text() == label:
        os.kill(os.getpid(), signal.SIGKILL)

write_points.set_hook(passed)
if largest:
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
sys.exit(main(["serve"]))
"""

OF_A_TREE = {
    "store.copied", "journal.entered", "feed.applied", "deposit.written",
    "sites.token-used", "join.answered", "join.certified", "identity.certified",
}  # fmt: skip
"""Write points that only a site which belongs to others passes."""

OF_INDEXES = {"index.durable", "index.recorded"}
"""Write points of any image that is whole and not tiny, some time after that."""

Body = bytes | AsyncIterator[bytes] | None


def images_in(folder: Path) -> list[Path]:
    """The files with bytes of images, whole or not, in the folder of a store.

    Asserts that every index and every sketch beside them is one of an image that is whole.
    """
    files = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    beside = {path for path in files if path.parts[0] in (".index", ".sketch") and path.suffix != ".new"}
    assert {path.name for path in beside} <= {str(path) for path in files}
    return [path for name, path in files.items() if name.parts[0] not in (".index", ".sketch")]


class Killable:
    """A site in `folder`. With `largest` no file of its grows beyond so many bytes, as on a full disk."""

    def __init__(
        self, folder: Path, session: aiohttp.ClientSession, *, largest: int = 0, **sections: Any
    ) -> None:
        self.images = folder / "data" / "images"
        self._folder = folder
        self._session = session
        self._largest = largest
        environ = {"SKERRY_SITE_DATA": str(folder / "data"), "SKERRY_API_LISTEN": "127.0.0.1:0"}
        self._environ = {**os.environ, **environ, **sections}
        self._process: asyncio.subprocess.Process | None = None
        self._drain: asyncio.Task[bytes] | None = None
        self._url = ""

    async def start(self) -> None:
        """Start it, as an operator would after a crash; nothing is cleaned by hand."""
        self.die_at(None)
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _PROGRAM, str(self._folder), str(self._largest),
            env=self._environ, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stderr is not None
        said = b""
        async with asyncio.timeout(30):
            while not (match := re.search(rb"answers on (http://\S+)", said)):
                line = await process.stderr.readline()
                assert line, f"the site ended: {said.decode()}"
                said += line
        self._url = match[1].decode()
        self._drain = asyncio.create_task(process.stderr.read())

    async def end(self, number: int = signal.SIGKILL) -> None:
        """Have the process end by a signal; no error when it is gone."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)
            await self._process.wait()
        if self._drain is not None:
            await self._drain

    async def died(self) -> None:
        """Wait for the process to have died."""
        assert self._process is not None
        async with asyncio.timeout(30):
            assert await self._process.wait() == -signal.SIGKILL

    def die_at(self, label: str | None) -> None:
        """Be killed when the write point is passed next."""
        if label is None:
            (self._folder / "die-at").unlink(missing_ok=True)
        else:
            (self._folder / "die-at").write_text(label)

    def passed(self) -> list[str]:
        """The write points since the last call, each once, in order."""
        log = self._folder / "passed"
        labels = log.read_text().split() if log.exists() else []
        log.unlink(missing_ok=True)
        return list(dict.fromkeys(labels))

    async def call(self, method: str, path: str, data: Body = None, **headers: str) -> tuple[int, Any, Any]:
        """(status, headers, body): JSON decoded. Raises aiohttp.ClientError when the process dies."""
        lines = {name.replace("_", "-"): value for name, value in headers.items()}
        lines.setdefault("Content-Type", "application/octet-stream")
        body = BytesIO(data) if isinstance(data, bytes) else data
        async with self._session.request(method, self._url + path, data=body, headers=lines) as response:
            content = await response.read()
            is_json = "json" in response.headers.get("Content-Type", "")
            return response.status, response.headers, msgspec.json.decode(content) if is_json else content

    @asynccontextmanager
    async def answering(self, path: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to a GET as it comes."""
        async with self._session.get(self._url + path) as response:
            yield response

    async def create(self, **attributes: Any) -> str:
        """A new image's id."""
        record = {"name": "n", "disk_format": "raw", "container_format": "bare", **attributes}
        status, _, image = await self.call(
            "POST", "/v2/images", msgspec.json.encode(record), Content_Type="application/json"
        )
        assert status == 201, image
        return str(image["id"])

    async def status(self, image_id: str) -> str:
        """The image's status, or "deleted"."""
        status, _, image = await self.call("GET", f"/v2/images/{image_id}")
        return "deleted" if status == 404 else str(image["status"])

    async def offset(self, image_id: str) -> int:
        """Where the resumable upload of an image stands."""
        status, headers, _ = await self.call("HEAD", f"/skerry/v1/images/{image_id}/upload")
        assert status == 204
        return int(headers["Upload-Offset"])

    async def append(self, image_id: str, offset: int, data: Body, *, complete: bool) -> int:
        """The status of one piece of a resumable upload."""
        path = f"/skerry/v1/images/{image_id}/upload"
        status, _, _ = await self.call(
            "PATCH", path, data, Content_Type="application/partial-upload",
            Upload_Offset=str(offset), Upload_Complete="?1" if complete else "?0",
        )  # fmt: skip
        return status

    async def check_whole(self) -> None:
        """Assert that records and files agree, to the last file: nothing half, nothing left over."""
        _, _, page = await self.call("GET", "/v2/images?limit=1000")
        expected = {}
        for image in page["images"]:
            match image["status"]:
                case "active":
                    data = (self.images / image["id"]).read_bytes()
                    assert hashlib.sha512(data).hexdigest() == image["os_hash_value"]
                    expected[image["id"]] = image["size"]
                case "uploading":
                    expected[f".incoming/{image['id']}"] = image["size"]
                case "queued":
                    assert (image["size"], image["checksum"], image["os_hash_value"]) == (None, None, None)
                    if offset := await self.offset(image["id"]):
                        expected[f".incoming/{image['id']}"] = offset
                case status:
                    raise AssertionError(f"image {image['id']} is {status} though nothing moves")
        files = {str(path.relative_to(self.images)): path.stat().st_size for path in images_in(self.images)}
        assert files == expected


@asynccontextmanager
async def killable(folder: Path, *, largest: int = 0, **environ: str) -> AsyncIterator[Killable]:
    """A running site; killed at the end, if it still runs."""
    async with aiohttp.ClientSession() as session:
        site = Killable(folder, session, largest=largest, **environ)
        try:
            await site.start()
            yield site
        finally:
            await site.end()
