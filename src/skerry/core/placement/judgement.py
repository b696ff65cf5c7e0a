"""From what is known to what is said: the rules of the three axes."""

from dataclasses import dataclass

from skerry.core.placement.actions import Fetch
from skerry.core.placement.arrivals import is_broken
from skerry.core.placement.desire import Desire
from skerry.core.placement.knowledge import (
    Axis,
    Contact,
    Health,
    Heard,
    Knowledge,
    Report,
    Sync,
)
from skerry.core.placement.observed import Held, Observed
from skerry.core.placement.plan import Blocked, Obstacle
from skerry.core.placement.planner import Wanted
from skerry.core.placement.rule import Mode


def judge(
    image_id: str, site: str, wanted: Wanted | None, report: Report | None, heard: Heard, now: float
) -> Knowledge:
    """What can be said of an image at a site.

    `wanted` is what ought to be, None when the image is deleted or has no data; `report` is None when the
    site has never said anything of the image.
    """
    contact = _contact(heard, now)
    evidence = _Evidence(wanted, report or Report(now))
    as_of = None if report is None or heard.last is None else min(report.as_of, heard.last)
    sync, health = evidence.sync(), evidence.health()
    said = (
        ""
        if contact.value is Contact.LIVE
        else "by its last word, "
        if as_of is not None
        else "it never said: "
    )
    return Knowledge(
        image_id,
        site,
        Axis(sync.value, said + sync.reason, sync.since, as_of, sync.next_attempt),
        Axis(health.value, said + health.reason, health.since, as_of, health.next_attempt),
        contact,
    )


def _contact(heard: Heard, now: float) -> Axis[Contact]:
    if heard.last is None:
        return Axis(Contact.SILENT, "it has never been heard of", as_of=now)
    if now - heard.last > heard.silent_after:
        return Axis(Contact.SILENT, "it has not been heard of", heard.last, now)
    return Axis(Contact.LIVE, "it is heard of", heard.since, now)


@dataclass(frozen=True, slots=True)
class _Evidence:
    wanted: Wanted | None
    report: Report

    @property
    def desire(self) -> Desire | None:
        return self.wanted.desire if self.wanted else None

    @property
    def held(self) -> Observed | None:
        """The copy, if there are any bytes of it or there is a wish for some."""
        return self.report.copy

    @property
    def next_fetch(self) -> Fetch | None:
        """The fetch that the site is going to do, if there is one."""
        return self.report.step if isinstance(self.report.step, Fetch) else None

    @property
    def obstacle(self) -> Blocked | None:
        return self.report.step if isinstance(self.report.step, Blocked) else None

    @property
    def is_damaged(self) -> bool:
        """Whether there is a copy that is not what it should be."""
        size = self.wanted.size if self.wanted else 0
        return self.held is not None and is_broken(self.held, size)

    def sync(self) -> Axis[Sync]:
        """Whether the bytes are there, as far as the report goes."""
        transfer, copy = self.report.transfer, self.held
        if transfer is not None:
            if transfer.verifying:
                return Axis(Sync.VERIFYING, f"all {transfer.size} bytes are there", transfer.since)
            return Axis(
                Sync.TRANSFERRING, f"{transfer.done} of {transfer.size} bytes are there", transfer.since
            )
        if copy is not None and copy.state is Held.COMPLETE:
            return self._whole(copy)
        return self._not_whole(copy)

    def _whole(self, copy: Observed) -> Axis[Sync]:
        desire = self.desire
        if desire is None:
            return Axis(Sync.UNNEEDED, "its image is deleted", copy.since)
        if desire.mode is Mode.NEVER and copy.cached:
            return Axis(Sync.UNNEEDED, f"{desire.rule} says never, and it goes", copy.since)
        if self.is_damaged:
            attempt = self.next_fetch.not_before if self.next_fetch else None
            return Axis(Sync.STALE, "its size is not that of the record", copy.since, next_attempt=attempt)
        if copy.drop_at is not None and not desire.is_mirror:
            reason = f"{copy.mirrored_by} mirrors it no longer, and keeps it for a time"
            return Axis(Sync.UNNEEDED, reason, copy.unwanted_since, next_attempt=copy.drop_at)
        return Axis(Sync.VERIFIED, "it is whole, and was checked when it came", copy.since)

    def _not_whole(self, copy: Observed | None) -> Axis[Sync]:
        desire, since = self.desire, copy.since if copy else None
        if desire is None or desire.mode is Mode.NEVER:
            reason = f"{desire.rule} says never" if desire else "its image is deleted, or has no data"
            return Axis(Sync.UNNEEDED, reason, since)
        if self.obstacle is not None:
            return Axis(Sync.MISSING, self.obstacle.reason, since)
        if self.next_fetch is not None:
            return Axis(Sync.QUEUED, self.next_fetch.reason, since, next_attempt=self.next_fetch.not_before)
        if copy is not None and copy.state in (Held.QUEUED, Held.PARTIAL):
            reason = f"{copy.here} of {copy.size} bytes are there" if copy.here else "it has been asked for"
            return Axis(Sync.QUEUED, reason, since, next_attempt=copy.retry_at)
        if not desire.is_mirror and copy is None:
            return Axis(Sync.UNNEEDED, "it comes when it is asked for")
        if desire.withdrawn:
            return Axis(Sync.MISSING, "it is deactivated, and so not fetched", since)
        return Axis(Sync.MISSING, "the site has not planned for it yet", since)

    def health(self) -> Axis[Health]:
        """Whether something is wrong, as far as the report goes."""
        copy, fetch = self.held, self.next_fetch
        if self.obstacle is not None and self.obstacle.obstacle is not Obstacle.DRAINING:
            return Axis(Health.FAILED, f"{self.obstacle.reason}. {self.obstacle.remedy}")
        if self.is_damaged and copy is not None and self.wanted is not None:
            if fetch is None and self.report.transfer is None:
                return Axis(Health.FAILED, "its bytes are bad, and nothing brings it anew", copy.since)
            reason = "its bytes are bad, and it is brought anew"
            return Axis(Health.HEALING, reason, copy.since, next_attempt=fetch.not_before if fetch else None)
        if copy is not None and copy.error and copy.state is not Held.COMPLETE:
            return Axis(Health.HEALING, copy.error, copy.since, next_attempt=copy.retry_at)
        return Axis(Health.OK, "nothing is wrong with it", copy.since if copy else None)
