"""One line of the results: a figure of ours beside a peer's, and the goal."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.rounds import median


@dataclass(frozen=True)
class Goal:
    """What a figure must reach: a bound for the ratio (`ours / peer`), or for our own value."""

    words: str
    bound: float
    of_ratio: bool
    at_least: bool

    def met(self, ours: float, ratio: float) -> bool:
        """Whether the medians reach it."""
        value = ratio if self.of_ratio else ours
        return value >= self.bound if self.at_least else value < self.bound


def times(least: float) -> Goal:
    """At least so many times the peer's value."""
    return Goal(f">= {least:g} times", least, of_ratio=True, at_least=True)


def less_than_peer() -> Goal:
    """Less than the peer's value."""
    return Goal("< the peer's", 1.0, of_ratio=True, at_least=False)


def under(most: float, unit: str) -> Goal:
    """Less than an absolute value."""
    return Goal(f"< {most:g} {unit}", most, of_ratio=False, at_least=False)


def share(most: float, words: str) -> Goal:
    """At most such a share of the peer's value, which is what `words` say."""
    return Goal(words, math.nextafter(most, math.inf), of_ratio=True, at_least=False)


@dataclass(frozen=True)
class Row:
    """Medians of the rounds, and the rounds themselves."""

    figure: str
    unit: str
    ours: float
    peer: str
    peer_value: float
    ratio: float
    goal: str
    met: bool
    ours_rounds: tuple[float, ...]
    peer_rounds: tuple[float, ...]


def compare(
    figure: str, unit: str, ours: Sequence[float], peer: str, theirs: Sequence[float], goal: Goal
) -> Row:
    """The row of a figure from what each round gave."""
    mine, other = median(ours), median(theirs)
    ratio = mine / other
    rounds = tuple(round(value, 4) for value in ours), tuple(round(value, 4) for value in theirs)
    return Row(
        figure,
        unit,
        round(mine, 4),
        peer,
        round(other, 4),
        round(ratio, 3),
        goal.words,
        goal.met(mine, ratio),
        *rounds,
    )


def alone(figure: str, unit: str, ours: Sequence[float], goal: Goal) -> Row:
    """The row of a figure that has no peer, only a goal."""
    mine = median(ours)
    rounds = tuple(round(value, 4) for value in ours)
    return Row(figure, unit, round(mine, 4), "", 0.0, 0.0, goal.words, goal.met(mine, 0.0), rounds, ())
