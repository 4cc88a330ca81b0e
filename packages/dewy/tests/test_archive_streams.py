"""Compressed streams give the same bytes however their input is cut, and are never taken for whole when they are not."""

from __future__ import annotations

import contextlib
import random
import zlib
from collections.abc import Iterator

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from archives import packed
from dewy.archive.members import Refusal
from dewy.archive.streams import Stream, decoded, inflated

CODECS = ("gz", "bz2", "xz", "zst")
CONTENT = random.Random(5).randbytes(3000) + b"text " * 60_000 + bytes(500_000)


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 65536])
def test_the_cut_of_the_input_does_not_matter(codec: str, size: int) -> None:
    data = packed(CONTENT, codec) + packed(b"second", codec)
    assert b"".join(decoded(cut(data, size), codec)) == CONTENT + b"second"


@pytest.mark.parametrize("codec", CODECS)
def test_no_piece_is_large(codec: str) -> None:
    assert max(map(len, decoded(cut(packed(bytes(5_000_000), codec), 65536), codec))) <= 1 << 18


def test_the_last_bits_of_deflate_are_not_lost() -> None:
    """They can all be read while output still waits."""
    for size in range((1 << 18) - 3, (1 << 18) + 300):
        deflate = zlib.compressobj(9, wbits=-15)
        data = deflate.compress(bytes(size)) + deflate.flush()
        assert sum(map(len, inflated(iter([data])))) == size


@settings(deadline=None, max_examples=60)
@given(
    content=st.binary(max_size=2000) | st.just(CONTENT) | st.just(b""),
    level=st.sampled_from([-5, 1, 3, 12]),
    checksum=st.booleans(),
    stated=st.booleans(),
    window=st.sampled_from([10, 17, 22]),
    size=st.sampled_from([1, 5, 1000]),
    data=st.data(),
)
def test_every_kind_of_zstd_frame_is_read_and_missed_when_cut(
    *, content: bytes, level: int, checksum: bool, stated: bool, window: int, size: int, data: st.DataObject
) -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level, window_log=window, write_checksum=checksum, write_content_size=stated
    )
    frame = zstandard.ZstdCompressor(compression_params=parameters).compress(content)
    assert b"".join(decoded(cut(frame * 2, size), "zst")) == content * 2
    end = data.draw(st.integers(1, len(frame) - 1))
    with pytest.raises(Refusal, match="is cut off"):
        list(decoded(cut(frame + frame[:end], size), "zst"))


@given(
    st.lists(st.binary(max_size=50), max_size=10),
    st.lists(st.tuples(st.sampled_from(["take", "peek", "pieces"]), st.integers(0, 80)), max_size=10),
)
def test_a_stream_gives_its_bytes_in_order(pieces: list[bytes], calls: list[tuple[str, int]]) -> None:
    everything = b"".join(pieces)
    stream, position = Stream(iter(pieces), len(everything)), 0
    for call, size in calls:
        expected = everything[position : position + size]
        if call == "peek":
            assert stream.peek(size) == expected
            continue
        if call == "take":
            assert stream.take(size) == expected
        elif len(expected) == size:
            assert stream.exactly(size) == expected
        else:
            with pytest.raises(Refusal, match="cut off"):
                stream.exactly(size)
        position += len(expected)
    assert b"".join(stream.rest()) == everything[position:]


@given(st.lists(st.binary(max_size=50), max_size=10), st.integers(0, 300))
def test_a_stream_gives_no_byte_beyond_its_limit(pieces: list[bytes], limit: int) -> None:
    """And none silently less: it gives all, or as many as it may and a refusal."""
    everything, got = b"".join(pieces), []
    stream = Stream(iter(pieces), limit)
    beyond = pytest.raises(Refusal, match="decompression bomb") if len(everything) > limit else contextlib.nullcontext()
    with beyond:
        got.extend(stream.rest())
    assert b"".join(got) == everything[:limit]
