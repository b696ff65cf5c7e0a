"""What can be said of an image at a site, and how sure it is."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.core.placement.actions import Fetch, Repair
from skerry.core.placement.desire import Desire
from skerry.core.placement.judgement import judge
from skerry.core.placement.knowledge import Contact, Health, Heard, Knowledge, Report, Sync, Transfer
from skerry.core.placement.observed import Held, Observed
from skerry.core.placement.obstacles import at_home, draining, no_room
from skerry.core.placement.planner import Wanted
from skerry.core.placement.preflight import preflight
from skerry.core.placement.rule import Mode
from tests.unit.placement.stage import DAY, NOW, identity

IMAGE = identity(1)
LIVE = Heard(last=NOW - 5, silent_after=60, since=NOW - 3600)
SILENT = Heard(last=NOW - 3600, silent_after=60)
MIRROR = Desire(Mode.MIRROR, rule="far")
COMPLETE = Observed(IMAGE, Held.COMPLETE, 10, since=NOW - 50)
FETCH = Fetch(IMAGE, "far mirrors it", "far", not_before=NOW + 60)


def known(desire: Desire | None, report: Report | None, heard: Heard = LIVE) -> Knowledge:
    wanted = Wanted(10, NOW, desire) if desire else None
    return judge(IMAGE, "lyon", wanted, report, heard, NOW)


def said(copy: Observed | None = None, **more: object) -> Report:
    return replace(Report(NOW - 10, copy), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("desire", "report", "sync", "reason"),
    [
        (MIRROR, said(COMPLETE), Sync.VERIFIED, "was checked when it came"),
        (Desire(), said(COMPLETE), Sync.VERIFIED, "was checked"),
        (MIRROR, said(replace(COMPLETE, size=9)), Sync.STALE, "size"),
        (MIRROR, said(step=FETCH), Sync.QUEUED, "far mirrors it"),
        (MIRROR, said(replace(COMPLETE, state=Held.PARTIAL, here=4)), Sync.QUEUED, "4 of 10 bytes"),
        (Desire(), said(replace(COMPLETE, state=Held.QUEUED)), Sync.QUEUED, "asked for"),
        (MIRROR, said(transfer=Transfer(4, 10, NOW)), Sync.TRANSFERRING, "4 of 10 bytes"),
        (MIRROR, said(transfer=Transfer(10, 10, NOW, verifying=True)), Sync.VERIFYING, "all 10 bytes"),
        (MIRROR, said(), Sync.MISSING, "not planned"),
        (MIRROR, None, Sync.MISSING, "not planned"),
        (MIRROR, said(step=no_room(IMAGE, 10)), Sync.MISSING, "no room"),
        (MIRROR, said(step=draining(IMAGE)), Sync.MISSING, "draining"),
        (replace(MIRROR, withdrawn=True), said(), Sync.MISSING, "deactivated"),
        (MIRROR, said(replace(COMPLETE, state=Held.BAD)), Sync.MISSING, "not planned"),
        (Desire(), said(), Sync.UNNEEDED, "comes when it is asked for"),
        (Desire(Mode.NEVER, rule="no"), said(), Sync.UNNEEDED, "no says never"),
        (Desire(Mode.NEVER, rule="no"), said(COMPLETE), Sync.UNNEEDED, "it goes"),
        (Desire(Mode.NEVER, rule="no"), said(replace(COMPLETE, cached=False)), Sync.VERIFIED, "whole"),
        (None, said(COMPLETE), Sync.UNNEEDED, "deleted"),
        (None, said(), Sync.UNNEEDED, "deleted"),
    ],
)  # fmt: skip
def test_whether_the_bytes_are_there(
    desire: Desire | None, report: Report | None, sync: Sync, reason: str
) -> None:
    axis = known(desire, report).sync
    assert axis.value is sync
    assert reason in axis.reason


def test_what_is_kept_for_a_time_is_unneeded_and_says_until_when() -> None:
    kept = replace(COMPLETE, mirrored_by="far", keep=DAY, unwanted_since=NOW - 100)
    axis = known(Desire(), said(kept)).sync
    assert (axis.value, axis.since, axis.next_attempt) == (Sync.UNNEEDED, NOW - 100, NOW - 100 + DAY)


def test_what_is_queued_says_when_it_is_tried_next() -> None:
    assert known(MIRROR, said(step=FETCH)).sync.next_attempt == NOW + 60


@pytest.mark.parametrize(
    ("report", "health", "reason"),
    [
        (said(COMPLETE), Health.OK, "nothing is wrong"),
        (None, Health.OK, "nothing is wrong"),
        (said(replace(COMPLETE, state=Held.BAD), step=Repair(IMAGE, "", "far")), Health.HEALING, "anew"),
        (said(replace(COMPLETE, state=Held.BAD)), Health.FAILED, "nothing brings it anew"),
        (said(replace(COMPLETE, state=Held.BAD), step=at_home(IMAGE)), Health.FAILED, "backup"),
        (said(replace(COMPLETE, state=Held.PARTIAL, error="404", retry_at=NOW + 9)), Health.HEALING, "404"),
        (said(step=no_room(IMAGE, 10)), Health.FAILED, "Raise [cache] size"),
        (said(step=draining(IMAGE)), Health.OK, "nothing is wrong"),
    ],
)
def test_whether_something_is_wrong_and_who_puts_it_right(
    report: Report | None, health: Health, reason: str
) -> None:
    axis = known(MIRROR, report).health
    assert axis.value is health
    assert reason in axis.reason


def test_a_site_is_silent_when_it_has_not_been_heard_of_for_too_long() -> None:
    assert known(MIRROR, said(COMPLETE)).contact.value is Contact.LIVE
    silent = known(MIRROR, said(COMPLETE), SILENT).contact
    assert (silent.value, silent.since, silent.as_of) == (Contact.SILENT, NOW - 3600, NOW)
    assert known(MIRROR, None, Heard(None, 60)).contact.reason == "it has never been heard of"


def test_what_a_silent_site_said_stays_and_is_said_to_be_its_last_word() -> None:
    axis = known(MIRROR, Report(NOW - 3700, COMPLETE), SILENT).sync
    assert (axis.value, axis.as_of) == (Sync.VERIFIED, NOW - 3700)
    assert axis.reason.startswith("by its last word, ")


def test_a_report_from_a_clock_that_runs_ahead_is_not_younger_than_the_contact() -> None:
    assert known(MIRROR, Report(NOW + 999, COMPLETE)).sync.as_of == NOW - 5


reports = st.none() | st.builds(
    Report,
    as_of=st.floats(NOW - 9999, NOW + 9999),
    copy=st.none()
    | st.builds(Observed, st.just(IMAGE), st.sampled_from(Held), size=st.sampled_from([9, 10])),
    transfer=st.none() | st.just(Transfer(4, 10, NOW)),
    step=st.sampled_from([None, FETCH, Repair(IMAGE, "", "far"), no_room(IMAGE, 1), draining(IMAGE)]),
)
desires = st.sampled_from([None, MIRROR, Desire(), Desire(Mode.NEVER), replace(MIRROR, withdrawn=True)])
heards = st.builds(Heard, st.none() | st.floats(NOW - 9999, NOW), st.just(60.0))


@given(desires, reports, heards)
def test_status_is_never_better_than_knowledge(
    desire: Desire | None, report: Report | None, heard: Heard
) -> None:
    found = known(desire, report, heard)
    for axis in (found.sync, found.health):
        assert axis.reason
        if report is None or heard.last is None:
            assert axis.as_of is None
        else:
            assert axis.as_of is not None
            assert axis.as_of <= min(heard.last, report.as_of)
        if found.contact.value is Contact.SILENT:
            assert axis.reason.startswith(("by its last word", "it never said"))
    if found.sync.value is Sync.VERIFIED:
        assert report is not None
        assert report.copy is not None
        assert report.copy.state is Held.COMPLETE
    assert not (found.is_sure and found.contact.value is Contact.SILENT)


def test_a_site_is_safe_to_cut_off_when_all_that_is_mirrored_is_there_and_verified() -> None:
    flight = preflight("lyon", [known(MIRROR, said(COMPLETE)), known(MIRROR, Report(NOW - 30, COMPLETE))])
    assert flight.is_safe
    assert (flight.mirrored, flight.lacking, flight.as_of) == (2, (), NOW - 30)
    assert flight.reason == "all 2 images that ought to be there are there, and verified"


def test_what_would_be_missing_is_named() -> None:
    missing = known(MIRROR, said(step=FETCH))
    flight = preflight("lyon", [known(MIRROR, said(COMPLETE)), missing])
    assert not flight.is_safe
    assert flight.lacking == (missing,)
    assert flight.reason.startswith("1 of 2 images")


def test_a_silent_site_is_not_said_to_be_safe() -> None:
    flight = preflight("lyon", [known(MIRROR, said(COMPLETE), SILENT)])
    assert not flight.is_safe
    assert flight.reason == "all images were there by its last word, and the site is silent"


def test_a_site_of_which_nothing_is_wanted_is_safe() -> None:
    assert preflight("lyon", []).is_safe
