from __future__ import annotations

import math
import time
import tracemalloc

import pytest
from hypothesis import example, given, settings
from moment_finding_samples import (
    TOPICS,
    broken_promises,
    config,
    configs,
    long_talk,
    most_disjoint,
    spoken,
    talk,
    transcript_of,
    transcripts,
)

from videomoments_dagster.moments.finding.extractive import Found, find_moments
from videomoments_dagster.moments.finding.titles import TITLE_MAX_WIDTH
from videomoments_dagster.moments.records import GenerationConfig
from videomoments_dagster.speech.transcripts import Segment, Transcript, Word


def spans(found: Found) -> list[tuple[float, float]]:
    return [(draft.start_time, draft.end_time) for draft in found.drafts]


ONE_INSTANT = transcript_of([Word("now", 3.0, 3.0)] * 5)
ONE_WORD = transcript_of([Word("hello", 1.0, 1.5)])
BACK_TO_BACK = transcript_of(
    [Word(f"w{n}", round(n * 0.1, 1), round(n * 0.1 + 0.1, 1)) for n in range(30)]
)


@settings(deadline=None, max_examples=400)
@given(sample=transcripts(), config=configs())
@example(sample=(ONE_INSTANT, 3.0), config=config(min_moments=1))
@example(sample=(ONE_WORD, 1.5), config=config(min_moments=2, max_moments=1))
@example(sample=(BACK_TO_BACK, 3.0), config=config(min_length=0.3, max_length=0.3, min_moments=10))
@example(sample=(BACK_TO_BACK, 3.0), config=config(max_length=0.05, min_moments=1))
def test_every_promise_of_the_config_holds_on_any_transcript(
    sample: tuple[Transcript, float], config: GenerationConfig
) -> None:
    transcript, duration = sample
    found = find_moments(transcript, duration_seconds=duration, config=config)

    assert broken_promises(spans(found), transcript, duration=duration, config=config) == []
    possible = most_disjoint(transcript, duration=duration, config=config)
    at_most = math.inf if config.max_moments is None else config.max_moments
    wanted = max(config.min_moments or 0, 1)
    assert len(found.drafts) >= min(wanted, possible, at_most)
    assert bool(found.why_fewer) == (len(found.drafts) < wanted)
    for draft in found.drafts:
        assert 0 < len(draft.title) <= TITLE_MAX_WIDTH
        assert not set("<>{}[]\n") & set(draft.title)
        assert 0.0 <= draft.strength <= 1.0


@settings(deadline=None, max_examples=100)
@given(sample=transcripts(max_words=60), config=configs())
def test_the_same_words_twice_give_the_same_moments(
    sample: tuple[Transcript, float], config: GenerationConfig
) -> None:
    transcript, duration = sample
    first = find_moments(transcript, duration_seconds=duration, config=config)
    assert find_moments(transcript, duration_seconds=duration, config=config) == first


def test_words_that_break_the_transcripts_contract_do_not_break_a_promise() -> None:
    words = [
        Word("later.", 50.0, 52.0),
        Word("early", -1.0, 0.5),
        Word("lost", math.nan, 4.0),
        Word("backwards", 9.0, 8.0),
        Word("long", 2.0, 40.0),
        Word("inside", 3.0, 5.0),
        Word("beyond", 58.0, 61.0),
    ]
    limits = config(min_length=1.0, min_moments=2)
    transcript = transcript_of(words, [Segment("odd", 70.0, 20.0)])
    found = find_moments(transcript, duration_seconds=60.0, config=limits)
    assert broken_promises(spans(found), transcript, duration=60.0, config=limits) == []
    assert len(found.drafts) >= 2


def test_three_topics_become_three_moments_at_their_edges() -> None:
    transcript = talk()
    found = find_moments(
        transcript,
        duration_seconds=transcript.words[-1].end,
        config=config(min_length=10.0, max_length=60.0, min_moments=3, max_moments=3),
    )
    topics = [
        (transcript.segments[6 * n].start, transcript.segments[6 * n + 5].end)
        for n in range(len(TOPICS))
    ]
    assert spans(found) == topics
    assert found.why_fewer == ""


def test_titles_are_phrases_of_their_own_stretch_and_differ() -> None:
    transcript = talk()
    found = find_moments(
        transcript,
        duration_seconds=transcript.words[-1].end,
        config=config(min_length=10.0, max_length=60.0, min_moments=3, max_moments=3),
    )
    for draft, topic in zip(found.drafts, TOPICS, strict=True):
        assert any(draft.title.lower() in sentence.lower() for sentence in topic)
    assert len({draft.title for draft in found.drafts}) == 3


def test_moments_start_and_end_with_sentences_where_the_limits_let_them() -> None:
    transcript = talk()
    found = find_moments(
        transcript,
        duration_seconds=transcript.words[-1].end,
        config=config(min_length=5.0, max_length=12.0, min_moments=4),
    )
    assert len(found.drafts) >= 4
    assert {draft.start_time for draft in found.drafts} <= {s.start for s in transcript.segments}
    assert {draft.end_time for draft in found.drafts} <= {s.end for s in transcript.segments}


def test_silence_between_two_stretches_is_not_in_a_moment() -> None:
    first = spoken(TOPICS[0])
    second = spoken(TOPICS[1], start=first.words[-1].end + 300.0)
    both = transcript_of(first.words + second.words, first.segments + second.segments)
    found = find_moments(
        both,
        duration_seconds=both.words[-1].end,
        config=config(min_length=10.0, min_moments=2, max_moments=2),
    )
    [before, after] = spans(found)
    assert before[1] <= first.words[-1].end
    assert after[0] >= second.words[0].start


@pytest.mark.parametrize(
    ("transcript", "limits", "reason"),
    [
        (transcript_of([]), config(), "There is no speech."),
        (
            spoken(["One two three four five."]),
            config(min_length=30.0),
            "The speech spans only 2.0 s, shorter than the minimum moment length of 30 s.",
        ),
        (
            ONE_INSTANT,
            config(),
            "The speech takes no time: all words begin and end at the same instant.",
        ),
        (
            transcript_of([Word("one", 0.0, 5.0), Word("two", 20.0, 25.0)]),
            config(min_length=6.0, max_length=10.0),
            "No stretch from a word's start to a word's end is between 6 and 10 s long.",
        ),
        (
            spoken(["One two three four five."]),
            config(min_length=1.5, min_moments=4),
            (
                "The speech has room for only 1 separate moment of at least 1.5 s, fewer than "
                "the 4 wanted."
            ),
        ),
        (
            talk(),
            config(min_moments=5, max_moments=2),
            "The configuration keeps at most 2 moments.",
        ),
    ],
)
def test_too_few_moments_come_with_the_reason(
    transcript: Transcript, limits: GenerationConfig, reason: str
) -> None:
    found = find_moments(transcript, duration_seconds=1000.0, config=limits)
    assert found.why_fewer == reason


def test_three_hours_of_speech_take_seconds_and_little_memory() -> None:
    transcript = long_talk(words=30_000)
    limits = config(min_length=20.0, max_length=90.0, min_moments=5, max_moments=20)
    began = time.process_time()
    found = find_moments(transcript, duration_seconds=20_000.0, config=limits)
    assert time.process_time() - began < 5.0
    assert len(found.drafts) == 20

    tracemalloc.start()
    try:
        find_moments(transcript, duration_seconds=20_000.0, config=limits)
        assert tracemalloc.get_traced_memory()[1] < 200e6
    finally:
        tracemalloc.stop()


def test_hours_of_words_without_any_structure_take_seconds() -> None:
    words = [Word("same", round(n * 0.3, 1), round(n * 0.3 + 0.3, 1)) for n in range(30_000)]
    limits = config(min_length=20.0, max_length=20.3, min_moments=300)
    began = time.process_time()
    found = find_moments(transcript_of(words), duration_seconds=9_001.0, config=limits)
    assert time.process_time() - began < 5.0
    assert len(found.drafts) >= 300
