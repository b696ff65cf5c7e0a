import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from skerry.chunking.index import ImageIndex
from skerry.chunking.plan import Source, plan, share
from skerry.chunking.recipe import plain

CHUNK = 20_000


def index_of(*contents: int, length: int = CHUNK) -> ImageIndex:
    """An image of chunks that are known by a number each."""
    offset = np.arange(len(contents), dtype=np.int64) * length
    ids = b"".join(hashlib.sha256(b"%d" % content).digest() for content in contents)
    rows = np.frombuffer(ids, np.uint8).reshape(-1, 32)
    size = len(contents) * length
    return ImageIndex(bytes(64), size, plain(size), offset, np.full(len(contents), length), rows)


contents = st.lists(st.integers(0, 12), max_size=30)


@given(target=contents, held=st.lists(contents, max_size=4), data=st.data())
def test_every_chunk_is_here_or_is_reused_or_is_fetched_once(
    target: list[int], held: list[list[int]], data: st.DataObject
) -> None:
    done = np.array([data.draw(st.booleans()) for _ in target], np.bool_)
    what = plan(index_of(*target), [index_of(*base) for base in held], done)
    reused = {}
    for number, base in enumerate(held):
        for first, count, chunk in what.wanted_from(number):
            for step in range(count):
                assert base[chunk + step] == target[first + step]
                reused[first + step] = number
    missing = what.missing.tolist()
    for number, content in enumerate(target):
        ways = (bool(done[number]), number in reused, int(what.twin[number]) in missing)
        assert ways[0] or ways[1] != ways[2]
        assert not (ways[0] and ways[1])
        assert target[what.twin[number]] == content
    fetched = [target[number] for number in missing]
    assert len(fetched) == len(set(fetched))
    assert not set(fetched) & {content for base in held for content in base}
    assert what.missing_bytes == CHUNK * len(missing)
    assert sum(what.reused_bytes) == CHUNK * len(reused)
    assert what.done_bytes == CHUNK * int(done.sum())


def test_a_new_version_takes_long_runs_from_the_image_that_has_most() -> None:
    old, older = index_of(*range(100)), index_of(*range(0, 100, 2))
    new = index_of(*range(40), 500, 501, *range(45, 100))
    what = plan(new, [older, old])
    assert what.wanted_from(0) == []
    assert what.wanted_from(1) == [(0, 40, 0), (42, 55, 45)]
    assert what.missing.tolist() == [40, 41]
    assert what.reused_bytes == (0, 95 * CHUNK)


def test_ids_that_begin_alike_are_not_taken_for_each_other() -> None:
    target, base = index_of(1), index_of(1)
    forged = base.ids.copy()
    forged[0, 20] ^= 1
    other = ImageIndex(base.sha512, base.guest_size, base.recipe, base.offset, base.length, forged)
    assert plan(target, [other]).missing.tolist() == [0]


def test_sources_are_given_so_much_that_they_are_done_together() -> None:
    target = index_of(*range(10_000))
    missing = np.arange(10_000)
    shares, orphans = share(target, missing, [Source("sibling", 30e6), Source("centre", 10e6)], ratio=0.5)
    assert not len(orphans)
    assert sorted(np.concatenate([part.chunks for part in shares]).tolist()) == missing.tolist()
    sibling, centre = shares
    assert sibling.bytes + centre.bytes == 10_000 * CHUNK
    assert sibling.line_bytes == sibling.bytes // 2
    assert abs(sibling.seconds - centre.seconds) < 0.5
    assert sibling.seconds == sibling.bytes * 0.5 / 30e6


def test_a_source_gives_only_what_it_has_and_what_nobody_has_is_told() -> None:
    target = index_of(*range(1000))
    has = np.arange(1000) < 400
    shares, orphans = share(target, np.arange(100, 1000), [Source("half", 1e9, has)])
    assert shares[0].chunks.tolist() == list(range(100, 400))
    assert orphans.tolist() == list(range(400, 1000))


def test_a_share_of_nothing_is_nothing() -> None:
    shares, orphans = share(index_of(1), np.zeros(0, np.int64), [Source("centre", 1e6)])
    assert (shares[0].bytes, shares[0].seconds, len(orphans)) == (0, 0, 0)
