"""What every store promises (stores.base). A new store is one more entry of STORES."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from skerry.core import write_points
from skerry.core.errors import InvalidInput, NotFound, SkerryError
from skerry.stores.base import Partial, Store
from skerry.stores.filesystem import FilesystemStore

ONE = "11111111-1111-4111-8111-111111111111"
TWO = "22222222-2222-4222-8222-222222222222"
NOT_IDS = ["", ".", "..", "../secret", "a/b", ONE + "/..", ONE[:-1], ONE + "\n", "\0", "images"]
NOT_KEYS = ["", ".", "..", "../secret", "a/b", ".hidden", "a\0", "a\n", "x" * 129]

STORES: dict[str, Callable[[Path], Store]] = {"filesystem": FilesystemStore}


@pytest.fixture(params=STORES)
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Open the same store, as after a restart."""
    make = STORES[request.param]
    return lambda: make(tmp_path / "store")


@pytest.fixture
def store(reopen: Callable[[], Store]) -> Store:
    return reopen()


def arrived(store: Store, data: bytes, key: str = ONE) -> Partial:
    """A partial file that holds `data`."""
    partial = store.partial(key)
    fd = partial.open()
    try:
        assert os.pwrite(fd, data, 0) == len(data)
    finally:
        os.close(fd)
    return partial


def test_a_published_image_is_read_back_under_its_id(store: Store) -> None:
    store.publish(arrived(store, b"bytes"), ONE)
    assert store.path(ONE).read_bytes() == b"bytes"
    assert store.size(ONE) == 5
    assert list(store.ids()) == [ONE]


def test_a_published_image_is_no_partial_any_more(store: Store) -> None:
    store.publish(arrived(store, b"bytes"), ONE)
    assert list(store.partials()) == []


def test_a_published_image_is_there_after_a_restart(store: Store, reopen: Callable[[], Store]) -> None:
    store.publish(arrived(store, b"bytes"), ONE)
    assert reopen().path(ONE).read_bytes() == b"bytes"


def test_an_image_that_was_never_published_is_not_found(store: Store) -> None:
    arrived(store, b"bytes")
    for ask in (store.path, store.size, store.retract):
        with pytest.raises(NotFound):
            ask(ONE)


def test_publishing_again_replaces_the_bytes(store: Store) -> None:
    store.publish(arrived(store, b"old"), ONE)
    store.publish(arrived(store, b"newer"), ONE)
    assert store.path(ONE).read_bytes() == b"newer"


def test_a_partial_leaves_no_trace_before_it_is_opened(store: Store) -> None:
    assert store.partial("key").size() == 0
    assert list(store.partials()) == []


def test_a_partial_is_found_again_after_a_restart(store: Store, reopen: Callable[[], Store]) -> None:
    arrived(store, b"half", "some.key").sync()
    again = reopen()
    assert list(again.partials()) == ["some.key"]
    assert again.partial("some.key").size() == 4


def test_a_partial_can_be_cut_back_and_continued(store: Store) -> None:
    partial = arrived(store, b"first and wrong")
    partial.truncate(5)
    fd = partial.open()
    try:
        os.pwrite(fd, b", right", partial.size())
    finally:
        os.close(fd)
    store.publish(partial, ONE)
    assert store.path(ONE).read_bytes() == b"first, right"


def test_discarding_a_partial_twice_is_no_error(store: Store) -> None:
    partial = arrived(store, b"half")
    partial.discard()
    partial.discard()
    assert list(store.partials()) == []


def test_a_retracted_image_is_a_partial_again(store: Store) -> None:
    store.publish(arrived(store, b"bytes"), ONE)
    assert store.retract(ONE).size() == 5
    assert list(store.ids()) == []
    assert list(store.partials()) == [ONE]


def test_deleting_an_image_removes_its_bytes_and_no_other(store: Store) -> None:
    store.publish(arrived(store, b"one"), ONE)
    store.publish(arrived(store, b"two", TWO), TWO)
    store.delete(ONE)
    store.delete(ONE)
    assert list(store.ids()) == [TWO]


def test_bytes_set_aside_are_out_of_service(store: Store) -> None:
    store.publish(arrived(store, b"bad"), ONE)
    store.set_aside(ONE)
    assert list(store.ids()) == []
    with pytest.raises(NotFound):
        store.path(ONE)


def test_setting_aside_twice_keeps_the_later_bytes(store: Store, tmp_path: Path) -> None:
    for data in (b"first", b"later"):
        store.publish(arrived(store, data), ONE)
        store.set_aside(ONE)
    store.set_aside(ONE)
    kept = [path.read_bytes() for path in tmp_path.rglob(ONE) if path.is_file()]
    assert kept == [b"later"]


def test_an_open_image_stays_readable_when_it_is_deleted(store: Store) -> None:
    store.publish(arrived(store, b"bytes"), ONE)
    with store.path(ONE).open("rb") as file:
        store.delete(ONE)
        assert file.read() == b"bytes"


@pytest.mark.parametrize("name", NOT_IDS)
def test_what_is_no_id_never_becomes_a_path(store: Store, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_bytes(b"not an image")
    for ask in (store.path, store.size, store.retract, store.delete, store.set_aside):
        with pytest.raises(SkerryError):
            ask(name)
    with pytest.raises(SkerryError):
        store.publish(arrived(store, b"bytes"), name)
    assert (tmp_path / "secret").read_bytes() == b"not an image"


@pytest.mark.parametrize("key", NOT_KEYS)
def test_what_is_no_key_never_becomes_a_path(store: Store, key: str) -> None:
    with pytest.raises(InvalidInput):
        store.partial(key)


def test_there_is_free_space_to_speak_of(store: Store) -> None:
    assert store.free() > 0


@pytest.mark.parametrize("label", ["store.bytes-durable", "store.renamed"])
def test_a_crash_while_publishing_leaves_whole_bytes_in_one_place(
    store: Store, reopen: Callable[[], Store], label: str
) -> None:
    class Crash(BaseException):
        pass

    def crash(reached: str) -> None:
        if reached == label:
            raise Crash

    partial = arrived(store, b"bytes")
    write_points.set_hook(crash)
    try:
        with pytest.raises(Crash):
            store.publish(partial, ONE)
    finally:
        write_points.set_hook(None)
    again = reopen()
    places = [again.partial(key).size() for key in again.partials()] + [again.size(i) for i in again.ids()]
    assert places == [5]


FAST: dict[str, Callable[[Path], Store]] = {
    "filesystem": lambda root: FilesystemStore(root / "store", {"fast": root / "fast", "slow": root / "slow"})
}


@pytest.fixture(params=FAST)
def with_others(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Open a store that has other places, as after a restart."""
    make = FAST[request.param]
    return lambda: make(tmp_path)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_bytes_that_are_moved_are_read_as_before_and_said_to_be_elsewhere(
    with_others: Callable[[], Store], tmp_path: Path
) -> None:
    store = with_others()
    data = b"a" + bytes(2 << 20)
    partial = arrived(store, b"a")
    partial.truncate(len(data))
    store.publish(partial, ONE)
    store.publish(arrived(store, b"two", TWO), TWO)
    with store.path(ONE).open("rb") as reader:
        for name in ("fast", "slow", "slow"):
            store.move(ONE, name)
            assert store.elsewhere() == {ONE: name}
            assert store.path(ONE).read_bytes() == data
            assert store.path(ONE).stat().st_blocks * 512 < len(data), "holes stay holes"
        assert reader.read() == data, "who reads goes on to the end"
    assert (files(tmp_path / "fast"), files(tmp_path / "slow")) == ([], [ONE])
    assert (store.size(ONE), sorted(store.ids())) == (len(data), [ONE, TWO])
    assert with_others().elsewhere() == {ONE: "slow"}


@pytest.mark.parametrize("end", ["delete", "set_aside"])
def test_what_was_moved_goes_with_its_image(
    with_others: Callable[[], Store], tmp_path: Path, end: str
) -> None:
    store = with_others()
    store.publish(arrived(store, b"bytes"), ONE)
    store.move(ONE, "fast")
    getattr(store, end)(ONE)
    assert (list(store.ids()), files(tmp_path / "fast")) == ([], [])


def test_a_crash_during_a_move_leaves_the_bytes_where_they_were(
    with_others: Callable[[], Store], tmp_path: Path
) -> None:
    store = with_others()
    store.publish(arrived(store, b"bytes"), ONE)

    def die(label: str) -> None:
        assert label == "store.copied"
        raise SystemExit

    write_points.set_hook(die)
    try:
        with pytest.raises(SystemExit):
            store.move(ONE, "fast")
    finally:
        write_points.set_hook(None)
    store = with_others()
    assert (store.tidy(), store.tidy()) == (1, 0)
    assert (store.elsewhere(), store.path(ONE).read_bytes()) == ({}, b"bytes")
    assert files(tmp_path / "fast") == []


def test_a_place_that_is_not_there_is_refused(with_others: Callable[[], Store]) -> None:
    store = with_others()
    store.publish(arrived(store, b"bytes"), ONE)
    with pytest.raises(SkerryError, match="no store nowhere"):
        store.move(ONE, "nowhere")
    with pytest.raises(NotFound):
        store.move(TWO, "fast")
