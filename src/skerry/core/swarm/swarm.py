"""Orders for several sources at once, so that all is here soon and the line to the upstream carries little.

* Siblings go before the upstream for what they have. The upstream is asked for what nobody near has, by each
  site from another place on, unless the siblings would take far longer.
* What a sibling is about to have is left to it for some seconds.
* An order is as long as a source takes some seconds for. When nothing is left to be asked for, who is fast
  takes over the end of what a slow one was asked for, so the last blocks wait for nobody.
* What a client waits for goes first, from whoever has it.
* A source that was left for a while is trusted with one block, and nothing waits for it, until it has sent
  something again.
"""

from collections.abc import Sequence

import numpy as np

from skerry.core.swarm.blocks import Blocks, Flags, Numbers
from skerry.core.swarm.source import Source, Trouble

_ORDER, _SHORTEST = 4.0, 2.0
_FIRST_ORDER = 2
"""Seconds of an order, and of those near the end; its blocks when the rate of a source is not known."""

MOST_CHUNKS = 1 << 16
"""Chunks of an order."""

_COMING = 8.0
"""Seconds for which what a sibling said it is about to have is left to it: two orders."""

_SLACK, _TIMES = 3.0, 3.0
"""The upstream is spared while siblings take fewer seconds than these and so many times its own together."""

_WORTH = 1.0
"""Seconds that taking over an order has to gain."""

_SOON, _SILENT = 1.0, 2.0
"""Seconds within which what a client waits for has to come in its turn, from a source that was silent for no
more than these; else it is asked for in particular."""

_GUESS = 1e6
"""Bytes a second of a source when none is known."""


class Swarm:
    """The sources of one transfer. Times are in seconds by a clock that never runs backwards.

    As long as there is no sibling, the image is asked for from its front on, in orders that are the same for
    all that lack the same, so that packs which were made for one serve the next. They are shortened when the
    first sibling is heard of.
    """

    def __init__(self, sizes: Numbers, missing: Numbers) -> None:
        self._blocks = Blocks(sizes, missing)
        self._start = 0
        self._sources: dict[str, Source] = {}
        self._taker = np.full(self._blocks.count, -1, np.int64)
        self._urgent: Numbers = missing[:0]

    # What is known

    @property
    def done(self) -> bool:
        """Whether nothing is lacking."""
        return not self._blocks.left.any()

    @property
    def lacking(self) -> int:
        """Bytes of chunks that are lacking."""
        return int(self._blocks.left.sum())

    def lacking_chunks(self) -> Numbers:
        """Their numbers, ascending."""
        return self._blocks.chunks(0, self._blocks.count)

    def asked_chunks(self) -> Numbers:
        """The chunks that sources were asked for and that are not here, ascending."""
        return np.unique(np.concatenate([self._urgent[:0], *map(self._rest, self._sources.values())]))

    def knows(self, name: str) -> bool:
        """Whether this is a source."""
        return name in self._sources and not self._sources[name].gone

    def total(self, name: str) -> int:
        """Bytes of chunks that a source has brought."""
        return self._sources[name].total

    def trouble(self, name: str) -> Trouble | None:
        """Why a source was left the last time, if it was and has brought nothing since."""
        return self._sources[name].trouble

    @property
    def is_at_work(self) -> bool:
        """Whether a source was asked for something."""
        return any(one.asked for one in self._sources.values())

    def failures(self, name: str) -> int:
        """How often in a row a source had to be left."""
        return self._sources[name].failures

    def nobody_near(self, now: float) -> bool:
        """Whether no sibling that may be asked has anything that is lacking."""
        lacking = self._blocks.lacking()
        near = (one for one in self._sources.values() if one.near and one.usable(now))
        return not any(bool((one.has & lacking).any()) for one in near)

    # What is told

    def begin_at(self, start: float) -> None:
        """Where in the image, in [0, 1), this site begins when there are siblings."""
        self._start = int(start * self._blocks.count)

    def offer(
        self,
        name: str,
        now: float,
        *,
        near: bool,
        has: Flags | None = None,
        coming: Flags | None = None,
        line: str = "",
        urgent: bool = False,
    ) -> None:
        """A source, or what it has by now: flags of all chunks of the image, None for everything.

        `coming` is what it has asked others for. `line` and `urgent` as for Source.
        """
        blocks = self._blocks
        whole = np.ones(blocks.count, np.bool_)
        there = whole if has is None else blocks.within(has)
        known = self._sources.get(name)
        if known is None:
            first = near and not any(one.near for one in self._sources.values())
            none = self._blocks.missing[:0]
            known = Source(len(self._sources), near, line or name, urgent, there, none)
            self._sources[name] = known
            if first:
                self._shorten(now)
        else:
            known.has, known.gone = there, False
        if coming is not None:
            known.promise(blocks.touched(coming), now)

    def withdraw(self, name: str) -> None:
        """A source is no more; what it was asked for is free."""
        if (source := self._sources.get(name)) is not None:
            self._free(source)
            source.gone, source.asked = True, False

    def hurry(self, chunks: Numbers) -> None:
        """A client waits for these, ascending; none when nobody does."""
        self._urgent = chunks

    def came(self, name: str, chunk: int, now: float) -> bool:
        """A chunk has come, whose bytes are right. Whether it was lacking."""
        source = self._sources[name]
        source.heard = now
        size = self._blocks.take(chunk)
        source.got += size
        source.total += size
        if size:
            source.trouble, source.failures = None, 0
        return size > 0

    def moved(self, name: str, now: float) -> None:
        """Bytes have come from a source, if no chunk yet."""
        self._sources[name].heard = now

    def ended(self, name: str, now: float) -> None:
        """What a source was asked for has come as far as it has it: what is lacking it does not have."""
        source = self._sources[name]
        lost = self._rest(source)
        source.has = source.has.copy()
        source.has[self._blocks.blocks(lost)] = False
        self._free(source)
        source.end(now)
        if len(lost) and (not source.near or not source.got):
            source.leave(Trouble.USELESS, now, None)

    def left(self, name: str, now: float) -> None:
        """The order of a source was broken off here, for `is_over`."""
        source = self._sources[name]
        self._free(source)
        source.end(now)

    def failed(self, name: str, trouble: Trouble, now: float, pause: float | None = None) -> float:
        """A source has to be left. For how many seconds it is not asked; `pause` is what it asks for."""
        source = self._sources[name]
        self._free(source)
        source.end(now)
        return source.leave(trouble, now, pause)

    # What to do

    def is_silent(self, name: str, now: float, patience: float) -> bool:
        """Whether a source was asked and has sent nothing for so many seconds."""
        source = self._sources[name]
        return source.asked and now - source.heard > patience

    def is_over(self, name: str) -> bool:
        """Whether the order of a source is to be broken off: others have brought all that is left of it."""
        source = self._sources[name]
        return source.asked and not len(self._rest(source))

    def ask(self, name: str, now: float) -> Numbers | None:
        """The chunks to ask a source for, ascending; None when there is nothing for it at this moment."""
        source = self._sources[name]
        if source.asked or not source.usable(now):
            return None
        self._urgent = self._blocks.still(self._urgent)
        lacking = self._blocks.lacking()
        if (source.urgent or source.near) and len(chunks := self._urgently(source, now)):
            source.begin(chunks, now, precise=True)
            return chunks
        if source.urgent or self._is_enough(source):
            return None
        stretch = self._freely(source, lacking, now) or self._instead(source, lacking, now)
        if stretch is None:
            return None
        first, last = stretch
        chunks = self._without_precise(self._blocks.chunks(first, last))
        if not len(chunks):
            return None
        self._taker[first:last] = source.number
        source.begin(chunks, now)
        return chunks

    def _is_enough(self, source: Source) -> bool:
        """Whether a line has an order already: with siblings there, one at a time does for upstream's."""
        others = self._sources.values()
        return any(one.near for one in others) and any(
            one.asked and one.line == source.line and not one.urgent for one in others
        )

    def _urgently(self, source: Source, now: float) -> Numbers:
        """What a client waits for and nobody else was asked for in particular.

        Nothing, when the first of it is about to come in its turn: who reads on gets it as it comes.
        """
        chunks = self._without_precise(self._urgent)
        if not len(chunks) or self._is_next(int(chunks[0]), now):
            return chunks[:0]
        found: Numbers = chunks[source.has[self._blocks.blocks(chunks)]]
        return found

    def _is_next(self, chunk: int, now: float) -> bool:
        """Whether a source that sends is about to send a chunk."""
        for source in self._sources.values():
            rest = self._rest(source)
            place = int(np.searchsorted(rest, chunk))
            if place < len(rest) and rest[place] == chunk and now - source.heard < _SILENT:
                before = self._blocks.bytes_of(rest[:place])
                if before <= _SOON * source.speed(now, self._typical()):
                    return True
        return False

    def _without_precise(self, chunks: Numbers) -> Numbers:
        """Those of some chunks that nobody was asked for in particular."""
        for other in self._sources.values():
            if other.precise and len(other.order):
                chunks = chunks[~np.isin(chunks, other.order)]
        return chunks

    def _rest(self, source: Source) -> Numbers:
        """What is lacking of what a source was asked for, and is still to bring; ascending."""
        rest = self._blocks.still(source.order)
        if source.precise or not len(rest):
            return rest
        mine: Numbers = rest[self._taker[self._blocks.blocks(rest)] == source.number]
        return mine

    def _freely(self, source: Source, lacking: Flags, now: float) -> tuple[int, int] | None:
        """What nobody was asked for."""
        able = lacking & source.has & (self._taker < 0)
        if not source.near:
            able &= ~self._spared(source, lacking, now)
        if not able.any():
            return None
        others = [one for one in self._sources.values() if one.near]
        places = np.flatnonzero(able)
        if not others:
            first, per_order = int(places[0]), self._blocks.per_order
            able[first // per_order * per_order + per_order :] = False
            return self._extended(first, able, np.inf)
        if not len(self._urgent):
            rarity = np.sum([one.has[places] for one in others], axis=0)
            places = places[rarity == rarity.min()]
            places = np.concatenate([places[places >= self._start], places])
        return self._extended(int(places[0]), able, self._budget(source, now))

    def _instead(self, source: Source, lacking: Flags, now: float) -> tuple[int, int] | None:
        """The end of what another source was asked for and would take longer for."""
        best: tuple[float, int, int] | None = None
        if source.failures:
            return None
        speed = source.speed(now, self._typical())
        for other in self._sources.values():
            mine = np.flatnonzero((self._taker == other.number) & lacking)
            if other.line == source.line or not len(mine):
                continue
            size = float(self._blocks.left[mine].sum())
            needs = size / other.speed(now, self._typical())
            relieves = source.near and not other.near
            share = size if relieves else size * speed / (speed + size / needs)
            tail = self._tail(mine, source, share, spare_head=relieves and len(mine) > 1)
            if tail is None:
                continue
            takes = float(self._blocks.left[tail[0] : tail[1]].sum()) / speed
            gain = needs - takes
            if relieves and len(mine) > 1:
                gain = needs
            elif other.near and not source.near:
                gain = needs - _TIMES * takes - _SLACK
            if gain > _WORTH and (best is None or gain > best[0]):
                best = gain, *tail
        return None if best is None else best[1:]

    def _tail(
        self, mine: Numbers, source: Source, share: float, *, spare_head: bool
    ) -> tuple[int, int] | None:
        """The last blocks of an order that a source has, as many as it is to take over, at least one."""
        usable = source.has[mine]
        if spare_head:
            usable[0] = False
        end = len(mine)
        while end and not usable[end - 1]:
            end -= 1
        first, taken = end, 0.0
        while first and usable[first - 1] and (first == end or mine[first - 1] + 1 == mine[first]):
            block = float(self._blocks.left[mine[first - 1]])
            if taken and taken + block / 2 > share:
                break
            first, taken = first - 1, taken + block
        return None if first == end else (int(mine[first]), int(mine[end - 1]) + 1)

    def _spared(self, source: Source, lacking: Flags, now: float) -> Flags:
        """What the upstream is not asked for, because siblings have it, or will have it soon."""
        near = [one for one in self._sources.values() if one.near and one.usable(now) and not one.failures]
        none = np.zeros(self._blocks.count, np.bool_)
        if not near:
            return none
        there = np.any([one.has for one in near], axis=0)
        size = float(self._blocks.left[there & lacking].sum())
        able = [one for one in near if bool((one.has & lacking).any())]
        together = sum(one.speed(now, self._typical()) for one in able)
        own = size / source.speed(now, self._typical())
        if together and size / together > _TIMES * own + _SLACK:
            there = none
        soon = np.max([one.coming for one in near], axis=0)
        spared: Flags = there | (now - soon < _COMING)
        return spared

    def _extended(self, first: int, able: Flags, size: float) -> tuple[int, int]:
        """From a block on as long as the next are able, for about so many bytes."""
        last, taken = first, 0
        chunks = 0
        while last < len(able) and able[last] and (taken < size or last == first):
            chunks += len(self._blocks.chunks(last, last + 1))
            if chunks > MOST_CHUNKS and last > first:
                break
            taken += int(self._blocks.left[last])
            last += 1
        return first, last

    def _shorten(self, now: float) -> None:
        """There are siblings now: what upstream was asked for is theirs as well, but for its start."""
        for source in self._sources.values():
            mine = np.flatnonzero((self._taker == source.number) & self._blocks.lacking())
            beyond = np.cumsum(self._blocks.left[mine]) > self._budget(source, now)
            self._taker[mine[1:][beyond[1:]]] = -1

    def _budget(self, source: Source, now: float) -> float:
        """Bytes of an order: some seconds' worth, and not more than a part of what all could still share."""
        block = float(self._blocks.size.max())
        if source.failures:
            return block
        speed = source.speed(now, 0.0) or source.rate
        share = self.lacking / (2 * (1 + sum(one.near and not one.gone for one in self._sources.values())))
        if not speed:
            return min(_FIRST_ORDER * block, max(share, block))
        return max(min(speed * _ORDER, max(share, speed * _SHORTEST)), block)

    def _typical(self) -> float:
        rates: Sequence[float] = [one.rate for one in self._sources.values() if one.rate]
        return sum(rates) / len(rates) if rates else _GUESS

    def _free(self, source: Source) -> None:
        self._taker[self._taker == source.number] = -1
