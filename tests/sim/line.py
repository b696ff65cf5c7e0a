"""The line between a site and the one above it. Only the lower one calls; the upper one answers."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from skerry.core.errors import SkerryError, UpstreamAway

if TYPE_CHECKING:
    from tests.sim.site import Site
    from tests.sim.world import World

Reply = Callable[[Any], None]
"""Sends an answer, or an error, back."""
Handle = Callable[["Site", Reply], None]
"""What the upper site does with a request."""


class Line:
    """It may be cut or slow, lose answers on the way back, and bring requests twice or late."""

    def __init__(self, world: "World", lower: "Site", upper: str) -> None:
        self._world = world
        self._lower = lower
        self.upper = upper
        self.latency = world.rng.uniform(0.005, 0.3)
        self.bandwidth = world.rng.uniform(20, 400)
        """Units of size a second."""
        self.is_cut = False
        self.slowness = 1.0
        self.loses = 0.0
        self.repeats = 0.0
        self.delays = 0.0
        """Probabilities of what goes wrong with one call."""

    def call(
        self,
        handle: Handle,
        *,
        patience: float,
        answered: Callable[[Any], None],
        failed: Callable[[SkerryError], None],
        size: float = 0.0,
    ) -> None:
        """Have the upper site handle a request, which with its answer takes `size` to carry.

        Either `answered` or `failed` is called, unless the lower site crashes before.
        """
        pending = True

        def end(answer: Any) -> None:
            nonlocal pending
            if not pending:
                return
            pending = False
            if isinstance(answer, SkerryError):
                failed(answer)
            else:
                answered(answer)

        self._lower.after(patience, lambda: end(UpstreamAway("No answer.")))
        back = self._lower.alive(end)
        name, key = self._lower.name, self._lower.key.public
        way = (
            self.latency * self.slowness * self._world.rng.uniform(1.0, 1.5)
            + size / self.bandwidth * self.slowness
        )
        if self._world.chance(self.delays):
            self._world.fault("late requests", name)
            way += patience * self._world.rng.uniform(1.0, 3.0)
        self._world.after(way, lambda: self._arrive(handle, name, key, back))
        if self._world.chance(self.repeats):
            again = way + self._world.rng.uniform(0.0, 30.0)
            self._world.fault("repeated requests", name)
            self._world.after(again, lambda: self._arrive(handle, name, key, _nobody))

    def _arrive(self, handle: Handle, name: str, key: Any, back: Callable[[Any], None]) -> None:
        if self.is_cut:
            return
        upper = self._world.sites[self.upper]

        def reply(answer: Any) -> None:
            if self._world.chance(self.loses):
                self._world.fault("lost answers", name)
                return
            self._world.after(self.latency * self.slowness, lambda: self._return(answer, back))

        if not upper.up:
            reply(UpstreamAway("Nobody listens."))
            return
        upper.do(lambda: upper.receive(handle, name, key, reply))

    def _return(self, answer: Any, back: Callable[[Any], None]) -> None:
        if not self.is_cut:
            back(answer)


def _nobody(answer: Any) -> None:
    """Who has sent a request once does not hear what became of its second copy."""
