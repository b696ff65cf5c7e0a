"""What a relay that is not honest makes of what it passes on: the attacks of The Update Framework.

It has the place of a site, and so it is let in, but it has the keys of nobody else. One thing it does not do
here, because nobody could tell: say of an entry that the follower may not read it, though it may.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from skerry.core.feed.entry import Channel, Entry, Kind, Signed, sign_entry
from skerry.core.feed.journal import Page, Veil
from tests.sim.disk import File
from tests.sim.journal import Given
from tests.sim.keys import SimKey

if TYPE_CHECKING:
    from tests.sim.site import Site


class Relay(Protocol):
    """What becomes of what a site gives to another."""

    def pass_on(self, site: "Site", pages: Sequence[Given]) -> Sequence[Given]:
        """Pages of the feed, up or down."""
        ...

    def pass_bytes(self, site: "Site", part: File) -> File:
        """Bytes of an image."""
        ...


class Honest:
    """Passes on what it has."""

    def pass_on(self, site: "Site", pages: Sequence[Given]) -> Sequence[Given]:
        """As they are."""
        return pages

    def pass_bytes(self, site: "Site", part: File) -> File:
        """As they are."""
        return part


class Dishonest:
    """Does one of the things below to most of what it passes on; its own streams are its own to write."""

    def __init__(self) -> None:
        self._old: list[Page] = []

    def pass_on(self, site: "Site", pages: Sequence[Given]) -> Sequence[Given]:
        """Tamper with pages of other homes."""
        told: list[Given] = []
        for given in pages:
            page = given.page
            if page.stream.home != site.name and site.world.chance(0.7):
                what = site.world.rng.choice(_TRICKS)
                changed = what(self, site, page)
                if changed != page:
                    site.world.fault(f"relay: {what.__name__.strip('_')}", site.name)
                told += [Given(changed)] if changed is not None else []
            else:
                told.append(Given(page))
            self._old.append(replace(page, items=[item for item in page.items if isinstance(item, Signed)]))
        return told

    def pass_bytes(self, site: "Site", part: File) -> File:
        """Some are others."""
        if site.world.chance(0.3):
            site.world.fault("relay: changes bytes", site.name)
            return replace(part, right=False)
        return part

    def drops(self, site: "Site", page: Page) -> Page:
        """Leaves an entry out."""
        if not page.items:
            return page
        left = list(page.items)
        del left[site.world.rng.randrange(len(left))]
        return replace(page, items=left)

    def withholds(self, site: "Site", page: Page) -> Page | None:
        """Says nothing."""
        return None

    def replays(self, site: "Site", page: Page) -> Page:
        """Gives an old page for what was asked for."""
        old = [other for other in self._old if other.stream == page.stream]
        return replace(site.world.rng.choice(old), place=page.place) if old else page

    def replays_without_end(self, site: "Site", page: Page) -> Page:
        """As above, and promises that more will come, so that nothing is ever summed up."""
        return replace(self.replays(site, page), head=None, more=True)

    def mixes(self, site: "Site", page: Page) -> Page:
        """Gives entries of old pages with the head of this one."""
        old = [other for other in self._old if other.stream == page.stream and other.items]
        if not old:
            return page
        return replace(page, items=[*site.world.rng.choice(old).items, *page.items])

    def swaps_streams(self, site: "Site", page: Page) -> Page:
        """Gives entries of one home for those of another."""
        other = [old for old in self._old if old.stream != page.stream and old.items]
        return replace(page, items=site.world.rng.choice(other).items) if other else page

    def forges(self, site: "Site", page: Page) -> Page:
        """Writes entries itself, some of them urgent, and signs them with what it has."""
        rng = site.world.rng
        key = site.key if rng.random() < 0.5 else SimKey("thief")
        known = sorted(site.disk.database.records)
        image_id = rng.choice(known) if known else "forged"
        kind = Kind.IMAGE if page.stream.channel is Channel.RECORDS else Kind.COPY
        after = page.place.revision + rng.randint(1, 3)
        entry = Entry(page.stream, page.epoch, after, kind, image_id, None, site.clock.now(), urgent=True)
        forged = sign_entry(entry, key)
        if rng.random() < 0.5:
            return replace(page, urgent=[forged])
        return replace(page, items=[forged])

    def forges_veils(self, site: "Site", page: Page) -> Page:
        """Hides entries behind veils of its own making, with numbers that will not come for long."""
        held = sorted(site.journal.rows(page.stream).values(), key=lambda row: row.revision)
        if not held:
            return page
        row = site.world.rng.choice(held)
        revision = page.place.revision + site.world.rng.choice((1, 1000))
        revision += revision == row.revision
        return replace(page, items=[Veil(revision, row.key, row.leaf, row.signature)])

    def changes_a_letter(self, site: "Site", page: Page) -> Page:
        """Leaves the signature as it is."""
        items: list[Signed | Veil] = list(page.items)
        for number, item in enumerate(items):
            if isinstance(item, Signed):
                items[number] = replace(item, text=item.text.replace('"urgent":', '"urgent": ', 1))
                return replace(page, items=items)
        return page


_TRICKS: Sequence[Callable[[Dishonest, "Site", Page], Page | None]] = (
    Dishonest.drops,
    Dishonest.withholds,
    Dishonest.replays,
    Dishonest.replays_without_end,
    Dishonest.mixes,
    Dishonest.swaps_streams,
    Dishonest.forges,
    Dishonest.forges_veils,
    Dishonest.changes_a_letter,
)
