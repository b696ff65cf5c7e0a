"""What a site holds of a stream, and the pages in which one site gives it to another."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from skerry.core.feed import digest
from skerry.core.feed.entry import Kind, Signed, Stream


class Trouble(StrEnum):
    """Why a follower takes nothing more of a stream, or believes it to be out of date."""

    FORGED = "forged"
    """Its home has not signed it, or not as what it is given out for."""
    OLDER = "older"
    """It is older than what was seen: its home was restored from a backup, or somebody plays it again."""
    MIXED = "mixed"
    """What came does not add up to what its home has signed: something is missing, or of another time."""
    WITHHELD = "withheld"
    """Its home has vouched for nothing for too long: somebody may keep newer records back."""


@dataclass(frozen=True, slots=True)
class Row:
    """One object of a stream as it is held. Without `signed` this site may not read it.

    `leaf` is what stands for it in the digest: nothing (b"") when it is a tombstone. `round` is the pass over
    the whole stream in which it was seen last. `signature` is that of its home, also for what is not read.
    """

    key: str
    epoch: int
    revision: int
    leaf: bytes
    round: int
    signature: bytes
    signed: Signed | None = None
    kind: Kind | None = None
    id: str | None = None
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a follower stands: what it says when it asks for more.

    At revision 0 it wants the stream from its beginning; `passing`, it is on its way from there to the end.
    `as_of` is the time of the last head that it has reached, in seconds since the epoch: who has a newer one
    gives it.
    """

    epoch: int = 0
    revision: int = 0
    passing: bool = False
    as_of: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a site has come with a stream.

    All of it up to `revision` was taken, and `digest` sums up what lives of it. `floor` is the highest
    revision that was ever vouched for in this epoch. `head` is the last that was reached, true `as_of`,
    proving something until `expires`. `horizon`: tombstones up to it are not kept. `trouble` and `reason` say
    why nothing is taken any more; a reason alone, why the stream is being read again.
    """

    stream: Stream
    epoch: int = 0
    revision: int = 0
    digest: int = digest.EMPTY
    round: int = 0
    floor: int = 0
    horizon: int = 0
    head: Signed | None = None
    as_of: datetime | None = None
    expires: datetime | None = None
    swept: int = 0
    """The last round that came to its end."""
    trouble: Trouble | None = None
    reason: str = ""

    @property
    def place(self) -> Place:
        """What to say when asking for more: what did not add up is read again from the beginning.

        In other trouble it has no head to speak of: one that it knows already, given again, ends it.
        """
        if self.trouble is Trouble.MIXED:
            return Place(self.epoch)
        as_of = 0 if self.as_of is None or self.trouble else int(self.as_of.timestamp())
        return Place(self.epoch, self.revision, passing=self.round != self.swept, as_of=as_of)

    @property
    def whole(self) -> bool:
        """Whether all that its home vouched for last is here, so that its head can be given on."""
        return self.swept == self.round and self.revision == self.floor

    def judged(self, now: datetime) -> Trouble | None:
        """What is wrong with it at this moment, if anything."""
        if self.trouble is None and self.expires is not None and self.expires < now:
            return Trouble.WITHHELD
        return self.trouble


@dataclass(frozen=True, slots=True)
class Veil:
    """An entry that the follower may not read: enough to sum up the stream, and signed by its home."""

    revision: int
    key: str
    leaf: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a stream, in the order of its revisions, as one site gives it to another.

    It answers somebody who stood at `place`. `restart`: it begins the stream anew. `urgent` entries are ahead
    of their turn, and come again in it. `more`: there is more at once. A site that has not got to the end
    itself gives no `head`.
    """

    stream: Stream
    epoch: int
    place: Place
    restart: bool = False
    urgent: Sequence[Signed] = ()
    items: Sequence[Signed | Veil] = ()
    head: Signed | None = None
    more: bool = False
