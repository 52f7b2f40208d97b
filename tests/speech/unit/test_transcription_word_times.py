"""Whatever an engine says, its times come out in order and inside the video."""

# ruff: noqa: RUF001

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videomoments_dagster.speech.engine import transcript_from
from videomoments_dagster.speech.transcripts import (
    Segment,
    Word,
    clean_text,
    joined,
    split_words,
    spread_words,
    well_formed,
)

any_time = st.floats(allow_nan=True, allow_infinity=True) | st.floats(-5, 120) | st.just(0.0)
any_text = st.text(st.characters() | st.sampled_from("\x00\ud800 \n\ta"), max_size=12)
any_word = st.builds(Word, text=any_text, start=any_time, end=any_time)
any_segment = st.tuples(
    st.builds(Segment, text=any_text, start=any_time, end=any_time),
    st.lists(any_word, max_size=6),
)
any_duration = st.floats(0, 100) | st.sampled_from([0.0, 0.0004, 10.0004])


def assert_well_formed(words, segments, duration):
    cursor = 0.0
    for word in words:
        assert cursor <= word.start <= word.end <= duration
        cursor = word.end
    cursor = 0.0
    for segment in segments:
        assert cursor <= segment.start <= segment.end <= duration
        cursor = segment.end
    for word in words:
        assert any(s.start <= word.start and word.end <= s.end for s in segments)
    for item in (*words, *segments):
        assert item.text == item.text.strip() != ""
        assert "\x00" not in item.text
        item.text.encode()


@given(st.lists(any_segment, max_size=6), any_duration)
def test_any_garbage_comes_out_well_formed(spoken, duration):
    words, segments = well_formed(spoken, duration=duration)
    assert_well_formed(words, segments, duration)


spans = st.tuples(any_time, any_time)


@given(st.lists(st.tuples(spans, st.lists(spans, max_size=4)), max_size=5), any_duration)
def test_repairing_twice_changes_nothing(times, duration):
    spoken = [
        (Segment(str(i), *span), [Word(str(i), *word) for word in words])
        for i, (span, words) in enumerate(times)
    ]
    words, segments = well_formed(spoken, duration=duration)
    again = [(s, [word for word in words if word.text == s.text]) for s in segments]
    assert well_formed(again, duration=duration) == (words, segments)


@given(st.lists(any_segment, max_size=4), any_duration)
def test_a_transcript_of_garbage_can_be_stored_as_json(spoken, duration):
    transcript = transcript_from(
        spoken, duration=duration, language="x" * 30, service="s" * 80, processing_time_seconds=1.0
    )
    json.dumps([[w.text, w.start, w.end] for w in transcript.words], allow_nan=False)
    spaced = " ".join(s.text for s in transcript.segments)
    # Between Chinese or Japanese segments there is no space.
    assert transcript.full_text.replace(" ", "") == spaced.replace(" ", "")
    assert transcript.full_text == spaced or not spaced.isascii()
    assert len(transcript.language) <= 10
    assert len(transcript.transcription_service) <= 50


def test_times_that_are_right_are_kept():
    spoken = [
        (
            Segment("So it begins.", 1.0, 2.5),
            [Word(" So", 1.0, 1.2), Word(" it", 1.3, 1.5), Word(" begins.", 1.5, 2.5)],
        ),
        (Segment("Then it ends.", 3.0, 4.0), [Word("Then it ends.", 3.1, 3.9)]),
    ]
    words, segments = well_formed(spoken, duration=5.0)
    assert segments == (Segment("So it begins.", 1.0, 2.5), Segment("Then it ends.", 3.0, 4.0))
    assert words == (
        Word("So", 1.0, 1.2),
        Word("it", 1.3, 1.5),
        Word("begins.", 1.5, 2.5),
        Word("Then it ends.", 3.1, 3.9),
    )


def test_an_overlapping_segment_ends_where_the_next_one_starts():
    spoken = [
        (Segment("one", 0.0, 5.2), [Word("one", 4.8, 5.2)]),
        (Segment("two", 5.0, 6.0), [Word("two", 5.0, 6.0)]),
    ]
    words, segments = well_formed(spoken, duration=10)
    assert [(s.start, s.end) for s in segments] == [(0.0, 5.0), (5.0, 6.0)]
    assert [(w.start, w.end) for w in words] == [(4.8, 5.0), (5.0, 6.0)]


def test_a_word_that_runs_into_the_next_one_is_cut_there():
    spoken = [(Segment("a b", 0, 4), [Word("a", 0.5, 3.9), Word("b", 1.0, 2.0)])]
    words, _ = well_formed(spoken, duration=10)
    assert words == (Word("a", 0.5, 1.0), Word("b", 1.0, 2.0))


def test_segments_out_of_order_are_sorted():
    spoken = [(Segment("later", 5, 6), []), (Segment("sooner", 1, 2), [])]
    _, segments = well_formed(spoken, duration=10)
    assert [s.text for s in segments] == ["sooner", "later"]


def test_what_starts_after_the_end_is_dropped_and_what_runs_past_it_is_cut():
    spoken = [(Segment("cut", 8, 12), []), (Segment("gone", 10, 12), [])]
    words, segments = well_formed(spoken, duration=10)
    assert segments == (Segment("cut", 8, 10),)
    assert words == (Word("cut", 8, 10),)


def test_what_starts_after_an_end_between_two_milliseconds_is_dropped_too():
    assert well_formed([(Segment("gone", 12, 13), [])], duration=10.0004) == ((), ())


def test_a_segment_without_words_gets_its_words_spread():
    words, _ = well_formed([(Segment("a bbb", 1.0, 7.0), [])], duration=10)
    assert words == (Word("a", 1.0, 3.0), Word("bbb", 3.0, 7.0))


def test_words_are_spread_in_proportion_to_their_length():
    words = spread_words("to  befriend\nwe", start=0.0, end=15.0)
    assert [w.text for w in words] == ["to", "befriend", "we"]
    assert [w.end - w.start for w in words] == pytest.approx([3.0, 9.0, 3.0])


def test_spreading_nothing_gives_nothing():
    assert spread_words(" \n", start=0, end=1) == ()


def test_nul_and_lone_surrogates_are_removed():
    assert clean_text("  a\x00b \ud800\n c ") == "ab c"


@pytest.mark.parametrize(
    ("texts", "whole"),
    [
        (["One.", "Two."], "One. Two."),
        (["今日は", "橋。", "はい"], "今日は橋。はい"),
        (["我用", "iPhone", "15，", "很好"], "我用 iPhone 15，很好"),
        (["한국어", "", "단어"], "한국어 단어"),
    ],
)
def test_chinese_and_japanese_are_joined_without_spaces(texts, whole):
    assert joined(texts) == whole


@given(st.text('今日はー「」、。（a1é."( 한국', max_size=30))
def test_splitting_words_loses_nothing_and_joining_splits_the_same_again(text):
    words = split_words(text)
    assert "".join(words) == "".join(text.split())
    assert all(words)
    assert split_words(" ".join(words)) == words


@pytest.mark.parametrize("duration", [-1.0, math.nan, math.inf])
def test_a_duration_that_is_none_is_refused(duration):
    with pytest.raises(ValueError, match="duration"):
        well_formed([], duration=duration)


def test_joined_puts_single_spaces_between_segments():
    spoken = [(Segment("One.", 0, 1), ()), (Segment("Two.", 1, 2), ())]
    transcript = transcript_from(
        spoken, duration=2, language="en", service="s", processing_time_seconds=1.0
    )
    assert transcript.full_text == "One. Two."
