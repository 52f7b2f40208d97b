from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from moment_finding_samples import TOPICS, long_talk, spoken, talk, transcript_of, transcripts

from videomoments_dagster.moments.finding import extractive
from videomoments_dagster.moments.finding.outcomes import Scored
from videomoments_dagster.speech.transcripts import Transcript


@dataclass(frozen=True)
class Span:
    start_time: float
    end_time: float


def score_moments(
    spans: Sequence[Span], transcript: Transcript, *, duration_seconds: float
) -> tuple[int, ...]:
    scored = extractive.score_moments(spans, transcript, duration_seconds=duration_seconds)
    scores = tuple(score for score in scored.scores if score is not None)
    assert scored == Scored(scores)
    return scores


@settings(deadline=None, max_examples=150)
@given(
    sample=transcripts(max_words=30),
    times=st.lists(st.tuples(st.floats(0, 2000), st.floats(0, 2000)), max_size=5),
)
def test_scores_are_whole_numbers_from_0_to_10_one_a_moment(
    sample: tuple[Transcript, float], times: list[tuple[float, float]]
) -> None:
    transcript, duration = sample
    spans = [Span(min(pair), max(pair)) for pair in times]
    scores = score_moments(spans, transcript, duration_seconds=duration)
    assert len(scores) == len(spans)
    assert all(type(score) is int and 0 <= score <= 10 for score in scores)


def test_a_score_does_not_depend_on_the_other_moments() -> None:
    transcript = long_talk(words=3_000)
    spans = [Span(start, start + 40.0) for start in range(0, 800, 57)]
    together = score_moments(spans, transcript, duration_seconds=1200.0)
    alone = tuple(score_moments([span], transcript, duration_seconds=1200.0)[0] for span in spans)
    assert together == alone


def test_scores_spread_over_the_scale() -> None:
    transcript = long_talk(words=3_000)
    ends = [segment.end for segment in transcript.segments]
    spans = [
        Span(segment.start, ends[at + 8]) for at, segment in enumerate(transcript.segments[:-8])
    ]
    scores = score_moments(spans, transcript, duration_seconds=1200.0)
    assert max(scores) - min(scores) >= 4
    assert len(set(scores)) >= 5


def test_no_words_score_nothing() -> None:
    assert score_moments([Span(0.0, 9.0)], transcript_of([]), duration_seconds=9.0) == (0,)
    late = spoken(TOPICS[0], start=100.0)
    assert score_moments([Span(0.0, 50.0)], late, duration_seconds=200.0) == (0,)
    assert score_moments([], late, duration_seconds=200.0) == ()


def test_whole_sentences_score_higher_than_the_same_stretch_without_its_outer_words() -> None:
    transcript = talk()
    for first in (0, 6, 12):
        start, end = transcript.segments[first].start, transcript.segments[first + 5].end
        whole, cut = score_moments(
            [Span(start, end), Span(start + 0.4, end - 0.4)], transcript, duration_seconds=100.0
        )
        assert whole > cut


def test_dense_speech_scores_higher_than_speech_with_silence() -> None:
    first = spoken(TOPICS[0])
    second = spoken(TOPICS[0], start=first.words[-1].end + 60.0, pause=12.0)
    both = transcript_of(first.words + second.words, first.segments + second.segments)
    dense = Span(first.words[0].start, first.words[-1].end)
    sparse = Span(second.words[0].start, second.words[-1].end)
    scores = score_moments([dense, sparse], both, duration_seconds=1000.0)
    assert scores[0] > scores[1]


def test_central_talk_scores_higher_than_small_talk() -> None:
    small_talk = ["Hello there.", "Okay then.", "So yeah.", "Right, okay.", "Well, thank you."]
    transcript = spoken([*small_talk * 2, *TOPICS[0], *TOPICS[0]])
    split = transcript.segments[len(small_talk) * 2]
    scores = score_moments(
        [Span(0.0, split.start - 0.3), Span(split.start, transcript.words[-1].end)],
        transcript,
        duration_seconds=100.0,
    )
    assert scores[1] >= scores[0] + 3
