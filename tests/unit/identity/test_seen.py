"""Memory of credentials."""

import gc

from skerry.identity.seen import Seen


def test_memory_is_bounded_and_the_oldest_goes_first() -> None:
    seen: Seen[int] = Seen(3)
    keys = [seen.key(str(number)) for number in range(4)]
    for number, key in enumerate(keys[:3]):
        seen.put(key, number)
    seen.put(keys[0], 10)
    seen.put(keys[3], 3)
    assert [seen.get(key) for key in keys] == [10, None, 2, 3]
    assert len(seen) == 3


def test_what_is_dropped_is_forgotten() -> None:
    seen: Seen[int] = Seen(3)
    key = seen.key("a")
    seen.put(key, 1)
    seen.drop(key)
    seen.drop(key)
    assert seen.get(key) is None


def test_the_credential_itself_is_not_kept() -> None:
    seen: Seen[int] = Seen(3)
    seen.put(seen.key("very secret token"), 1)
    assert not any("very secret token" in str(held) for held in gc.get_referents(seen.__dict__))


def test_digests_differ_from_process_to_process() -> None:
    assert Seen[int](1).key("a") != Seen[int](1).key("a")
