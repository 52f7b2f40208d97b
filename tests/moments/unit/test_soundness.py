"""Rules about stored results, each with a result that breaks it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stored_records import FACTS, SILENCE, configs, moment, refined

from videomoments_dagster.media.facts import MediaFacts
from videomoments_dagster.moments.records import Clip, Moments, Video
from videomoments_dagster.moments.soundness import (
    clip_problems,
    config_problems,
    moments_without_clip,
    overlap_problems,
    picture_problem,
    place_problems,
    refinement_problems,
    size_problems,
    speech_problems,
    word_time_problems,
)
from videomoments_dagster.speech.transcripts import Segment, Transcript, Word, well_formed

DURATION = 60.0
ROOTS = (moment("talk", 5, 15), moment("talk", 20, 32))
CHILDREN = tuple(refined("talk", root) for root in ROOTS)


def spoken(*times: tuple[float, float]) -> Transcript:
    return replace(SILENCE, words=tuple(Word(f"w{n}", *one) for n, one in enumerate(times)))


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ([(1, 2), (0.5, 3)], "word 2, 'w1', starts at 0.50 s, before the word before it"),
        ([(1, 2), (59, 61)], "is not inside the video of 60.00 s"),
        ([(-1, 2)], "is not inside the video"),
        ([(3, 2)], "ends at 2.00 s before it starts at 3.00 s"),
        ([(float("nan"), 2)], "has no time"),
    ],
)
def test_words_out_of_order_or_out_of_the_video_are_named(
    times: list[tuple[float, float]], said: str
) -> None:
    [problem] = word_time_problems(spoken(*times), duration_seconds=DURATION)
    assert said in problem


@given(
    st.lists(st.tuples(st.floats(-5, 80), st.floats(0, 9)), max_size=30),
    st.floats(min_value=1, max_value=60),
)
def test_whatever_engines_hear_is_in_order_once_it_is_well_formed(
    times: list[tuple[float, float]], duration: float
) -> None:
    said = [
        (Segment("w", start, start + length), (Word("w", start, start + length),))
        for start, length in times
    ]
    words, _ = well_formed(said, duration=duration)
    transcript = replace(SILENCE, words=words)
    assert word_time_problems(transcript, duration_seconds=duration) == ()


def test_an_odd_amount_of_speech_is_told_and_none_is_not() -> None:
    assert speech_problems(SILENCE, duration_seconds=3600) == ()
    usual = spoken(*((n * 0.4, n * 0.4 + 0.3) for n in range(1000)))
    assert speech_problems(usual, duration_seconds=400) == ()
    [little] = speech_problems(spoken((1, 1.4), (1.5, 1.8)), duration_seconds=3600)
    assert "in only 1 s of 1:00:00" in little
    rushed = spoken(*((n * 0.01, n * 0.01 + 0.01) for n in range(500)))
    [pace] = speech_problems(rushed, duration_seconds=20)
    assert "words come in a minute of speech" in pace
    [slow] = speech_problems(spoken((0, 30)), duration_seconds=60)
    assert "2 words" in slow


@pytest.mark.parametrize(("start", "end"), [(10, 10), (12, 10), (float("nan"), 10)])
def test_a_moment_without_a_length_is_told(start: float, end: float) -> None:
    bad = replace(ROOTS[0], start_time=start, end_time=end)
    assert "has no length" in place_problems([bad], duration_seconds=DURATION)[0]


def test_moments_outside_the_video_or_on_top_of_each_other_are_told() -> None:
    assert place_problems(ROOTS, duration_seconds=DURATION) == ()
    assert "is not inside the video" in place_problems(ROOTS, duration_seconds=31.9)[0]
    assert overlap_problems(ROOTS) == ()
    [overlap] = overlap_problems([*ROOTS, moment("talk", 31, 40)])
    assert "from 31.00 s to 40.00 s overlaps" in overlap


def test_moments_that_only_touch_do_not_overlap() -> None:
    assert overlap_problems([moment("talk", 0, 10), moment("talk", 10, 20)]) == ()


def test_a_long_moment_overlaps_all_that_lie_in_it() -> None:
    inside = [moment("talk", 0, 50), moment("talk", 5, 10), moment("talk", 20, 30)]
    assert len(overlap_problems(inside)) == 2


def test_moments_that_are_not_what_the_config_asks_for_are_told() -> None:
    config = replace(configs().generation, min_moments=2, max_moments=2)
    assert config_problems(Moments(ROOTS), config) == ()
    [short] = config_problems(Moments(ROOTS), replace(config, min_moment_length=11))
    assert "at least 11 s are wanted" in short
    [long] = config_problems(Moments(ROOTS), replace(config, max_moment_length=10))
    assert "at most 10 s are wanted" in long
    [many] = config_problems(Moments(ROOTS), replace(config, min_moments=0, max_moments=1))
    assert "at most 1 are wanted" in many
    [few] = config_problems(Moments(ROOTS[:1]), config)
    assert "nothing says why" in few
    assert config_problems(Moments(ROOTS[:1], why_fewer="There is no more."), config) == ()


def test_refined_moments_that_went_astray_are_told() -> None:
    def problems(*children: Any) -> tuple[str, ...]:
        return refinement_problems(Moments(children), Moments(ROOTS), configs())

    assert problems(*CHILDREN) == ()
    far = replace(CHILDREN[0], end_time=CHILDREN[0].end_time + 3)
    assert "3.50 s away" in problems(far, CHILDREN[1])[0]
    assert "has 0 refined moments" in problems(CHILDREN[0])[0]
    assert "has 2 refined moments" in problems(*CHILDREN, CHILDREN[1])[0]
    orphan = replace(CHILDREN[0], parent_identifier="0" * 16)
    assert "refines no moment that there is" in problems(orphan, *CHILDREN)[0]


@given(st.floats(-2.5, 2.5), st.floats(-2.5, 2.5))
def test_any_shift_that_is_allowed_is_no_problem(left: float, right: float) -> None:
    children = [
        replace(child, start_time=root.start_time + left, end_time=root.end_time + right)
        for root, child in zip(ROOTS, CHILDREN, strict=True)
    ]
    assert refinement_problems(Moments(tuple(children)), Moments(ROOTS), configs()) == ()


VIDEO = Video("talk", None, "file:///v.mp4", "0" * 64, replace(FACTS, duration_seconds=DURATION))


def clip(**fields: Any) -> Clip:
    made = Clip(
        moment_identifier=ROOTS[0].identifier,
        cloud_url="file:///c.mp4",
        start_time=4.0,
        end_time=16.0,
        padding_left=1.0,
        padding_right=1.0,
        file_size_kb=2,
        format="mp4",
        video_codec="h264",
        audio_codec="aac",
        resolution="1080x1920",
    )
    return replace(made, **fields)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"duration_seconds": 11.0}, "is 11.00 s long, and its row says 12.00 s"),
        ({"duration_seconds": 13.0}, "is 13.00 s long"),
        ({"audio": None}, "has no sound"),
        ({"video": None}, "has no picture"),
    ],
)
def test_a_clip_that_is_not_what_its_row_says_is_told(found: dict[str, Any], said: str) -> None:
    fine: MediaFacts = replace(FACTS, duration_seconds=12.01)
    assert clip_problems(clip(), fine, source=VIDEO) == ()
    [problem] = clip_problems(clip(), replace(fine, **found), source=VIDEO)
    assert said in problem


def test_a_clip_of_a_video_without_sound_needs_none() -> None:
    silent = replace(VIDEO, facts=replace(VIDEO.facts, audio=None))
    found = replace(FACTS, duration_seconds=12.0, audio=None)
    assert clip_problems(clip(audio_codec=None), found, source=silent) == ()


def test_moments_without_a_clip_are_found() -> None:
    assert moments_without_clip(Moments(ROOTS), [clip()]) == ROOTS[1:]


def test_sizes_and_pictures_are_compared() -> None:
    assert size_problems("u", found_bytes=1025, expected_kibibytes=2) == ()
    assert size_problems("u", found_bytes=1025, expected_kibibytes=None) == ()
    assert "has 2049 bytes" in size_problems("u", found_bytes=2049, expected_kibibytes=2)[0]
    assert picture_problem("it", 0.5) == ""
    assert picture_problem("it", 0.01) == "it is black, white or blank"
