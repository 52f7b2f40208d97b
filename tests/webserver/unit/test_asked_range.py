"""Which bytes a header `Range` asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videomoments_dagster.webserver.stored_files import asked_range


@pytest.mark.parametrize(
    ("header", "bytes_asked"),
    [
        ("bytes=0-99", range(100)),
        ("bytes=900-", range(900, 1000)),
        ("bytes=-100", range(900, 1000)),
        ("bytes=-5000", range(1000)),
        ("bytes=990-5000", range(990, 1000)),
        ("bytes=0-", range(1000)),
    ],
)
def test_a_range_is_cut_to_what_is_there(header: str, bytes_asked: range) -> None:
    assert asked_range(header, size_bytes=1000) == bytes_asked


@pytest.mark.parametrize("header", ["bytes=1000-", "bytes=1000-1001", "bytes=-0"])
def test_of_a_range_behind_the_end_there_is_nothing(header: str) -> None:
    assert not asked_range(header, size_bytes=1000)
    assert asked_range(header, size_bytes=1000) is not None


@pytest.mark.parametrize(
    "header",
    ["", "bytes=-", "bytes=5-3", "bytes=0-1,5-9", "lines=0-9", "bytes=a-b", f"bytes={'9' * 5000}-"],
)
def test_what_asks_for_no_one_range_gets_the_whole(header: str) -> None:
    assert asked_range(header, size_bytes=1000) is None


@given(st.text(), st.integers(0, 2**40))
def test_no_header_leads_beyond_the_file(header: str, size_bytes: int) -> None:
    for text in (header, f"bytes={header}"):
        found = asked_range(text, size_bytes=size_bytes)
        assert not found or 0 <= found.start < found.stop <= size_bytes
