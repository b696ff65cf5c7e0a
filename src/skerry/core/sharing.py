"""Who may do what with the members of an image, beside the policy. Source: Glance, image members.

The owner says with whom an image is shared, and the project that it is shared with says whether it accepts.
An administrator may do both.
"""

from collections.abc import Sequence
from typing import Any

from skerry.core.caller import Caller
from skerry.core.errors import Forbidden, InvalidInput
from skerry.core.image import Image, Member, MemberStatus, Visibility


def check_shared(image: Image) -> None:
    """Raise Forbidden unless the image is of the one visibility that has members."""
    if image.visibility is not Visibility.SHARED:
        raise Forbidden("Only shared images have members.", image=image.id)


def check_may_share(caller: Caller, image: Image) -> None:
    """Raise Forbidden unless the caller may add and remove members."""
    check_shared(image)
    if not caller.is_admin and not _owns(caller, image):
        raise Forbidden(f"Not allowed to change the members of image {image.id}.", image=image.id)


def check_may_answer(caller: Caller, image: Image, project_id: str) -> None:
    """Raise Forbidden unless the caller may say for `project_id` whether it accepts the image."""
    check_shared(image)
    if not caller.is_admin and (_owns(caller, image) or caller.project_id != project_id):
        raise Forbidden(f"Not allowed to update members for image {image.id}.", image=image.id)


def shown(caller: Caller, image: Image, members: Sequence[Member]) -> list[Member]:
    """The members that the caller may know of: all of an own image, else themselves."""
    if caller.is_admin or caller.site is not None or _owns(caller, image):
        return list(members)
    return [member for member in members if member.project_id == caller.project_id]


def project_from(document: Any) -> str:
    """The project that a request to add a member names. Raises InvalidInput."""
    if not isinstance(document, dict):
        raise InvalidInput('Expected a member in the form: {"member": "image_id"}')
    if "member" not in document:
        raise InvalidInput("Member to be added not specified")
    project_id = document["member"]
    if not isinstance(project_id, str) or not 0 < len(project_id) <= 255:
        raise InvalidInput("Member can't be empty, and is a text of at most 255 characters")
    return project_id


def status_from(document: Any) -> MemberStatus:
    """The answer that a request to change a member brings. Raises InvalidInput."""
    if not isinstance(document, dict):
        raise InvalidInput('Expected a status in the form: {"status": "status"}')
    if "status" not in document:
        raise InvalidInput("Status not specified")
    try:
        return MemberStatus(document["status"])
    except ValueError:
        raise InvalidInput('Incorrect request: Status must be "pending", "accepted" or "rejected".') from None


def _owns(caller: Caller, image: Image) -> bool:
    return image.owner is not None and caller.project_id == image.owner
