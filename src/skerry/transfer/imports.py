"""Image import: what the site does with an image after the client has gone.

Source: Image API v2 reference, "Interoperable image import". `glance-direct` makes staged bytes the image,
`web-download` fetches them. What is under way when the site stops leads back to where it began; the tasks
themselves are known until then.
"""

import asyncio
import logging
import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial as bound

from skerry.catalog.records import Records
from skerry.core import receiving
from skerry.core.clock import Clock
from skerry.core.errors import SkerryError
from skerry.core.image import Image
from skerry.transfer.publish import Publisher
from skerry.transfer.unbroken import unbroken
from skerry.transfer.uploads import Uploads
from skerry.transfer.web import Web

log = logging.getLogger(__name__)

WEB = "web-download"

_AT_ONCE = 4
"""Downloads that run at the same time; more of them wait."""

_KEPT = 1000
"""Tasks that are remembered at most."""

_LIFE = timedelta(hours=48)
"""How long a finished task is shown, as Glance's."""


class TaskStatus(StrEnum):
    """Glance's task statuses."""

    PENDING = "pending"
    PROCESSING = "processing"
    SUCCESS = "success"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Task:
    """One import. `owner` is the project that asked for it; `message` says why it failed."""

    id: str
    image_id: str
    method: str
    uri: str | None
    owner: str | None
    user_id: str | None
    created_at: datetime
    updated_at: datetime
    status: TaskStatus = TaskStatus.PENDING
    message: str = ""
    expires_at: datetime | None = None


class Imports:
    """Imports under way and those that ended lately."""

    def __init__(
        self, records: Records, publisher: Publisher, uploads: Uploads, web: Web, clock: Clock
    ) -> None:
        self._records = records
        self._publisher = publisher
        self._uploads = uploads
        self._web = web
        self._clock = clock
        self._tasks: dict[str, Task] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def start(
        self, image_id: str, method: str, uri: str | None, *, owner: str | None, user_id: str | None
    ) -> Task:
        """Begin an import; the image is `importing` when this returns.

        Raises InvalidInput for an address that is refused, Conflict when the image is not ready for `method`.
        """
        if method == WEB:
            await self._web.check(uri or "")
        became = bound(receiving.importing, method=method)
        if method == WEB:
            image = await self._publisher.begin(image_id, became)
        else:
            image = await unbroken(self._records.change(image_id, became))
        now = self._clock.now()
        task = Task(str(uuid.uuid4()), image_id, method, uri, owner, user_id, created_at=now, updated_at=now)
        self._remember(task)
        running = asyncio.create_task(self._run(task, image), name=f"import-{image_id}")
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        return task

    def tasks(self, image_id: str) -> list[Task]:
        """The imports of an image, oldest first, without those that ended long ago."""
        now = self._clock.now()
        return [
            task
            for task in self._tasks.values()
            if task.image_id == image_id and (task.expires_at is None or task.expires_at > now)
        ]

    async def close(self) -> None:
        """End what is under way. What has not got back to where it began is found at the next start."""
        for running in self._running:
            running.cancel()
        await self.settle()

    async def settle(self) -> None:
        """Return when nothing is under way any more."""
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _run(self, task: Task, image: Image) -> None:
        try:
            if task.method == WEB:
                await self._download(task, image)
            else:
                self._note(task, TaskStatus.PROCESSING)
                await self._uploads.publish_staged(image.id)
            self._note(task, TaskStatus.SUCCESS)
        except SkerryError as error:
            log.warning("import of image %s failed: %s", image.id, error)
            self._note(task, TaskStatus.FAILURE, str(error))
        except Exception:
            log.exception("import of image %s failed", image.id)
            self._note(task, TaskStatus.FAILURE, "The server has met an unexpected error.")

    async def _download(self, task: Task, image: Image) -> None:
        async with self._turns:
            self._note(task, TaskStatus.PROCESSING)
            await self._records.get(image.id)  # it may have been deleted while this waited
            await self._uploads.bring(image, self._web.chunks(task.uri or ""))

    def _note(self, task: Task, status: TaskStatus, message: str = "") -> None:
        now = self._clock.now()
        ended = status in (TaskStatus.SUCCESS, TaskStatus.FAILURE)
        known = self._tasks.get(task.id, task)
        self._remember(
            replace(
                known,
                status=status,
                message=message,
                updated_at=now,
                expires_at=now + _LIFE if ended else None,
            )
        )

    def _remember(self, task: Task) -> None:
        self._tasks[task.id] = task
        if len(self._tasks) > _KEPT:
            del self._tasks[next(iter(self._tasks))]
