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
    sounding_stretches,
)

RATE = 16_000


def tone(seconds, level=0.3):
    t = np.arange(round(seconds * RATE)) / RATE
    return (level * 32767 * np.sin(2 * np.pi * 220 * t)).astype(np.int16)


def silence(seconds):
    return np.zeros(round(seconds * RATE), dtype=np.int16)


def stretches(*parts, longest=60.0):
    return sounding_stretches(
        loudness_db(np.concatenate(parts), rate=RATE), longest_seconds=longest
    )


def test_loudness_is_measured_against_full_scale():
    measured = loudness_db(np.concatenate([tone(1, level=1.0), silence(1)]), rate=RATE)
    assert measured.shape == (200,)
    assert measured[:100].mean() == pytest.approx(-3.0, abs=0.2)
    assert (measured[100:] == -96).all()


def test_loudness_of_more_than_one_block_is_whole():
    measured = loudness_db(np.concatenate([silence(61), tone(0.005)]), rate=RATE)
    assert measured.shape == (6101,)
    assert measured[-1] > -40


def test_sounds_between_pauses_are_found_with_their_margins():
    found = stretches(silence(1), tone(2), silence(1), tone(1), silence(1))
    assert found == [
        (pytest.approx(0.85), pytest.approx(3.15)),
        (pytest.approx(3.85), pytest.approx(5.15)),
    ]


def test_a_short_gap_is_no_pause_and_a_click_is_no_sound():
    found = stretches(
        silence(1), tone(1), silence(0.2), tone(1), silence(2), tone(0.05), silence(1)
    )
    assert found == [(pytest.approx(0.85), pytest.approx(3.35))]


def test_noise_under_speech_does_not_hide_the_pauses():
    rng = np.random.default_rng(1)
    sound = np.concatenate([silence(1), tone(2), silence(1), tone(2), silence(1)])
    noisy = (sound + rng.normal(0, 100, sound.size)).astype(np.int16)
    assert len(sounding_stretches(loudness_db(noisy, rate=RATE), longest_seconds=60)) == 2


@pytest.mark.parametrize("sound", [silence(3), silence(0), tone(3, level=0.0005)])
def test_silence_has_no_stretches(sound):
    assert stretches(sound) == []


def test_sound_without_any_pause_is_one_stretch():
    assert stretches(tone(3)) == [(0.0, 3.0)]


def test_a_long_stretch_is_divided_where_it_is_quietest():
    found = stretches(silence(1), tone(8), silence(0.3), tone(8), silence(1), longest=10)
    assert len(found) == 2
    assert found[0][1] == found[1][0] == pytest.approx(9.15, abs=0.1)


@given(st.lists(st.floats(-96, 0, width=32), max_size=3000), st.floats(0.3, 5))
def test_stretches_never_overlap_nor_exceed_the_longest(levels, longest):
    found = sounding_stretches(np.array(levels, dtype=np.float32), longest_seconds=longest)
    cursor = 0.0
    for start, end in found:
        assert cursor <= start < end <= len(levels) / 100
        assert end - start <= longest + 0.02
        cursor = end


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
