"""Which bytes of an MP4 are fetched."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videomoments_dagster.media.byte_ranges import ByteRange, NoIndex, index_ranges, merged


def box(kind: bytes, content: int, *, wide: bool = False) -> bytes:
    if wide:
        return struct.pack(">I4sQ", 1, kind, content + 16) + bytes(content)
    return struct.pack(">I4s", content + 8, kind) + bytes(content)


def ranges_of(data: bytes) -> list[tuple[int, int]]:
    found = index_ranges(lambda start, length: data[start : start + length], len(data))
    return [(one.start, one.end) for one in found]


@pytest.mark.parametrize("wide", [False, True])
def test_all_but_the_data_is_wanted_wherever_the_index_is(*, wide: bool) -> None:
    data = box(b"mdat", 1000, wide=wide)
    front = box(b"ftyp", 12) + box(b"moov", 100) + data
    assert ranges_of(front) == [(0, 20), (20, 128), (128, 144)]
    end = box(b"ftyp", 12) + data + box(b"moov", 100)
    assert ranges_of(end) == [(0, 20), (20, 36), (20 + len(data), len(end))]


def test_data_that_goes_on_to_the_end_is_understood() -> None:
    data = box(b"ftyp", 12) + box(b"moov", 100) + struct.pack(">I4s", 0, b"mdat") + bytes(500)
    assert ranges_of(data)[-1] == (128, 144)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not an mp4 at all, but long enough to look like one",
        box(b"ftyp", 12) + box(b"mdat", 100),
        box(b"ftyp", 12) + box(b"moov", 100) + box(b"moof", 10) + box(b"mdat", 100),
        (box(b"ftyp", 12) + box(b"moov", 100) + box(b"mdat", 100))[:-1],
        box(b"ftyp", 12) + box(b"moov", 100) + box(b"mdat", 100) + b"abc",
        struct.pack(">I4s", 3, b"moov") * 4,
    ],
    ids=["empty", "text", "no index", "fragmented", "short", "trailing", "impossible size"],
)
def test_what_has_no_plain_index_is_fetched_as_a_whole(data: bytes) -> None:
    with pytest.raises(NoIndex):
        ranges_of(data)


@given(st.binary(max_size=200))
def test_any_bytes_give_ranges_inside_the_file_or_none(data: bytes) -> None:
    try:
        found = ranges_of(data)
    except NoIndex:
        return
    assert all(0 <= start < end <= len(data) for start, end in found)


bounds = st.tuples(st.integers(0, 1000), st.integers(1, 100))


@given(st.lists(bounds, max_size=30), st.integers(0, 50))
def test_merged_ranges_cover_the_same_are_in_order_and_stay_apart(
    given_ranges: list[tuple[int, int]], gap: int
) -> None:
    ranges = [ByteRange(start, start + length) for start, length in given_ranges]
    joined = merged(ranges, gap=gap)
    for one in ranges:
        assert any(other.start <= one.start and one.end <= other.end for other in joined)
    for before, after in pairwise(joined):
        assert after.start > before.end + gap
    wanted = {byte for one in ranges for byte in range(one.start, one.end)}
    covered = {byte for one in joined for byte in range(one.start, one.end)}
    # Nothing is added but gaps.
    assert len(covered - wanted) <= gap * max(len(ranges) - 1, 0)
