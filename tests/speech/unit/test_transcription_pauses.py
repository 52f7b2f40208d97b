"""Pauses are found by loudness."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videomoments_dagster.speech.pauses import (
    loudness_db,
    pieces,
    quiet_stretches,
    quietest_frame,
    silence_threshold,
)

RATE = 16_000


def tone(seconds, level=0.3):
    t = np.arange(round(seconds * RATE)) / RATE
    return (level * 32767 * np.sin(2 * np.pi * 220 * t)).astype(np.int16)


def silence(seconds):
    return np.zeros(round(seconds * RATE), dtype=np.int16)


def test_loudness_is_measured_against_full_scale():
    measured = loudness_db(np.concatenate([tone(1, level=1.0), silence(1)]), rate=RATE)
    assert measured.shape == (200,)
    assert measured[:100].mean() == pytest.approx(-3.0, abs=0.2)
    assert (measured[100:] == -96).all()


def test_loudness_of_more_than_one_block_is_whole():
    measured = loudness_db(np.concatenate([silence(61), tone(0.005)]), rate=RATE)
    assert measured.shape == (6101,)
    assert measured[-1] > -40


@given(st.lists(st.floats(-96, 0, width=32), max_size=3000), st.floats(1, 10))
def test_pieces_cover_everything_without_gaps(levels, seconds):
    cut = pieces(np.array(levels, dtype=np.float32), seconds=seconds)
    cursor = 0.0
    for start, end in cut:
        assert start == cursor
        assert 0 < end - start <= seconds + 0.02
        cursor = end
    assert cursor == len(levels) / 100


def test_the_cut_falls_into_the_middle_of_a_pause():
    loudness = np.full(300, -20, dtype=np.float32)
    loudness[100:200] = -96
    assert quietest_frame(loudness, 0, 300) == 150


def quiet(*parts, shortest=0.25):
    measured = loudness_db(np.concatenate(parts), rate=RATE)
    threshold = silence_threshold(measured)
    assert threshold is not None
    return quiet_stretches(measured, threshold=threshold, shortest_seconds=shortest)


def noise(seconds, level=0.003):
    rng = np.random.default_rng(7)
    return (level * 32767 * rng.standard_normal(round(seconds * RATE))).astype(np.int16)


@pytest.mark.parametrize("level", [0.3, 0.03])
def test_pauses_are_quiet_for_this_recording_however_loud_it_is(level):
    below = level / 30
    found = quiet(
        tone(2, level), noise(0.4, below), tone(1, level), noise(0.2, below), tone(1, level)
    )
    assert found == [(pytest.approx(2.0, abs=0.02), pytest.approx(2.4, abs=0.02))]


def test_a_click_does_not_end_a_pause_and_a_word_does():
    found = quiet(
        tone(1),
        silence(0.3),
        tone(0.02),
        silence(0.3),
        tone(1),
        silence(0.2),
        tone(0.1),
        silence(0.2),
    )
    assert found == [(pytest.approx(1.0), pytest.approx(1.62))]


@pytest.mark.parametrize("sound", [tone(5), silence(5), silence(0)])
def test_what_is_equally_loud_everywhere_has_no_pauses(sound):
    assert silence_threshold(loudness_db(sound, rate=RATE)) is None
