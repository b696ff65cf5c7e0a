"""The rules of sharing: one site, step by step."""

import numpy as np
import pytest

from skerry.core.swarm.source import Trouble
from skerry.core.swarm.swarm import MOST_CHUNKS, Swarm
from tests.unit.swarm.pool import CHUNK, sizes

BLOCK = 4
"""Chunks of a block in an image of 256 chunks."""


def made(chunks: int = 256, *, start: float = 0.0) -> Swarm:
    swarm = Swarm(sizes(chunks), np.arange(chunks))
    swarm.begin_at(start)
    swarm.offer("above", 0.0, near=False)
    return swarm


def some(chunks: int, *spans: tuple[int, int]) -> np.ndarray:
    flags = np.zeros(chunks, np.bool_)
    for first, last in spans:
        flags[first:last] = True
    return flags


def asked(swarm: Swarm, name: str, now: float = 0.0) -> list[int]:
    chunks = swarm.ask(name, now)
    assert chunks is not None
    return [int(chunk) for chunk in chunks]


def bring(swarm: Swarm, name: str, chunks: list[int], now: float) -> None:
    for chunk in chunks:
        assert swarm.came(name, chunk, now)


def test_the_upstream_alone_is_asked_in_order_on_two_lanes_for_the_same_as_by_all_others() -> None:
    swarm = made(1200)
    swarm.offer("above 2", 0.0, near=False, line="above")
    assert asked(swarm, "above") == list(range(512))
    assert asked(swarm, "above 2") == list(range(512, 1024))
    bring(swarm, "above", list(range(512)), 2.0)
    swarm.ended("above", 2.0)
    assert asked(swarm, "above", 2.0) == list(range(1024, 1200))
    bring(swarm, "above", list(range(1024, 1200)), 3.0)
    swarm.ended("above", 3.0)
    assert swarm.ask("above", 60.0) is None, "it is the same line"


def test_the_upstream_alone_brings_everything() -> None:
    swarm = made()
    assert asked(swarm, "above") == list(range(256))
    assert swarm.ask("above", 1.0) is None
    bring(swarm, "above", list(range(256)), 2.0)
    assert swarm.done
    assert swarm.total("above") == 256 * CHUNK


def test_an_order_has_no_more_chunks_than_an_order_can_have() -> None:
    count = MOST_CHUNKS + 1000
    swarm = Swarm(np.full(count, 40_000), np.arange(count))
    swarm.offer("above", 0.0, near=False)
    assert 0 < len(asked(swarm, "above")) <= MOST_CHUNKS


def test_only_what_is_missing_is_asked_for() -> None:
    swarm = Swarm(sizes(100), np.array([3, 4, 50, 99]))
    swarm.offer("above", 0.0, near=False)
    assert asked(swarm, "above") == [3, 4, 50, 99]
    assert not swarm.came("above", 7, 1.0)
    assert not swarm.came("above", 1000, 1.0)
    assert swarm.lacking == 4 * CHUNK


def test_nothing_missing_is_done() -> None:
    swarm = Swarm(sizes(10), np.zeros(0, np.int64))
    swarm.offer("above", 0.0, near=False)
    assert swarm.done
    assert swarm.ask("above", 0.0) is None


def test_what_a_sibling_has_is_taken_from_it_and_the_upstream_is_asked_for_the_rest() -> None:
    swarm = made()
    swarm.offer("near", 0.0, near=True, has=some(256, (0, 128)))
    assert max(asked(swarm, "near")) < 128
    assert min(asked(swarm, "above")) >= 128


def test_what_a_sibling_is_about_to_have_is_left_to_it_for_a_while() -> None:
    swarm = made()
    none = some(256)
    swarm.offer("near", 0.0, near=True, has=none, coming=some(256, (0, 256)))
    assert swarm.ask("above", 1.0) is None
    swarm.offer("near", 5.0, near=True, has=none, coming=some(256, (0, 256)))
    assert asked(swarm, "above", 9.0)[0] == 0


def test_a_sibling_that_promises_again_and_again_is_not_waited_for_for_ever() -> None:
    swarm = made()
    now = 0.0
    while swarm.ask("above", now) is None:
        for coming in (some(256, (0, 256)), some(256)):
            swarm.offer("near", now, near=True, has=some(256), coming=coming)
            now += 1.0
            swarm.offer("near", now, near=True, has=some(256), coming=some(256, (0, 256)))
        assert now < 60


def test_with_others_there_each_site_begins_at_its_own_place() -> None:
    swarm = made(start=0.5)
    swarm.offer("near", 0.0, near=True, has=some(256))
    assert asked(swarm, "above")[0] == 128


def test_what_few_siblings_have_is_taken_first() -> None:
    swarm = made()
    swarm.offer("one", 0.0, near=True, has=some(256, (0, 64)))
    swarm.offer("two", 0.0, near=True, has=some(256, (0, 32)))
    assert asked(swarm, "one")[0] == 32


def test_siblings_that_would_take_far_longer_are_not_waited_for() -> None:
    swarm = made()
    swarm.offer("near", 0.0, near=True, has=some(256, (0, 256)))
    chunks = asked(swarm, "near")
    assert swarm.ask("above", 1.0) is None
    bring(swarm, "near", chunks[:1], 4.0)  # 16 KiB/s
    assert asked(swarm, "above", 4.1)


def test_the_first_sibling_shortens_what_the_upstream_was_asked_for() -> None:
    swarm = made()
    assert len(asked(swarm, "above")) == 256
    bring(swarm, "above", list(range(32)), 2.0)
    swarm.offer("near", 2.0, near=True, has=some(256))
    assert swarm.asked_chunks().tolist() == list(range(32, 88)), "a quarter of what is left"
    bring(swarm, "above", list(range(32, 87)), 3.0)
    assert not swarm.is_over("above")
    bring(swarm, "above", [87], 3.0)
    assert swarm.is_over("above")
    swarm.left("above", 3.0)
    swarm.offer("near", 3.0, near=True, has=some(256, (88, 200)))
    assert asked(swarm, "above", 3.0)[0] == 200


def test_an_idle_sibling_takes_over_from_the_upstream_what_it_has_by_now() -> None:
    swarm = made()
    swarm.offer("near", 0.0, near=True, has=some(256))
    asked(swarm, "above")
    bring(swarm, "above", list(range(8)), 1.0)
    swarm.ended("above", 1.0)
    asking = asked(swarm, "above", 1.0)
    bring(swarm, "above", asking[:2], 2.0)
    swarm.offer("near", 2.0, near=True, has=some(256, (asking[8], 256)))
    assert asked(swarm, "near", 2.0)[0] > asking[-1]
    swarm.left("near", 2.0)
    swarm.offer("near", 2.0, near=True, has=some(256, (asking[8], asking[-1] + 1)))
    assert asked(swarm, "near", 2.0) == asking[8:]


def test_the_last_blocks_do_not_wait_for_a_slow_source() -> None:
    swarm = made(8)
    swarm.offer("slow", 0.0, near=True)
    swarm.offer("fast", 0.0, near=True, has=some(8))
    first = asked(swarm, "slow")
    bring(swarm, "slow", first[:1], 10.0)
    swarm.offer("fast", 10.0, near=True)
    taken = asked(swarm, "fast", 10.0)
    assert taken == [4, 5, 6, 7], "what nobody was asked for"
    bring(swarm, "fast", taken, 10.1)
    swarm.ended("fast", 10.1)
    assert asked(swarm, "fast", 10.1) == first[1:]


def test_two_that_are_equally_fast_do_not_take_from_each_other_at_the_end() -> None:
    swarm = made(8)
    for name in ("one", "two"):
        swarm.offer(name, 0.0, near=True)
    first = asked(swarm, "one")
    bring(swarm, "one", first[:-1], 0.9)
    swarm.ask("two", 0.9)
    assert swarm.ask("two", 1.0) is None


def test_a_source_that_sends_nothing_is_noticed_and_left_and_another_brings_it() -> None:
    swarm = made()
    swarm.offer("near", 0.0, near=True)
    chunks = asked(swarm, "near")
    assert not swarm.is_silent("near", 4.9, 5.0)
    swarm.moved("near", 4.9)
    assert not swarm.is_silent("near", 9.0, 5.0)
    assert swarm.is_silent("near", 10.0, 5.0)
    swarm.failed("near", Trouble.SLOW, 10.0)
    assert swarm.ask("near", 11.0) is None
    assert swarm.trouble("near") is Trouble.SLOW
    assert chunks[0] in asked(swarm, "above", 11.0)


def test_a_source_that_lies_is_left_for_long_and_longer_the_next_time() -> None:
    swarm = made()
    swarm.offer("near", 0.0, near=True)
    asked(swarm, "near")
    assert swarm.failed("near", Trouble.LYING, 1.0) == pytest.approx(600)
    assert swarm.ask("near", 500.0) is None
    asked(swarm, "near", 602.0)


def test_a_source_that_is_busy_is_asked_again_when_it_said() -> None:
    swarm = made()
    swarm.offer("near", 0.0, near=True)
    asked(swarm, "near")
    assert swarm.failed("near", Trouble.BUSY, 1.0, 3.0) == 3.0
    assert swarm.ask("near", 3.9) is None
    asked(swarm, "near", 4.1)
    assert swarm.failed("near", Trouble.BUSY, 5.0, 3.0) == 6.0, "the second time in a row"


def test_what_a_source_brings_makes_good_for_its_failures() -> None:
    swarm = made()
    swarm.offer("near", 0.0, near=True)
    asked(swarm, "near")
    swarm.failed("near", Trouble.AWAY, 0.0)
    chunks = asked(swarm, "near", 10.0)
    bring(swarm, "near", chunks[:1], 11.0)
    assert swarm.trouble("near") is None
    assert swarm.failed("near", Trouble.AWAY, 12.0) == 5.0


def test_a_sibling_that_does_not_send_what_it_said_it_has_is_believed_no_more() -> None:
    swarm = made()
    swarm.offer("near", 0.0, near=True, has=some(256, (0, 16)))
    asked(swarm, "near")
    swarm.ended("near", 1.0)
    assert swarm.trouble("near") is Trouble.USELESS
    swarm.offer("near", 2.0, near=True)
    assert asked(swarm, "above", 2.0)[0] == 0


def test_a_part_of_what_was_asked_for_is_taken_and_the_rest_asked_elsewhere() -> None:
    swarm = made()
    swarm.offer("near", 0.0, near=True, has=some(256, (0, 256)))
    chunks = asked(swarm, "near")
    bring(swarm, "near", chunks[:-1], 1.0)
    swarm.ended("near", 1.0)
    assert swarm.trouble("near") is None
    assert chunks[-1] not in asked(swarm, "near", 1.0)
    assert swarm.ask("above", 1.0) is not None


def test_what_a_sibling_that_went_away_was_asked_for_is_free() -> None:
    swarm = made()
    swarm.offer("near", 0.0, near=True)
    asked(swarm, "near")
    swarm.withdraw("near")
    assert asked(swarm, "above")[0] == 0
    swarm.offer("near", 1.0, near=True)
    assert swarm.ask("near", 1.0) is not None


def test_whether_siblings_have_anything_that_is_lacking() -> None:
    swarm = made(8)
    assert swarm.nobody_near(0.0)
    swarm.offer("near", 0.0, near=True, has=some(8, (0, 4)))
    assert not swarm.nobody_near(0.0)
    bring(swarm, "near", asked(swarm, "near"), 1.0)
    assert swarm.nobody_near(1.0)
    swarm.offer("near", 2.0, near=True, has=some(8, (0, 8)))
    swarm.ended("near", 2.0)
    asked(swarm, "near", 2.0)
    swarm.failed("near", Trouble.LYING, 2.0)
    assert swarm.nobody_near(3.0)


def test_what_a_client_waits_for_goes_first_and_nothing_else_with_it() -> None:
    swarm = made(start=0.5)
    swarm.offer("first", 0.0, near=False, line="above", urgent=True)
    swarm.offer("near", 0.0, near=True, has=some(256, (100, 200)))
    swarm.hurry(np.array([21, 22, 23, 150, 151]))
    assert asked(swarm, "near") == [150, 151]
    assert asked(swarm, "first") == [21, 22, 23]
    bring(swarm, "first", [21, 22, 23], 1.0)
    assert swarm.is_over("first")
    swarm.ended("first", 1.0)
    assert swarm.ask("first", 1.0) is None


def test_what_is_urgent_is_asked_for_at_once_while_all_else_is_under_way() -> None:
    swarm = made()
    swarm.offer("first", 0.0, near=False, line="above", urgent=True)
    assert len(asked(swarm, "above")) == 256
    assert swarm.ask("first", 1.0) is None
    swarm.hurry(np.array([200, 201]))
    assert asked(swarm, "first", 1.0) == [200, 201]
    swarm.hurry(np.array([201, 202]))
    swarm.left("first", 2.0)
    assert asked(swarm, "first", 2.0) == [201, 202]


def test_with_siblings_there_one_order_at_a_time_does_for_the_line_of_the_upstream() -> None:
    swarm = made(2048)
    swarm.offer("above 2", 0.0, near=False, line="above")
    swarm.offer("near", 0.0, near=True, has=some(2048))
    chunks = asked(swarm, "above")
    assert swarm.ask("above 2", 0.0) is None
    bring(swarm, "above", chunks, 1.0)
    swarm.ended("above", 1.0)
    assert swarm.ask("above 2", 1.0) is not None


def test_what_is_about_to_come_in_its_turn_is_not_asked_for_twice() -> None:
    swarm = made()
    swarm.offer("first", 0.0, near=False, line="above", urgent=True)
    asked(swarm, "above")
    bring(swarm, "above", list(range(32)), 1.0)
    swarm.hurry(np.arange(33, 96))
    assert swarm.ask("first", 1.1) is None
    swarm.hurry(np.arange(128, 192))
    assert asked(swarm, "first", 1.1) == list(range(128, 192))


def test_what_is_about_to_come_from_a_source_that_has_fallen_silent_is_asked_for() -> None:
    swarm = made()
    swarm.offer("first", 0.0, near=False, line="above", urgent=True)
    asked(swarm, "above")
    swarm.hurry(np.arange(4))
    assert swarm.ask("first", 1.9) is None
    assert asked(swarm, "first", 2.1) == [0, 1, 2, 3]


def test_what_was_asked_for_in_particular_is_in_no_other_order() -> None:
    swarm = made()
    swarm.offer("first", 0.0, near=False, line="above", urgent=True)
    swarm.hurry(np.arange(2, 6))
    assert asked(swarm, "first") == [2, 3, 4, 5]
    assert asked(swarm, "above") == [0, 1, *range(6, 256)]
    bring(swarm, "above", [0, 1, *range(6, 256)], 5.0)
    assert swarm.is_over("above")
    swarm.ended("above", 5.0)
    assert swarm.trouble("above") is None
    swarm.failed("first", Trouble.AWAY, 6.0)
    assert asked(swarm, "above", 6.0) == [2, 3, 4, 5]


def test_what_a_client_no_longer_waits_for_is_not_urgent() -> None:
    swarm = made()
    swarm.offer("first", 0.0, near=False, line="above", urgent=True)
    swarm.hurry(np.array([200]))
    swarm.hurry(np.zeros(0, np.int64))
    assert swarm.ask("first", 1.0) is None


def test_a_source_that_does_not_have_what_is_urgent_is_not_asked_for_it() -> None:
    swarm = made()
    swarm.offer("near", 0.0, near=True, has=some(256, (0, 64)))
    swarm.hurry(np.array([100, 101]))
    assert max(asked(swarm, "near")) < 64


def test_what_sources_were_asked_for_can_be_told_to_others() -> None:
    swarm = made()
    chunks = asked(swarm, "above")
    swarm.came("above", chunks[0], 1.0)
    assert swarm.asked_chunks().tolist() == chunks[1:]
    swarm.left("above", 2.0)
    assert swarm.asked_chunks().tolist() == []
