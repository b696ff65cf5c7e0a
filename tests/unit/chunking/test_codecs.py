import ctypes
import zlib
from collections.abc import Iterator

import pytest

from skerry.chunking import codecs, system_zstd
from skerry.core.errors import WrongBytes
from tests.unit.chunking.disks import CLUSTER, noise, words


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Codecs are found out anew in this test, and after it."""
    for found in (codecs.known, system_zstd.compressor):
        found.cache_clear()
    yield
    for found in (codecs.known, system_zstd.compressor):
        found.cache_clear()


@pytest.mark.parametrize("content", [words(CLUSTER), noise(CLUSTER), bytes(CLUSTER), words(2 << 20)])
def test_every_codec_makes_streams_that_are_restored(content: bytes) -> None:
    for name, codec in codecs.known().items():
        stream = codec.compress(content)
        assert codecs.restore(name, stream, len(content)) == content
        assert codecs.inflate(codecs.family(name), stream + b"rest", len(content)) == (content, len(stream))


def test_a_stream_of_another_length_is_not_restored() -> None:
    for name, codec in codecs.known().items():
        stream = codec.compress(words(CLUSTER))
        for damaged, size in (
            (stream, CLUSTER - 1),
            (stream, CLUSTER + 1),
            (stream[:-9], CLUSTER),
            (b"x", CLUSTER),
        ):
            with pytest.raises(WrongBytes):
                codecs.restore(name, damaged, size)
        with pytest.raises(WrongBytes):
            codecs.restore(name, stream + b"more", CLUSTER)


def test_codecs_are_named_by_what_they_make(forgotten: None, monkeypatch: pytest.MonkeyPatch) -> None:
    before = list(codecs.known())
    assert {name.rpartition("/")[0] for name in before} == {"zlib/6", "zstd/3", "zstd/1"}
    codecs.known.cache_clear()
    monkeypatch.setattr(codecs, "deflate", lambda data: zlib.compress(data, 1, -12))
    after = list(codecs.known())
    assert after[0].startswith("zlib/6/")
    assert after[0] != before[0]
    assert after[1:] == before[1:]


def test_the_machines_own_libzstd_is_a_codec_too(forgotten: None) -> None:
    compress = system_zstd.compressor(3)
    assert compress is not None
    assert codecs.inflate("zstd", compress(words(CLUSTER)), CLUSTER) == (
        words(CLUSTER),
        len(compress(words(CLUSTER))),
    )


def test_a_machine_without_libzstd_has_the_other_codecs(
    forgotten: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert system_zstd.compressor(3) is None
    assert [name.rpartition("/")[0] for name in codecs.known()] == ["zlib/6", "zstd/3", "zstd/1"]


def test_a_codec_of_no_known_family_is_refused() -> None:
    with pytest.raises(WrongBytes, match="no codec"):
        codecs.family("lzma/9/0000")
