"""An image and its members, as every part of Skerry sees them.

The words are Glance's (Image API v2). There are exactly two conversions: `core.wire` to and from the API's
JSON, `catalog.rows` to and from the database.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from skerry.core.errors import Conflict


class Status(StrEnum):
    """Glance's image statuses. `deleted` exists only as a tombstone."""

    QUEUED = "queued"
    SAVING = "saving"
    UPLOADING = "uploading"
    IMPORTING = "importing"
    ACTIVE = "active"
    DEACTIVATED = "deactivated"
    DELETED = "deleted"


class Visibility(StrEnum):
    """Who else than the owner may see an image."""

    PUBLIC = "public"
    COMMUNITY = "community"
    SHARED = "shared"
    PRIVATE = "private"


class MemberStatus(StrEnum):
    """What a project has answered to an image shared with it."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Member:
    """A project that an image is shared with."""

    image_id: str
    project_id: str
    status: MemberStatus
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Image:
    """The record of one image.

    Sizes are in bytes, min_disk in GiB, min_ram in MiB, times are aware UTC in whole seconds.
    `size`, digests and `virtual_size` are None until the bytes are here or known. `revision` is the number
    of the last change in this site's catalogue, which also counts changes of members. `home` is the site
    at which the image was created, None where that is this one. `index` is the digest of the index that its
    home has made of its bytes (`chunking.index_file`), None while there is none.
    """

    id: str
    created_at: datetime
    updated_at: datetime
    name: str | None = None
    status: Status = Status.QUEUED
    visibility: Visibility = Visibility.SHARED
    owner: str | None = None
    disk_format: str | None = None
    container_format: str | None = None
    min_disk: int = 0
    min_ram: int = 0
    size: int | None = None
    virtual_size: int | None = None
    checksum: str | None = None
    os_hash_algo: str | None = None
    os_hash_value: str | None = None
    os_hidden: bool = False
    protected: bool = False
    tags: frozenset[str] = frozenset()
    properties: Mapping[str, str | None] = field(default_factory=lambda: MappingProxyType({}))
    revision: int = 0
    home: str | None = None
    index: str | None = None

    @property
    def has_data(self) -> bool:
        """Whether its bytes are fixed for good."""
        return self.status in (Status.ACTIVE, Status.DEACTIVATED)


_NEXT: Mapping[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset(
        {Status.SAVING, Status.UPLOADING, Status.IMPORTING, Status.ACTIVE, Status.DELETED}
    ),
    Status.SAVING: frozenset({Status.ACTIVE, Status.QUEUED, Status.DELETED}),
    Status.UPLOADING: frozenset({Status.UPLOADING, Status.IMPORTING, Status.QUEUED, Status.DELETED}),
    Status.IMPORTING: frozenset({Status.ACTIVE, Status.QUEUED, Status.UPLOADING, Status.DELETED}),
    Status.ACTIVE: frozenset({Status.ACTIVE, Status.DEACTIVATED, Status.DELETED}),
    Status.DEACTIVATED: frozenset({Status.DEACTIVATED, Status.ACTIVE, Status.DELETED}),
    Status.DELETED: frozenset(),
}


def check_transition(image: Image, to: Status) -> None:
    """Raise Conflict, in Glance's words, when `image` may not go to status `to`."""
    if to not in _NEXT[image.status]:
        raise Conflict(f"Image status transition from {image.status} to {to} is not allowed", image=image.id)
