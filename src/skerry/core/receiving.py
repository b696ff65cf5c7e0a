"""How the record of an image follows its bytes on their way in: the rules, in Glance's words.

    queued -> saving -> active                    upload, plain or resumable
    queued -> uploading -> importing -> active    stage, then import by glance-direct
    queued -> importing -> active                 import by web-download

`saving` and `importing` mean that bytes move at this moment; whatever ends that badly leads back.
"""

from dataclasses import dataclass, replace

from skerry.core.errors import Conflict, Gone, InvalidInput
from skerry.core.image import Image, Status, check_transition


@dataclass(frozen=True, slots=True)
class Contents:
    """What is known of bytes once they are here: size in bytes, md5, sha512, and what the format says.

    `virtual_size` is None for a format that does not tell.
    """

    size: int
    md5: str
    sha512: str
    virtual_size: int | None


def saving(image: Image) -> Image:
    """An upload begins. Raises Conflict unless queued, InvalidInput while a format is missing."""
    check_transition(image, Status.SAVING)
    missing = [name for name in ("disk_format", "container_format") if not getattr(image, name)]
    if missing:
        noun = "Property" if len(missing) == 1 else "Properties"
        raise InvalidInput(f"{noun} {', '.join(missing)} must be set prior to saving data.", image=image.id)
    return replace(image, status=Status.SAVING)


def staging(image: Image) -> Image:
    """Staging begins. Raises Conflict unless queued."""
    if image.status is not Status.QUEUED:
        raise _transition(image, Status.UPLOADING)
    return replace(image, status=Status.UPLOADING)


def staged(image: Image, contents: Contents) -> Image:
    """All bytes are staged; what is known of them is kept in the record for the import."""
    return replace(_described(image, contents), status=Status.UPLOADING)


def importing(image: Image, method: str) -> Image:
    """An import begins. Raises Conflict as Glance does."""
    if image.status is Status.ACTIVE:
        raise Conflict("Image with status active cannot be target for import", image=image.id)
    if method == "web-download" and image.status is not Status.QUEUED:
        raise Conflict(f"Image needs to be in 'queued' state to use '{method}' method", image=image.id)
    if method == "glance-direct" and image.status is not Status.UPLOADING:
        raise Conflict("Image needs to be staged before 'glance-direct' method can be used", image=image.id)
    for name in ("container_format", "disk_format"):
        if not getattr(image, name):
            raise Conflict(f"'{name}' needs to be set before import", image=image.id)
    return replace(image, status=Status.IMPORTING)


def active(image: Image, contents: Contents) -> Image:
    """The bytes are here for good."""
    check_transition(image, Status.ACTIVE)
    return replace(_described(image, contents), status=Status.ACTIVE)


def imported(image: Image) -> Image:
    """Staged bytes, described in the record already, are here for good."""
    check_transition(image, Status.ACTIVE)
    return replace(image, status=Status.ACTIVE)


def given_up(image: Image) -> Image:
    """No bytes are coming any more: queued again, as if none had come. An image with data stays."""
    if image.has_data:
        return image
    return replace(
        image,
        status=Status.QUEUED,
        size=None,
        virtual_size=None,
        checksum=None,
        os_hash_algo=None,
        os_hash_value=None,
    )


def staged_again(image: Image) -> Image:
    """An import of staged bytes did not come to its end; they are still there."""
    return replace(image, status=Status.UPLOADING) if image.status is Status.IMPORTING else image


def recovered(image: Image, *, staged: bool) -> Image:
    """After a crash nothing moves: `staged` bytes are still there, others are gone or to be resumed."""
    if staged and image.status in (Status.UPLOADING, Status.IMPORTING):
        return replace(image, status=Status.UPLOADING)
    return given_up(image)


def gone(image_id: str) -> Gone:
    """What the sender of bytes is told when the image was deleted under way; Glance's words."""
    return Gone(
        f"Image {image_id} could not be found after upload. The image may have been deleted during the "
        "upload, cleaning up the chunks uploaded.",
        image=image_id,
    )


def _described(image: Image, contents: Contents) -> Image:
    return replace(
        image,
        size=contents.size,
        virtual_size=contents.virtual_size,
        checksum=contents.md5,
        os_hash_algo="sha512",
        os_hash_value=contents.sha512,
    )


def _transition(image: Image, to: Status) -> Conflict:
    return Conflict(f"Image status transition from {image.status} to {to} is not allowed", image=image.id)
