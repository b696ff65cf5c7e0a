"""Entries that a transaction is about to change."""

from sqlalchemy import Connection

from skerry.catalog import rows
from skerry.catalog.rows import Entry
from skerry.core.errors import Conflict, NotFound
from skerry.core.image import Member


def unknown(image_id: str) -> NotFound:
    """What is said of an image that is not there."""
    return NotFound(f"No image found with ID {image_id}", image=image_id)


def take(connection: Connection, image_id: str) -> Entry:
    """The entry, which nobody else changes until the transaction ends. Raises NotFound."""
    entry = rows.load(connection, [image_id], lock=True).get(image_id)
    if entry is None:
        raise unknown(image_id)
    return entry


def take_own(connection: Connection, image_id: str) -> Entry:
    """As `take`, for a change that only the image's home makes. Raises Conflict elsewhere."""
    entry = take(connection, image_id)
    if entry.image.home is not None:
        raise Conflict(f"Image {image_id} is at home at {entry.image.home}.", image=image_id)
    return entry


def take_member(connection: Connection, image_id: str, project_id: str) -> tuple[Entry, Member]:
    """The entry of an own image and one of its members. Raises NotFound."""
    entry = take_own(connection, image_id)
    for member in entry.members:
        if member.project_id == project_id:
            return entry, member
    raise NotFound(f"{project_id} not found in the member list of the image {image_id}.", image=image_id)
