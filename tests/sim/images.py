"""Images as the simulator makes and reads them: the production documents, read once for all sites."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from skerry.core.feed.documents import image_from_document
from skerry.core.feed.entry import Entry, Head, Signed
from skerry.core.image import Image, Status, Visibility

READERS = "sim_readers"
"""A property: the sites that may read the record, with commas between them; everybody without it.

Whoever writes it names all sites on the way as well: what a site may read changes with the record alone, as a
follower is not given again what it was not allowed to read before.
"""


def new_image(image_id: str, name: str, size: int, now: datetime, properties: Mapping[str, str]) -> Image:
    """An image whose bytes are there."""
    return Image(
        image_id,
        created_at=now.replace(microsecond=0),
        updated_at=now.replace(microsecond=0),
        name=name,
        status=Status.ACTIVE,
        visibility=Visibility.PUBLIC,
        disk_format="raw",
        container_format="bare",
        size=size,
        os_hash_algo="sha512",
        os_hash_value=(image_id.replace("-", "") * 4)[:128],
        properties=MappingProxyType(dict(properties)),
    )


@lru_cache(maxsize=4096)
def entry_of(signed: Signed) -> Entry:
    """What a signed text says."""
    return signed.entry()


@lru_cache(maxsize=4096)
def head_of(signed: Signed) -> Head:
    """What the signed text of a head says."""
    return signed.head()


@lru_cache(maxsize=4096)
def image_of(signed: Signed) -> Image | None:
    """The image of an entry; None when it is no more. Raises ValueError for nonsense."""
    entry = entry_of(signed)
    if entry.body is None:
        return None
    return replace(image_from_document(entry.body)[0], home=entry.stream.home)


def readers_of(body: Mapping[str, Any] | None) -> frozenset[str] | None:
    """The sites that may read it; None for all."""
    named = (body or {}).get("properties", {}).get(READERS)
    return None if named is None else frozenset(named.split(","))
