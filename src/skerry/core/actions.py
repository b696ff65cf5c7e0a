"""What may be done to an image as a whole. Rules from the image as it is to the image as it shall be."""

from dataclasses import replace

from skerry.core.attributes import Bounds, check_tags, checked
from skerry.core.errors import Forbidden, NotFound
from skerry.core.image import Image, Status, check_transition


def delete(image: Image) -> Image:
    """The image as deleted. Raises Forbidden when it is protected."""
    if image.protected:
        raise Forbidden(f"Image {image.id} is protected and cannot be deleted.", image=image.id)
    check_transition(image, Status.DELETED)
    return replace(image, status=Status.DELETED)


def deactivate(image: Image) -> Image:
    """No more downloads but by administrators. Nothing to do when it is so already."""
    return _switch(image, "deactivate", Status.DEACTIVATED)


def reactivate(image: Image) -> Image:
    """Downloads for everybody again. Nothing to do when it is so already."""
    return _switch(image, "reactivate", Status.ACTIVE)


def add_tag(image: Image, tag: str, bounds: Bounds) -> Image:
    """The image with `tag`. Raises InvalidInput for a bad tag, TooLarge over the limit."""
    tags = image.tags | checked({"tags": [tag]}, bounds)["tags"]
    if len(tags) > len(image.tags):
        check_tags(tags, bounds)
    return replace(image, tags=tags)


def remove_tag(image: Image, tag: str) -> Image:
    """The image without `tag`. Raises NotFound when it has none such."""
    if tag not in image.tags:
        raise NotFound(f"Image {image.id} has no tag '{tag}'.", image=image.id)
    return replace(image, tags=image.tags - {tag})


def _switch(image: Image, verb: str, to: Status) -> Image:
    if not image.has_data:
        raise Forbidden(f"Not allowed to {verb} image in status '{image.status}'", image=image.id)
    return replace(image, status=to)
