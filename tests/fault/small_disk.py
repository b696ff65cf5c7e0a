"""A site on a disk of 40 MiB: a tmpfs in a mount namespace of its own, really full when it is full."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path

import aiohttp
import pytest

from tests.fault.killable import images_in

_UNSHARE = ("unshare", "--mount", "--map-root-user")
_DISK = "40m"
_SITE = """
mount -t tmpfs -o size=$1 tmpfs "$2" || exit
while "$3" -m skerry serve; [ $? -eq 137 ]; do :; done
"""
"""Starts the site again for as long as it is killed."""


def _cannot_mount(folder: Path) -> str:
    """Why no tmpfs can be had here, or nothing."""
    try:
        command = [*_UNSHARE, "mount", "-t", "tmpfs", "tmpfs", str(folder)]
        return subprocess.run(command, capture_output=True, text=True, check=False).stderr
    except OSError as error:
        return str(error)


class SmallSite:
    """A site in its namespace, and a client of it."""

    def __init__(
        self, shell: asyncio.subprocess.Process, folder: Path, session: aiohttp.ClientSession
    ) -> None:
        self._shell = shell
        self.disk = Path(f"/proc/{shell.pid}/root{folder}")
        self._session = session
        self._url = ""

    async def started(self) -> None:
        """Wait until the site says where it answers."""
        assert self._shell.stderr is not None
        said = b""
        async with asyncio.timeout(20):
            while not (match := re.search(rb"answers on (http://\S+)", said)):
                line = await self._shell.stderr.readline()
                assert line, f"the site ended: {said.decode()}"
                said += line
        self._url = match[1].decode()

    async def kill(self) -> None:
        """Kill the program of the site, and wait until it has been started again."""
        (child,) = Path(f"/proc/{self._shell.pid}/task/{self._shell.pid}/children").read_text().split()
        os.kill(int(child), signal.SIGKILL)
        await self.started()

    async def call(
        self, method: str, path: str, data: bytes | None = None, **headers: str
    ) -> tuple[int, bytes]:
        """Status and body of the answer."""
        headers |= {} if data is None else {"Content-Type": "application/octet-stream"}
        body = None if data is None else BytesIO(data)
        async with self._session.request(method, self._url + path, data=body, headers=headers) as response:
            return response.status, await response.read()

    async def create(self, data: bytes) -> tuple[str, int]:
        """A new image: its id, and what its upload was answered with."""
        record = {"name": "n", "disk_format": "raw", "container_format": "bare"}
        async with self._session.post(f"{self._url}/v2/images", json=record) as response:
            assert response.status == 201, await response.text()
            image_id = (await response.json())["id"]
        return image_id, (await self.call("PUT", f"/v2/images/{image_id}/file", data))[0]

    async def status(self, image_id: str) -> str:
        async with self._session.get(f"{self._url}/v2/images/{image_id}") as response:
            assert response.status == 200, await response.text()
            status = (await response.json())["status"]
            assert isinstance(status, str)
            return status

    def bytes_of(self, *image_ids: str) -> bool:
        """Whether these are the images whose bytes are on the disk, with nothing half done beside them."""
        images = self.disk / "images"
        return {str(file.relative_to(images)) for file in images_in(images)} == set(image_ids)

    def has_come(self, image_id: str, size: int) -> bool:
        """Whether so many bytes of an image on its way are on the disk."""
        partial = self.disk / "images" / ".incoming" / image_id
        return partial.exists() and partial.stat().st_size >= size

    def empty(self) -> None:
        """Give back what `fill` took."""
        (self.disk / "filler").unlink()

    def fill(self) -> None:
        """Take all the space that is left."""
        disk = os.statvfs(self.disk)
        with (self.disk / "filler").open("ab") as filler:
            if disk.f_bavail:
                os.posix_fallocate(filler.fileno(), filler.tell(), disk.f_bavail * disk.f_frsize)


@asynccontextmanager
async def small_site(disk: Path, **environ: str) -> AsyncIterator[SmallSite]:
    """A site with all that it keeps on a small disk at `disk`, but for what `environ` says. Skips where
    nothing can be mounted."""
    if reason := _cannot_mount(disk):
        pytest.skip(f"needs to mount a tmpfs, and may not here: {reason}")
    settings = {"SKERRY_SITE_DATA": str(disk), "SKERRY_API_LISTEN": "127.0.0.1:0", **environ}
    shell = await asyncio.create_subprocess_exec(
        *_UNSHARE, "sh", "-c", _SITE, "sh", _DISK, str(disk), sys.executable,
        env={**os.environ, **settings}, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with aiohttp.ClientSession() as session:
        site = SmallSite(shell, disk, session)
        try:
            await site.started()
            yield site
        finally:
            children = Path(f"/proc/{shell.pid}/task/{shell.pid}/children")
            for child in children.read_text().split() if children.exists() else ():
                os.kill(int(child), signal.SIGTERM)
            await shell.wait()
