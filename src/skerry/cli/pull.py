"""Download an image, by name or id. The same command again goes on where a download broke off."""

import asyncio
import hashlib
import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from skerry.cli import output, plan, progress
from skerry.cli.client import Client, connect, persist, site_argument
from skerry.cli.images import find
from skerry.core.errors import InvalidInput, NoData, UpstreamAway, WrongBytes
from skerry.core.image import Image

_PIECE = 1 << 20


def arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("image", metavar="IMAGE", help="its name or id")
    parser.add_argument(
        "file",
        type=Path,
        nargs="?",
        metavar="FILE",
        help="where to; it appears once the bytes are proven right",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="bring nothing; print how the image would come to the site"
    )
    site_argument(parser)


def run(args: Namespace) -> int:
    """Download; prints what there is now."""
    if args.file is None and not args.dry_run:
        raise InvalidInput("Where is the image to go?", hint="Name a FILE, or say --dry-run.")
    asyncio.run(_show(args) if args.dry_run else _pull(args))
    return 0


async def _show(args: Namespace) -> None:
    async with connect(args.site) as client:
        print(await plan.text(client, (await find(client, args.image)).id, "text"))


async def _pull(args: Namespace) -> None:
    async with connect(args.site) as client:
        image = await find(client, args.image)
        if not image.has_data or image.size is None:
            raise NoData(f"Image {image.id} has no data: it is {image.status}.", image=image.id)
        part = args.file.with_name(f"{args.file.name}.{image.id}.part")
        with part.open("a+b") as file, progress.bar(args.image, image.size) as at:
            download = _Download(client, image, file, at)
            await asyncio.to_thread(download.catch_up)
            await persist(download.attempt, lambda: download.reached)
            os.fsync(file.fileno())
    if not download.is_right():
        part.unlink()
        raise WrongBytes(
            f"What {args.site} sent for image {image.id} is not what its record says.",
            hint="Nothing was kept.",
        )
    part.replace(args.file)
    print(f"{args.file}: {output.size(image.size)}, {image.os_hash_algo or 'md5'} is right, image {image.id}")


class _Download:
    """The bytes of one image on their way into one file, which may hold the beginning of them already."""

    def __init__(self, client: Client, image: Image, file: BinaryIO, at: Callable[[int], None]) -> None:
        self._client = client
        self._image = image
        self._file = file
        self._at = at
        self._restart()

    def catch_up(self) -> None:
        """Take the digest of what the file holds already."""
        self._file.seek(0)
        while piece := self._file.read(_PIECE):
            self._digest.update(piece)
            self.reached += len(piece)

    async def attempt(self) -> None:
        """Fetch the rest. Raises UpstreamAway when that broke off."""
        size = self._image.size or 0
        if self.reached < size:
            headers = {"Range": f"bytes={self.reached}-"} if self.reached else {}
            path = f"/v2/images/{self._image.id}/file"
            async with self._client.request("GET", path, headers=headers) as answer:
                if self.reached and answer.status != 206:
                    self._file.truncate(0)
                    self._restart()
                self._at(self.reached)
                async for piece in answer.content.iter_chunked(_PIECE):
                    await asyncio.to_thread(self._keep, piece)
                    self._at(self.reached)
        if self.reached < size:
            raise UpstreamAway(f"{self._client.site} sent less than the whole image.")

    def is_right(self) -> bool:
        """Whether the bytes are those of the record."""
        expected = self._image.os_hash_value or self._image.checksum
        return self.reached == self._image.size and self._digest.hexdigest() == expected

    def _keep(self, piece: bytes) -> None:
        self._file.write(piece)
        self._digest.update(piece)
        self.reached += len(piece)

    def _restart(self) -> None:
        """Begin at byte 0, as where ranges are not had (a stock Glance on some stores)."""
        algorithm = (self._image.os_hash_algo if self._image.os_hash_value else None) or "md5"
        self._digest = hashlib.new(algorithm, usedforsecurity=False)
        self.reached = 0
