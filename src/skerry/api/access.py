"""The way in to one image: found, and there for this caller."""

from skerry.api.context import Site
from skerry.catalog.base import Known
from skerry.core.caller import Caller
from skerry.core.rights import needs_membership


async def seen(site: Site, caller: Caller, image_id: str, rule: str = "get_image") -> Known:
    """The record of an image with which the caller may do `rule`.

    Raises NotFound when it is not there for the caller, Forbidden when it is and `rule` does not let them.
    """
    known = await site.catalogue.get(image_id)
    member = needs_membership(caller, known.image) and await is_member(site, caller, image_id)
    site.policy.check(rule, caller, known.image, member=member)
    return known


async def is_member(site: Site, caller: Caller, image_id: str) -> bool:
    """Whether the image is shared with the caller's project."""
    return any(member.project_id == caller.project_id for member in await site.catalogue.members(image_id))
