"""The way in to one image: found, and there for this caller."""

from skerry.api.context import Site
from skerry.catalog.base import Known
from skerry.core.caller import Caller
from skerry.core.errors import Forbidden, NoData
from skerry.core.image import Status
from skerry.core.rights import needs_membership


async def seen(site: Site, caller: Caller, image_id: str, rule: str = "get_image") -> Known:
    """The record of an image with which the caller may do `rule`.

    Raises NotFound when it is not there for the caller, Forbidden when it is and `rule` does not let them.
    """
    known = await site.catalogue.get(image_id)
    member = needs_membership(caller, known.image) and await is_member(site, caller, image_id)
    site.policy.check(rule, caller, known.image, member=member)
    return known


async def readable(site: Site, caller: Caller, image_id: str) -> Known:
    """The record of an image whose bytes the caller may have. Raises as `seen`, and NoData."""
    known = await seen(site, caller, image_id, "download_image")
    if known.image.status is Status.DEACTIVATED and not caller.is_admin:
        raise Forbidden("The requested image has been deactivated. Image data download is forbidden.")
    if not known.image.has_data or known.image.size is None:
        raise NoData(f"Image {image_id} has no data.", image=image_id)
    return known


async def is_member(site: Site, caller: Caller, image_id: str) -> bool:
    """Whether the image is shared with the caller's project."""
    return any(member.project_id == caller.project_id for member in await site.catalogue.members(image_id))
