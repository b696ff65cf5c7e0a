"""What is remembered of tokens: for how long, over restarts, and by a clock that is set."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from skerry.config import PolicySection
from skerry.core.caller import Caller
from skerry.identity.kept import Kept
from skerry.identity.policy import Policy
from skerry.identity.remembered import Remembered
from tests.functional.sites import eventually
from tests.simulators.clock import ManualClock

Start = Callable[[], Remembered]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def start(tmp_path: Path, clock: ManualClock) -> Start:
    """Start the site, which believes a check for 300 s; closing it is the test's."""
    return lambda: Remembered(tmp_path, Policy(PolicySection()), clock, 300)


def ann(clock: ManualClock, lifetime: float = 3600) -> Caller:
    expires_at = clock.now().timestamp() + lifetime
    return Caller(user_id="ann", project_id="lab", roles=frozenset({"reader"}), expires_at=expires_at)


async def test_a_check_is_fresh_for_a_while_and_old_until_the_token_expires(
    start: Start, clock: ManualClock
) -> None:
    site = start()
    key = site.key("t")
    site.put(key, ann(clock))
    assert site.fresh(key) == site.old(key) == ann(clock)
    clock.forward(301)
    assert site.fresh(key) is None
    assert site.old(key) == ann(clock)
    clock.forward(3300)
    assert site.old(key) is None
    await site.close()


async def test_after_a_restart_a_token_is_known_and_not_fresh(start: Start, clock: ManualClock) -> None:
    site = start()
    key = site.key("t")
    site.put(key, ann(clock))
    await site.close()
    again = start()
    assert again.key("t") == key
    assert again.fresh(key) is None
    assert again.old(key) == ann(clock)
    await again.close()


async def test_neither_file_holds_the_token(start: Start, clock: ManualClock, tmp_path: Path) -> None:
    site = start()
    site.put(site.key("very-secret-token"), ann(clock))
    await site.close()
    files = [path.read_bytes() for path in tmp_path.iterdir()]
    assert len(files) == 2
    assert not any(b"very-secret" in content for content in files)


async def test_a_dropped_token_stays_dropped_though_the_site_crashes(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    site = start()
    for token in ("a", "b"):
        site.put(site.key(token), ann(clock))
    await site.close()
    site = start()
    await site.drop(site.key("a"))
    assert list(Kept(tmp_path).load().callers) == [site.key("b")]


async def test_dropping_a_token_that_nobody_knew_writes_nothing(start: Start, tmp_path: Path) -> None:
    site = start()
    await site.drop(site.key("guessed"))
    assert not (tmp_path / "tokens.json").exists()


async def test_expired_tokens_are_not_kept(start: Start, clock: ManualClock, tmp_path: Path) -> None:
    site = start()
    site.put(site.key("short"), ann(clock, 60))
    site.put(site.key("long"), ann(clock, 3600))
    clock.forward(61)
    await site.close()
    assert list(Kept(tmp_path).load().callers) == [site.key("long")]


async def test_at_most_ten_thousand_tokens_are_kept_and_the_oldest_go_first(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    site = start()
    for number in range(10_001):
        site.put(site.key(str(number)), ann(clock))
    await site.close()
    kept = Kept(tmp_path).load().callers
    assert len(kept) == 10_000
    assert site.key("0") not in kept
    assert site.key("10000") in kept


async def test_who_is_an_administrator_is_decided_anew_after_a_restart(
    start: Start, clock: ManualClock
) -> None:
    site = start()
    site.put(site.key("was"), replace(ann(clock), is_admin=True))
    site.put(site.key("is"), replace(ann(clock), roles=frozenset({"admin"})))
    await site.close()
    again = start()
    admins = {token: again.old(again.key(token)) for token in ("was", "is")}
    assert {token: caller and caller.is_admin for token, caller in admins.items()} == {
        "was": False,
        "is": True,
    }
    await again.close()


async def test_a_clock_that_is_set_back_gives_no_token_a_longer_life(
    start: Start, clock: ManualClock
) -> None:
    site = start()
    key = site.key("t")
    site.put(key, ann(clock))
    clock.set_by(-86400)
    clock.forward(3599)
    assert site.old(key) is not None
    clock.forward(2)
    assert site.old(key) is None
    await site.close()


async def test_a_site_that_starts_in_1970_gives_no_token_a_longer_life_however_often_it_starts(
    start: Start, clock: ManualClock
) -> None:
    site = start()
    key = site.key("t")
    site.put(key, ann(clock))
    await site.close()
    clock.set_by(-clock.now().timestamp())
    for _ in range(3):
        site = start()
        assert site.old(key) is not None
        clock.forward(1199)
        await site.close()
    site = start()
    clock.forward(4)
    assert site.old(key) is None
    await site.close()


async def test_a_clock_that_was_ahead_is_believed_again_once_keystone_knows_better(
    start: Start, clock: ManualClock
) -> None:
    clock.set_by(86400 * 365)
    site = start()
    clock.set_by(-86400 * 365)
    key = site.key("t")
    site.put(key, ann(clock))
    assert site.old(key) == ann(clock)
    await site.close()
    again = start()
    assert again.old(key) == ann(clock)
    await again.close()


async def test_a_check_is_written_down_soon_and_not_only_when_the_site_stops(
    start: Start, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skerry.identity.remembered._SETTLE", 0)
    site = start()
    key = site.key("t")
    site.put(key, ann(clock))
    await eventually(lambda: key in Kept(tmp_path).load().callers)
    await site.close()


async def test_what_a_full_disk_did_not_take_is_written_with_the_next_change(
    start: Start, clock: ManualClock, tmp_path: Path
) -> None:
    site = start()
    keys = [site.key(token) for token in ("a", "b", "c")]
    for key in keys[:2]:
        site.put(key, ann(clock))
    (tmp_path / "tokens.json").mkdir()
    await site.drop(keys[0])
    assert site.old(keys[0]) is None
    (tmp_path / "tokens.json").rmdir()
    site.put(keys[2], ann(clock))
    await site.close()
    assert list(Kept(tmp_path).load().callers) == keys[1:]
