"""Reading from a packet's bytes whether a decoder starts afresh with it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videomoments_dagster.media.frame_access import refreshes_decoder

AVCC = bytes([1, 100, 0, 31, 0xFF, 0xE1, 0, 0])
HVCC = bytes([1, *[0] * 20, 0xFF, 0])
IDR, SLICE, SEI, SPS = b"\x65rest", b"\x41rest", b"\x06rest", b"\x67rest"
HEVC_IDR, HEVC_CRA, HEVC_SEI = b"\x26\x01rest", b"\x2a\x01rest", b"\x4e\x01rest"


def packet(*units: bytes, length_bytes: int = 4) -> bytes:
    return b"".join(len(unit).to_bytes(length_bytes, "big") + unit for unit in units)


@pytest.mark.parametrize(
    ("units", "refreshing"),
    [
        ([IDR], True),
        ([SPS, SEI, IDR, IDR], True),
        ([SEI, SLICE], False),
        ([IDR, SLICE], False),
        ([SPS, SEI], False),
        ([], False),
    ],
)
def test_only_a_packet_of_idr_slices_refreshes_an_h264_decoder(units, refreshing):
    assert refreshes_decoder(packet(*units), codec="h264", setup=AVCC) is refreshing


@pytest.mark.parametrize(
    ("units", "refreshing"),
    [
        ([HEVC_IDR], True),
        ([HEVC_SEI, b"\x28\x01rest"], True),
        ([HEVC_CRA], False),
        ([HEVC_IDR, b"\x02\x01rest"], False),
        ([HEVC_SEI], False),
    ],
)
def test_only_a_packet_of_idr_slices_refreshes_an_hevc_decoder(units, refreshing):
    assert refreshes_decoder(packet(*units), codec="hevc", setup=HVCC) is refreshing


def test_lengths_take_as_many_bytes_as_the_header_says():
    two_bytes = bytes([*AVCC[:4], 0xFD, *AVCC[5:]])
    written = packet(SEI, IDR, length_bytes=2)
    assert refreshes_decoder(written, codec="h264", setup=two_bytes)
    assert not refreshes_decoder(written, codec="h264", setup=AVCC)


@pytest.mark.parametrize("setup", [b"", b"\0\0\0\1\x67" + bytes(30), b"\0\0\1\x67" + bytes(30)])
@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_without_a_header_that_gives_the_length_of_lengths_nothing_is_certain(codec, setup):
    assert not refreshes_decoder(packet(IDR, HEVC_IDR), codec=codec, setup=setup)


def test_of_other_codecs_nothing_is_certain():
    assert not refreshes_decoder(packet(IDR), codec="vp9", setup=AVCC)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.integers(1, 4))
def test_a_packet_refreshes_when_its_slices_are_all_idr(units, length_bytes):
    setup = bytes([*AVCC[:4], 0xFC | (length_bytes - 1), *AVCC[5:]])
    slices = [kind for unit in units if 1 <= (kind := unit[0] & 0x1F) <= 5]
    wanted = bool(slices) and set(slices) == {5}
    written = packet(*units, length_bytes=length_bytes)
    assert refreshes_decoder(written, codec="h264", setup=setup) is wanted


@given(st.binary(max_size=200), st.binary(max_size=40), st.sampled_from(["h264", "hevc"]))
def test_any_bytes_are_read_without_failing(data, setup, codec):
    assert refreshes_decoder(data, codec=codec, setup=setup) in {True, False}
