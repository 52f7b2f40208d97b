from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st
from moment_finding_samples import TOLERANCE, broken_promises, config, configs, talk, transcripts

from videomoments_dagster.moments.finding.extractive import find_moments, refine_moments
from videomoments_dagster.moments.finding.outcomes import Boundaries
from videomoments_dagster.moments.records import GenerationConfig
from videomoments_dagster.speech.transcripts import Transcript


def refine_boundaries(
    start: float,
    end: float,
    transcript: Transcript,
    *,
    config: GenerationConfig,
    max_shift_seconds: float,
    duration_seconds: float,
) -> tuple[float, float]:
    [refined] = refine_moments(
        [Boundaries(start, end)],
        transcript,
        config=config,
        max_shift_seconds=max_shift_seconds,
        duration_seconds=duration_seconds,
    ).boundaries
    return refined.start_time, refined.end_time


@settings(deadline=None, max_examples=300)
@given(
    sample=transcripts(),
    config=configs(),
    times=st.tuples(st.floats(0, 1500), st.floats(0, 1500)),
    max_shift=st.sampled_from([0.0, 0.1, 1.0, 10.0, 5000.0]),
)
def test_refined_boundaries_are_legal_or_the_parents_own(
    sample: tuple[Transcript, float],
    config: GenerationConfig,
    times: tuple[float, float],
    max_shift: float,
) -> None:
    transcript, duration = sample
    start, end = min(times), max(times)
    refined = refine_boundaries(
        start,
        end,
        transcript,
        config=config,
        max_shift_seconds=max_shift,
        duration_seconds=duration,
    )
    legal = [
        (first.start, last.end)
        for first in transcript.words
        for last in transcript.words
        if abs(first.start - start) <= max_shift
        and abs(last.end - end) <= max_shift
        and 0 <= first.start < last.end <= duration
        and last.end - first.start >= (config.min_moment_length or 0.0) - TOLERANCE
        and last.end - first.start
        <= (math.inf if config.max_moment_length is None else config.max_moment_length) + TOLERANCE
    ]
    assert refined in legal if legal else refined == (start, end)


@settings(deadline=None, max_examples=100)
@given(sample=transcripts(), config=configs())
def test_refined_children_of_found_moments_keep_the_limits(
    sample: tuple[Transcript, float], config: GenerationConfig
) -> None:
    transcript, duration = sample
    found = find_moments(transcript, duration_seconds=duration, config=config)
    children = refine_moments(
        found.drafts,
        transcript,
        config=config,
        max_shift_seconds=5.0,
        duration_seconds=duration,
    ).boundaries
    assert len(children) == len(found.drafts)
    refined = [(child.start_time, child.end_time) for child in children]
    assert broken_promises(refined, transcript, duration=duration, config=config) == []


def refined_talk(start: float, end: float, *, max_shift: float = 3.0) -> tuple[float, float]:
    transcript = talk()
    return refine_boundaries(
        start,
        end,
        transcript,
        config=config(min_length=5.0),
        max_shift_seconds=max_shift,
        duration_seconds=transcript.words[-1].end,
    )


def test_boundaries_in_mid_sentence_move_to_the_sentences_edges() -> None:
    segments = talk().segments
    start, end = segments[6].start, segments[11].end
    assert refined_talk(start + 0.8, end - 1.2) == (start, end)
    assert refined_talk(start - 0.7, end + 1.1) == (start, end)


def test_boundaries_that_are_good_already_stay() -> None:
    segments = talk().segments
    assert refined_talk(segments[6].start, segments[11].end) == (
        segments[6].start,
        segments[11].end,
    )


def test_the_nearer_of_two_equal_edges_is_taken() -> None:
    segments = talk().segments
    assert refined_talk(segments[7].start - 0.5, segments[11].end, max_shift=60.0)[0] == (
        segments[7].start
    )


def test_a_shift_of_nothing_changes_nothing() -> None:
    assert refined_talk(1.234, 20.001, max_shift=0.0) == (1.234, 20.001)
