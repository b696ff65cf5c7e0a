"""Who may see an image, before any policy is asked. Source: Glance, `is_image_visible`.

The policy (`identity.policy`) decides what a caller may do with an image that it sees; these rules decide
whether it is there at all for the caller. What is not visible is answered as not found, never as forbidden.
"""

from skerry.core.caller import Caller
from skerry.core.image import Image, Visibility
from skerry.core.query import Scope


def needs_membership(caller: Caller, image: Image) -> bool:
    """Whether `visible` depends on the members of the image, so that they must be looked up."""
    return (
        image.visibility is Visibility.SHARED
        and image.owner is not None
        and caller.project_id is not None
        and caller.project_id != image.owner
    )


def visible(caller: Caller, image: Image, is_member: bool = False) -> bool:
    """Whether the image exists for the caller.

    For a site it does: what of it some may not read is for the policy. `is_member`: it is shared with the
    caller's project, whatever that project has answered.
    """
    if caller.is_admin or caller.site is not None or image.owner is None:
        return True
    if image.visibility in (Visibility.PUBLIC, Visibility.COMMUNITY):
        return True
    if caller.project_id is None:
        return False
    return caller.project_id == image.owner or (is_member and image.visibility is Visibility.SHARED)


def scope(caller: Caller) -> Scope:
    """Whose eyes a list is seen with."""
    return Scope(project_id=caller.project_id, is_admin=caller.is_admin or caller.site is not None)
