"""Images in JSON, encoded once: most requests ask for records that did not change."""

import msgspec

from skerry.core.image import Image
from skerry.core.wire import image_to_wire

_KEPT = 4096
_memory: dict[str, tuple[Image, bytes]] = {}


def encoded(image: Image) -> bytes:
    """The JSON object of an image; remembered for as long as the catalogue hands out the same record."""
    entry = _memory.get(image.id)
    if entry is not None and entry[0] is image:
        return entry[1]
    body = msgspec.json.encode(image_to_wire(image))
    if len(_memory) >= _KEPT:
        del _memory[next(iter(_memory))]
    _memory[image.id] = (image, body)
    return body
