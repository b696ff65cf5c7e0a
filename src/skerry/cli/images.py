"""Images as people name them."""

from urllib.parse import urlencode
from uuid import UUID

from skerry.cli.client import Client
from skerry.core.errors import Conflict, NotFound
from skerry.core.image import Image
from skerry.core.wire import image_from_wire


async def find(client: Client, wanted: str) -> Image:
    """The image of that id, else the only one of that name. Raises NotFound, Conflict."""
    if _is_uuid(wanted):
        try:
            return image_from_wire(await client.json("GET", f"/v2/images/{wanted}"))
        except NotFound:
            pass
    found = (await client.json("GET", "/v2/images?" + urlencode({"name": wanted})))["images"]
    if not found:
        raise NotFound(
            f"{client.site} has no image {wanted!r}.",
            hint="An edge may not know the name of a new image yet, but finds it by its id.",
        )
    if len(found) > 1:
        ids = "\n  ".join(str(one["id"]) for one in found)
        raise Conflict(f"Several images are called {wanted!r}:\n  {ids}\n", hint="Name one by its id.")
    return image_from_wire(found[0])


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
