"""Which images a site may have the bytes of: none of which a placement says `never` for it.

Records are another matter. They travel to every site, whose users see of them what visibility and the policy
let them: a site must know a record to say why there is no copy, and to have its own guard look at a deletion.
"""

from skerry.core.errors import Forbidden
from skerry.core.image import Image
from skerry.core.placement.rule import Mode
from skerry.sync.family import Family
from skerry.sync.planning import Planning


class Scopes:
    """Of this site, and of those that hang at it. To be refreshed before the request of a site is decided."""

    def __init__(self, planning: Planning, family: Family) -> None:
        self._planning = planning
        self._family = family

    async def refresh(self) -> None:
        """Go by the placements, sites and images of this moment; costs nothing when there are no others."""
        await self._planning.current()

    def may_have(self, site: str, image: Image) -> bool:
        """Whether a site, or one below it that gets all by it, may have the bytes of an image."""
        return not self._denied(site, image.id) or (image.home or self._family.name) in self._below(site)

    def check(self, image: Image) -> None:
        """Raise Forbidden when the bytes of an image are not to come to this site."""
        name = self._family.name
        if not self.may_have(name, image):
            raise Forbidden(
                f"{self._denied(name, image.id)} says that image {image.id} is never at site {name}.",
                hint="Ask another site for it, or the operator to change the placement.",
            )

    def _denied(self, site: str, image_id: str) -> str:
        """The placement that keeps an image from a site and all below it, or nothing."""
        rule = ""
        for one in self._below(site):
            desire = self._planning.last.desire_at(image_id, one)
            if desire is None or desire.mode is not Mode.NEVER:
                return ""
            rule = desire.rule
        return rule

    def _below(self, site: str) -> frozenset[str]:
        return self._family.subtree(site) | {site}
