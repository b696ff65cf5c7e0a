"""When a plan deletes so much that a person has to look at it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from skerry.core.placement.actions import Drop, Evict
from skerry.core.placement.observed import Held, Observed
from skerry.core.placement.plan import Hold


@dataclass(frozen=True, slots=True)
class Guard:
    """A plan waits when it deletes more than this share of a site's whole copies, and more than a few."""

    share: float = 0.25
    few: int = 5

    def hold(
        self,
        site: str,
        deleting: Sequence[Drop | Evict],
        here: Mapping[str, Observed],
        now: float,
        standing: Hold | None,
    ) -> Hold | None:
        """The hold on deletions that nobody has approved, if there has to be one.

        What was held before (`standing`) is held until it is approved or gone, however many copies have come
        meanwhile.
        """
        if not deleting:
            return None
        copies = sum(copy.cached and copy.state is Held.COMPLETE for copy in here.values())
        losing = sum(here[action.image_id].state is Held.COMPLETE for action in deleting)
        too_many = losing > self.few and losing > self.share * copies
        if not too_many and standing is None:
            return None
        reason = f"{losing} of {copies} copies would go" + (
            f", more than {self.share:.0%}" if too_many else ""
        )
        since = standing.since if standing else now
        return Hold(site, reason, since, copies, losing, frozenset(action.deletion for action in deleting))


DEFAULT = Guard()
