"""What ought to be of one image at one site."""

from dataclasses import dataclass

from skerry.core.placement.rule import Mode, Placement
from skerry.core.placement.window import Window


@dataclass(frozen=True, slots=True)
class Desire:
    """What the deciding placement says; its fields mean the same there.

    `rule` is its name, "" when none selects the image. `wished`: it counts because the image asked for the
    site. `withdrawn`: the image is deactivated, so that what is there stays and nothing is fetched.
    """

    mode: Mode = Mode.ON_DEMAND
    rule: str = ""
    pinned: bool = False
    priority: int = 0
    store: str = ""
    window: Window | None = None
    rate: int | None = None
    keep: float | None = None
    wished: bool = False
    withdrawn: bool = False

    @classmethod
    def by(cls, placement: Placement | None, *, withdrawn: bool) -> "Desire":
        """What a placement says, or what holds where there is none."""
        if placement is None:
            return cls(withdrawn=withdrawn)
        return cls(
            mode=placement.mode,
            rule=placement.name,
            pinned=placement.pinned,
            priority=placement.priority,
            store=placement.store,
            window=placement.window,
            rate=placement.rate,
            keep=placement.keep,
            wished=placement.sites.wished,
            withdrawn=withdrawn,
        )

    @property
    def is_mirror(self) -> bool:
        """Whether a copy ought to be there."""
        return self.mode is Mode.MIRROR
