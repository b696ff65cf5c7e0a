"""What a follower takes of a stream, and what it refuses."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from skerry.core.errors import FeedRefused
from skerry.core.feed import digest
from skerry.core.feed.entry import Entry, Head, Kind, Signed, leaf_of, seal, vouched
from skerry.core.feed.journal import Page, Row, Standing, Trouble, Veil
from skerry.core.signing import PublicKey

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one object: it is forgotten when `entry` is None, being gone or not ours to read."""

    kind: Kind
    id: str
    entry: Entry | None


@dataclass(frozen=True, slots=True)
class Taken:
    """What a page comes to: to be kept in one transaction.

    `sweep`: what was not seen in this round is no more, if `check_sweep` agrees. `known` is the highest
    revision of the page's epoch that had been vouched for before.
    """

    standing: Standing
    rows: tuple[Row, ...]
    changes: tuple[Change, ...]
    sweep: bool
    known: int = 0


def take(standing: Standing, page: Page, held: Mapping[str, Row], keys: tuple[PublicKey, ...]) -> Taken:
    """Check a page and say what to keep of it.

    `held` are the rows of the objects that the page is about, `keys` those of the stream's home. What is
    taken was signed by its home, is newer than what was held, and, at the end of the stream, is all that
    lives in it. A page for another place than this is a repetition, or was overtaken: it changes nothing.
    Raises FeedRefused.
    """
    if page.place != standing.place:
        return Taken(standing, (), (), sweep=False)
    head = _head(standing, page, keys)
    if page.restart:
        standing = _anew(standing, page.epoch)
    elif page.epoch != standing.epoch:
        raise _no(Trouble.OLDER, f"A page of epoch {page.epoch} follows one of {standing.epoch}.")
    desk = _Desk(standing, dict(held), keys)
    for signed in page.urgent:
        desk.take_ahead(signed)
    for item in page.items:
        desk.take(item)
    standing = replace(standing, revision=desk.revision, digest=desk.digest)
    if head is None or page.more:
        return Taken(standing, desk.rows, desk.changes, sweep=False)
    if desk.revision > head.revision:
        raise _no(Trouble.MIXED, f"Revision {desk.revision} is after the last one, {head.revision}.")
    if desk.digest != head.digest:
        raise _no(Trouble.MIXED, f"The records do not add up to those of revision {head.revision}.")
    sweep = standing.swept != standing.round
    reached = replace(
        standing,
        revision=head.revision,
        floor=head.revision,
        horizon=head.revision if sweep else standing.horizon,
        head=page.head,
        as_of=head.at,
        expires=head.expires,
        swept=standing.round,
        trouble=None,
        reason="",
    )
    return Taken(reached, desk.rows, desk.changes, sweep=sweep, known=standing.floor)


def check_sweep(taken: Taken, newest: int | None) -> None:
    """Raise FeedRefused when the follower would forget what its home cannot have deleted.

    `newest` is the highest revision, of this epoch, among what lives and was not seen in this round. It was
    deleted after that, and after what was vouched for before, when all that was held lived. Behind the
    horizon of the head the home would still have the tombstone.
    """
    head = taken.standing.head
    assert head is not None
    if newest is not None and max(newest, taken.known) >= head.head().horizon:
        raise _no(
            Trouble.OLDER,
            f"Its home does not know revision {newest} any more, and has not deleted it.",
            hint="Its home was restored from a backup and has gone on from there.",
        )


def refused(standing: Standing, why: FeedRefused) -> Standing:
    """The standing of a follower that has refused a page: it has learned nothing but that."""
    return replace(standing, trouble=Trouble(why.trouble), reason=why.message)


def _head(standing: Standing, page: Page, keys: tuple[PublicKey, ...]) -> Head | None:
    """The head of a page, unless it is older than what was vouched for before."""
    if page.head is None:
        return None
    if not vouched(page.head.text.encode(), page.head.signature, keys):
        raise _no(Trouble.FORGED, f"Its home has not signed {page.head.text!r:.100}.")
    head = _read(page.head, page.head.head)
    if head.stream != standing.stream or head.epoch != page.epoch:
        raise _no(Trouble.FORGED, f"The head of {head.stream} came as that of {standing.stream}.")
    if (head.epoch, head.revision) < (standing.epoch, standing.floor):
        raise _no(
            Trouble.OLDER,
            f"{head.stream} stands at revision {head.revision}, and it was at {standing.floor} before.",
            hint="Its home was restored from a backup, or somebody plays old records again.",
        )
    return head


def _anew(standing: Standing, epoch: int) -> Standing:
    """The stream from its beginning, in a new round."""
    if epoch < standing.epoch:
        raise _no(Trouble.OLDER, f"Epoch {epoch} is over, {standing.epoch} has begun.")
    floor = standing.floor if epoch == standing.epoch else 0
    return replace(
        standing,
        epoch=epoch,
        revision=0,
        digest=digest.EMPTY,
        round=standing.round + 1,
        floor=floor,
        trouble=None,  # or it would be begun anew with each page; the reason says why it is read again
    )


def _read(signed: Signed, read: Callable[[], T]) -> T:
    """What a signed text says."""
    try:
        return read()
    except ValueError as error:
        raise _no(Trouble.FORGED, f"{signed.text!r:.100} is nonsense: {error}.") from None


def _no(trouble: Trouble, message: str, hint: str = "") -> FeedRefused:
    return FeedRefused(message, trouble=trouble, hint=hint)


class _Desk:
    """Takes the entries of one page, one after the other."""

    def __init__(self, standing: Standing, held: dict[str, Row], keys: tuple[PublicKey, ...]) -> None:
        self.revision = standing.revision
        self.digest = standing.digest
        self._standing = standing
        self._held = held
        self._keys = keys
        self._rows: dict[str, Row] = {}
        self._changes: dict[str, Change] = {}

    @property
    def rows(self) -> tuple[Row, ...]:
        """What is to be kept."""
        return tuple(self._rows.values())

    @property
    def changes(self) -> tuple[Change, ...]:
        """What that means for the objects themselves."""
        return tuple(self._changes.values())

    def take_ahead(self, signed: Signed) -> None:
        """An entry ahead of its turn."""
        self._keep(self._row(signed))

    def take(self, item: Signed | Veil) -> None:
        """The next entry in turn."""
        row = self._row(item)
        self._keep(row)
        self.revision = row.revision

    def _row(self, item: Signed | Veil) -> Row:
        stand = self._standing
        if isinstance(item, Veil):
            row = Row(item.key, stand.epoch, item.revision, item.leaf, stand.round, item.signature)
        else:
            entry = _read(item, item.entry)
            if entry.stream != stand.stream or entry.epoch != stand.epoch:
                raise _no(Trouble.FORGED, f"An entry of {entry.stream} came as {stand.stream}'s.")
            row = row_of(entry, item, stand.round)
        if not vouched(
            seal(stand.stream, row.epoch, row.revision, row.key, row.leaf), row.signature, self._keys
        ):
            raise _no(Trouble.FORGED, f"Its home has not signed revision {row.revision}.")
        if row.revision <= self.revision:
            raise _no(Trouble.OLDER, f"Revision {row.revision} came after {self.revision}.")
        return row

    def _keep(self, row: Row) -> None:
        old = self._held.get(row.key)
        if old is None and row.leaf and row.revision <= self._standing.floor:
            # At the floor all that lived was here, so this did not live then: it was deleted before.
            raise _no(Trouble.OLDER, f"Revision {row.revision} is of an object that was no more.")
        if old is not None and old.epoch == row.epoch:
            if row.revision < old.revision:
                raise _no(Trouble.OLDER, f"Revision {row.revision} of an object came after {old.revision}.")
            if row.revision == old.revision and row.leaf != old.leaf:
                raise _no(Trouble.MIXED, f"There are two different revisions {row.revision}.")
        if old is not None and old.round == row.round:
            self.digest = digest.remove(self.digest, old.leaf)
        self.digest = digest.add(self.digest, row.leaf)
        self._held[row.key] = self._rows[row.key] = row
        if row.kind is not None and row.id is not None and row.signed is not None:
            if old is None or old.signed != row.signed:
                entry = row.signed.entry()
                self._changes[row.key] = Change(row.kind, row.id, entry if entry.body is not None else None)
        elif old is not None and old.kind is not None and old.id is not None:
            self._changes[row.key] = Change(old.kind, old.id, None)


def row_of(entry: Entry, signed: Signed, round_: int) -> Row:
    """How an entry is held."""
    return Row(
        entry.key,
        entry.epoch,
        entry.revision,
        leaf_of(entry, signed.text),
        round_,
        signed.signature,
        signed,
        entry.kind,
        entry.id,
        entry.urgent,
    )
