"""How much of a video somebody speaks."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videomoments_dagster.speech.transcripts import (
    Word,
    speech_density,
    spoken_seconds,
    spoken_stretches,
)

words = st.lists(
    st.tuples(st.floats(-10, 120), st.floats(0, 5)).map(lambda one: Word("w", one[0], sum(one))),
    max_size=40,
)


@given(words, st.integers(1, 50))
def test_stretches_are_apart_inside_and_add_up_to_their_density(
    spoken: list[Word], parts: int
) -> None:
    stretches = spoken_stretches(spoken, duration_seconds=100.0)
    for start, end in stretches:
        assert 0 <= start <= end <= 100
    for (_, end), (start, _) in pairwise(stretches):
        assert start - end > 0.5
    density = speech_density(stretches, duration_seconds=100.0, parts=parts)
    assert len(density) == parts
    assert all(0 <= share <= 1 for share in density)
    assert sum(density) * 100 / parts == pytest.approx(spoken_seconds(stretches), abs=1e-6)


def test_short_gaps_between_words_are_speech_and_long_ones_are_not() -> None:
    spoken = [Word("a", 1.0, 1.5), Word("b", 1.9, 2.4), Word("c", 4.0, 5.0)]
    assert spoken_stretches(spoken, duration_seconds=4.5) == [(1.0, 2.4), (4.0, 4.5)]


def test_a_video_without_length_has_no_speech() -> None:
    assert speech_density([], duration_seconds=0.0, parts=3) == (0.0, 0.0, 0.0)
