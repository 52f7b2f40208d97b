"""Frames, seconds and timecodes: exact, and the same both ways."""

from __future__ import annotations

from fractions import Fraction

import pytest
from exported import NO_OPENTIMELINEIO
from hypothesis import example, given
from hypothesis import strategies as st

from videomoments_dagster.moments.exports.timecode import (
    FALLBACK_RATE,
    FrameRate,
    TimecodeOutOfRange,
    frame_rate_of,
    frames_at,
    timecode,
)


def frames_read_from(code: str, rate: FrameRate) -> float:
    """What OpenTimelineIO makes of a timecode."""
    library = pytest.importorskip("opentimelineio", reason=NO_OPENTIMELINEIO)
    return float(library.opentime.from_timecode(code, float(rate.exact)).value)


NTSC = FrameRate(30, is_ntsc=True)
RATES = [
    FrameRate(24, is_ntsc=True),
    FrameRate(24),
    FrameRate(25),
    NTSC,
    FrameRate(30),
    FrameRate(50),
    FrameRate(60, is_ntsc=True),
    FrameRate(60),
    FrameRate(15),
]
rates = st.sampled_from(RATES)


@pytest.mark.parametrize(
    ("stored", "rate"),
    [
        (25.0, FrameRate(25)),
        (30000 / 1001, NTSC),
        (29.97, NTSC),
        (29.9683, NTSC),
        (30.0, FrameRate(30)),
        (23.98, FrameRate(24, is_ntsc=True)),
        (59.94, FrameRate(60, is_ntsc=True)),
        (15.0, FrameRate(15)),
        (29.83, NTSC),
        (17.2, FrameRate(24, is_ntsc=True)),
        (None, FALLBACK_RATE),
        (0.0, FALLBACK_RATE),
        (float("nan"), FALLBACK_RATE),
    ],
)
def test_a_stored_rate_becomes_one_that_timecodes_can_count(
    stored: float | None, rate: FrameRate
) -> None:
    assert frame_rate_of(stored) == rate


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (0, "00:00:00;00"),
        (1799, "00:00:59;29"),
        (1800, "00:01:00;02"),
        (17981, "00:09:59;29"),
        (17982, "00:10:00;00"),
        (107892, "01:00:00;00"),
    ],
)
def test_drop_frame_timecode_leaves_out_two_numbers_a_minute_but_every_tenth(
    frames: int, code: str
) -> None:
    assert timecode(frames, NTSC) == code
    assert frames_read_from(code, NTSC) == frames


def test_a_day_has_no_timecode_any_more() -> None:
    with pytest.raises(TimecodeOutOfRange):
        timecode(25 * 86400, FrameRate(25))
    with pytest.raises(TimecodeOutOfRange):
        timecode(-1, FrameRate(25))


@given(rates, st.data())
def test_the_time_of_a_frame_leads_back_to_it(rate: FrameRate, data: st.DataObject) -> None:
    frames = data.draw(st.integers(0, int(rate.exact * 86390)))

    assert frames_at(float(frames / rate.exact), rate) == frames


@given(st.sampled_from(RATES[:-1]), st.integers(0, 2 * 10**6))
def test_opentimelineio_reads_the_same_frame(rate: FrameRate, frames: int) -> None:
    assert frames_read_from(timecode(frames, rate), rate) == frames


@given(rates, st.floats(0, 86_000))
@example(NTSC, 3600.0)
def test_the_frame_is_the_nearest_one(rate: FrameRate, seconds: float) -> None:
    off = abs(Fraction(seconds) - frames_at(seconds, rate) / rate.exact)

    assert off <= Fraction(1, 2) / rate.exact


@given(st.floats(0, 86_000))
def test_drop_frame_timecode_keeps_up_with_the_clock(seconds: float) -> None:
    hours, minutes, rest = timecode(frames_at(seconds, NTSC), NTSC).split(":")
    shown = int(hours) * 3600 + int(minutes) * 60 + int(rest[:2]) + int(rest[3:]) / 30

    assert abs(shown - seconds) < 0.2
