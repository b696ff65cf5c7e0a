from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.chunking.cuts import Cutter, Emit, Rule
from skerry.chunking.rules import LEAST, MOST, Anywhere, Blocks, Streams
from tests.unit.chunking.disks import KIB, disk, noise, words

Rules = Callable[[Emit], Rule]

ENDS = np.cumsum(np.frombuffer(noise(600, "ends"), np.uint16).astype(np.int64))
RULES: dict[str, Rules] = {
    "blocks": Blocks,
    "anywhere": Anywhere,
    "streams": lambda emit: Streams(emit, ENDS),
}


def cut(
    rule: Rules, data: bytes, pieces: list[int] | None = None, *, start: int = 0
) -> list[tuple[int, bytes]]:
    """The chunks of data that is fed in pieces of these sizes, again and again."""
    chunks: list[tuple[int, bytes]] = []
    cutter = Cutter(rule(lambda offset, chunk: chunks.append((offset, bytes(chunk)))))
    at, turn = 0, 0
    while at < len(data):
        piece = data[at : at + (pieces or [len(data)])[turn % len(pieces or [0])]]
        cutter.feed(start + at, piece)
        at, turn = at + len(piece), turn + 1
    cutter.finish()
    return chunks


DISK = disk(
    noise(900 * KIB), 64 * KIB, words(500 * KIB), 4 * KIB, noise(8 * KIB, 2), words(700 * KIB + 123, 3)
)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_chunks_have_all_bytes_in_order_but_whole_blocks_of_zeros(rule: Rules) -> None:
    whole = bytearray(len(DISK))
    end = 0
    for offset, chunk in cut(rule, DISK):
        assert offset >= end
        assert 0 < len(chunk) <= MOST
        end = offset + len(chunk)
        whole[offset:end] = chunk
    assert whole == DISK
    assert sum(len(chunk) for _, chunk in cut(rule, DISK)) <= len(DISK) - 64 * KIB


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@settings(deadline=None, max_examples=20)
@given(pieces=st.lists(st.integers(1, 400_000), min_size=1, max_size=8))
def test_the_sizes_in_which_a_view_comes_make_no_difference(rule: Rules, pieces: list[int]) -> None:
    if sum(pieces) < 1000 * len(pieces):
        pieces.append(300_000)
    assert cut(rule, DISK, pieces) == cut(rule, DISK)


@pytest.mark.parametrize("rule", [Blocks, Anywhere])
def test_content_that_moved_is_cut_alike(rule: Rules) -> None:
    content = noise(4000 * KIB)
    shift = 4096 if rule is Blocks else 777
    before = {chunk for _, chunk in cut(rule, content)}
    after = [chunk for _, chunk in cut(rule, noise(shift, "new") + content)]
    assert sum(chunk in before for chunk in after) >= len(after) - 3


@pytest.mark.parametrize(
    ("rule", "content"),
    [(Blocks, noise(20_000 * KIB)), (Blocks, words(20_000 * KIB)), (Anywhere, noise(20_000 * KIB))],
    ids=["blocks of noise", "blocks of words", "noise anywhere"],
)
def test_chunks_have_64_kib_on_average(rule: Rules, content: bytes) -> None:
    lengths = [len(chunk) for _, chunk in cut(rule, content)]
    assert 40 * KIB < sum(lengths) / len(lengths) < 100 * KIB
    assert min(lengths[:-1]) >= LEAST


def test_holes_that_are_left_out_are_holes_that_are_read() -> None:
    chunks: list[tuple[int, bytes]] = []
    cutter = Cutter(Blocks(lambda offset, chunk: chunks.append((offset, bytes(chunk)))))
    cutter.feed(0, DISK[: 900 * KIB])
    cutter.feed(964 * KIB, DISK[964 * KIB :])
    cutter.finish()
    assert chunks == cut(Blocks, DISK)


def test_a_gap_within_a_block_is_zeros() -> None:
    chunks: list[tuple[int, bytes]] = []
    cutter = Cutter(Blocks(lambda offset, chunk: chunks.append((offset, bytes(chunk)))))
    for offset in (100, 300, 9000, 9500, 50_000):
        cutter.feed(offset, b"x" * 200)
    cutter.finish()
    view = bytearray(50_200)
    for offset in (100, 300, 9000, 9500, 50_000):
        view[offset : offset + 200] = b"x" * 200
    assert chunks == cut(Blocks, bytes(view))


def test_streams_are_cut_where_they_end_and_only_long_ones_within() -> None:
    content = noise(int(ENDS[-1]) + 600 * KIB)
    ends = {offset + len(chunk) for offset, chunk in cut(RULES["streams"], content)}
    within = ends - set(ENDS.tolist())
    assert within == {int(ENDS[-1]) + MOST, int(ENDS[-1]) + 2 * MOST, len(content)}
