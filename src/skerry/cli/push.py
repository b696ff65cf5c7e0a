"""Upload an image file. The same command again goes on where an upload broke off."""

import asyncio
import hashlib
import os
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

from skerry.cli import output, progress
from skerry.cli.client import Client, connect, persist, site_argument
from skerry.core.errors import Conflict, InvalidInput, NotFound, UpstreamAway
from skerry.core.image import Image, Status
from skerry.core.wire import image_from_wire

_PIECE = 1 << 20


def arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--name", help="default: the name of the file")
    parser.add_argument("--disk-format", metavar="FORMAT", help="default: what the file turns out to be")
    parser.add_argument("--container-format", default="bare", metavar="FORMAT", help="default bare")
    parser.add_argument(
        "--id", type=_uuid, metavar="ID", help="a UUID for the image, or of one that has no data yet"
    )
    parser.add_argument("--visibility", choices=("public", "community", "shared", "private"))
    parser.add_argument("--tag", action="append", default=[], metavar="TAG", help="may be repeated")
    parser.add_argument("--property", action="append", default=[], type=_property, metavar="KEY=VALUE",
                        help="may be repeated")  # fmt: skip
    site_argument(parser)
    output.format_argument(parser)


def run(args: Namespace) -> int:
    """Upload; prints the image."""
    if not args.file.is_file():
        raise InvalidInput(f"{args.file} is not a file.")
    asyncio.run(_push(args))
    return 0


async def _push(args: Namespace) -> None:
    name = args.name or args.file.name
    note = _Note(args.site, args.file, name)
    async with connect(args.site) as client:
        image = await _unfinished(client, args.id or note.read())
        if image is None:
            image = await _create(client, args, name)
        note.write(image.id)
        with args.file.open("rb") as file, progress.bar(name, note.size) as at:
            upload = _Upload(client, image.id, file, note.size, at)
            await persist(upload.attempt, lambda: upload.reached)
        note.forget()
        document = await client.json("GET", f"/v2/images/{image.id}")
    if args.format == "json":
        print(output.as_json(document))
    else:
        image = image_from_wire(document)
        digest = f"{image.os_hash_algo}:{image.os_hash_value}" if image.os_hash_value else ""
        print(output.fields({"id": image.id, "name": image.name or "", "status": image.status,
                             "size": output.size(image.size), "digest": digest}))  # fmt: skip


async def _unfinished(client: Client, image_id: str | None) -> Image | None:
    """The image of that id if it is there and waits for its data."""
    if image_id is None:
        return None
    try:
        image = image_from_wire(await client.json("GET", f"/v2/images/{image_id}"))
    except NotFound:
        return None
    return image if image.status in (Status.QUEUED, Status.SAVING) else None


async def _create(client: Client, args: Namespace, name: str) -> Image:
    document: dict[str, Any] = {
        **dict(args.property),
        "name": name,
        "disk_format": args.disk_format or await asyncio.to_thread(_disk_format, args.file),
        "container_format": args.container_format,
        "tags": args.tag,
    }
    document |= {key: value for key, value in (("id", args.id), ("visibility", args.visibility)) if value}
    return image_from_wire(await client.json("POST", "/v2/images", json=document))


class _Upload:
    """The bytes of one file on their way to one image."""

    def __init__(
        self, client: Client, image_id: str, file: BinaryIO, size: int, at: Callable[[int], None]
    ) -> None:
        self._client = client
        self._whole = f"/v2/images/{image_id}/file"
        self._resumable = f"/skerry/v1/images/{image_id}/upload"
        self._file = file
        self._size = size
        self._at = at
        self.reached = 0

    async def attempt(self) -> None:
        """Send what the site does not have yet. Raises UpstreamAway when that broke off.

        A site that knows no resumable uploads (a stock Glance) is sent the whole file.
        """
        stands = await self._stands()
        if stands is None:
            await self._send("PUT", self._whole, 0, {"Content-Type": "application/octet-stream"})
            return
        self.reached, complete = stands
        if complete:
            return
        headers = {
            "Content-Type": "application/partial-upload",
            "Upload-Offset": str(self.reached),
            "Upload-Complete": "?1",
        }
        try:
            await self._send("PATCH", self._resumable, self.reached, headers)
        except Conflict:
            if await self._stands() == stands:
                raise
            raise UpstreamAway("The site was still busy with what came before.") from None

    async def _stands(self) -> tuple[int, bool] | None:
        """How many bytes the site has and whether that is all; None when it knows no resumable uploads."""
        try:
            async with self._client.request("HEAD", self._resumable, passing=(300, 405)) as answer:
                offset = answer.headers.get("Upload-Offset", "")
                complete = answer.headers.get("Upload-Complete") == "?1"
        except NotFound:
            return None
        return (int(offset), complete) if offset.isdecimal() else None

    async def _send(self, method: str, path: str, offset: int, headers: dict[str, str]) -> None:
        length = {"Content-Length": str(self._size - offset)}
        async with self._client.request(method, path, data=self._from(offset), headers=headers | length):
            self._at(self._size)

    async def _from(self, offset: int) -> AsyncIterator[bytes]:
        await asyncio.to_thread(self._file.seek, offset)
        self._at(offset)
        while piece := await asyncio.to_thread(self._file.read, _PIECE):
            yield piece
            offset += len(piece)
            self._at(offset)


class _Note:
    """Remembers, in a small file of the user's, which image an unfinished upload of a file belongs to."""

    def __init__(self, site: str, file: Path, name: str) -> None:
        status = file.stat()
        self.size = status.st_size
        base = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser()
        key = f"{site} {file.resolve()} {status.st_size} {status.st_mtime_ns} {name}"
        self._path = base / "skerry" / "pushes" / hashlib.sha256(key.encode()).hexdigest()

    def read(self) -> str | None:
        return self._path.read_text() if self._path.exists() else None

    def write(self, image_id: str) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(image_id)

    def forget(self) -> None:
        self._path.unlink(missing_ok=True)


def _disk_format(file: Path) -> str:
    """What the file is by its own account; `raw` when it says nothing, or only how it is partitioned."""
    from oslo_utils.imageutils import format_inspector

    found = str(format_inspector.detect_file_format(str(file)))
    return "raw" if found in ("gpt", "luks") else found


def _property(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise ArgumentTypeError(f"expected KEY=VALUE, got {text!r}")
    return key, value


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise ArgumentTypeError(f"expected a UUID, got {text!r}") from None
