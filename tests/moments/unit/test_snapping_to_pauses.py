"""Boundaries are put into pauses, between words, and stay near their root."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moment_finding_samples import TOLERANCE, config, configs, spoken, talk, transcripts

from videomoments_dagster.moments.finding.extractive import find_moments, score_moments
from videomoments_dagster.moments.finding.outcomes import Boundaries
from videomoments_dagster.moments.finding.snapping import (
    Snapped,
    pauses_between_words,
    snap_to_pauses,
)
from videomoments_dagster.moments.finding.speech_layout import LengthLimits
from videomoments_dagster.moments.records import GenerationConfig
from videomoments_dagster.speech.transcripts import Transcript, Word

TALK = talk()
SECONDS = TALK.words[-1].end
ANY = config()


def snap(
    chosen: Sequence[Boundaries],
    *,
    transcript: Transcript = TALK,
    pauses: Sequence[tuple[float, float]] | None = None,
    roots: Sequence[Boundaries] = (),
    limits: GenerationConfig = ANY,
    max_shift: float = 5.0,
    duration: float = SECONDS + 1,
) -> Snapped:
    if pauses is None:
        pauses = pauses_between_words(transcript, duration_seconds=duration)
    return snap_to_pauses(
        chosen,
        roots or chosen,
        transcript,
        pauses=pauses,
        config=limits,
        max_shift_seconds=max_shift,
        duration_seconds=duration,
    )


def is_inside_a_word(time: float, words: Sequence[Word]) -> bool:
    return any(word.start < time < word.end for word in words)


@st.composite
def heard(draw: st.DrawFn, duration: float) -> list[tuple[float, float]]:
    """Pauses anywhere, whatever the words say."""
    times = sorted(
        draw(st.sets(st.floats(0, duration), max_size=12)) if duration else [], reverse=True
    )
    pairs = [(times.pop(), times.pop()) for _ in range(len(times) // 2)]
    return [(start, end) for start, end in pairs if end - start >= 0.25]


@settings(deadline=None, max_examples=400)
@given(
    sample=transcripts(),
    limits=configs(),
    max_shift=st.sampled_from([0.0, 0.1, 1.0, 5.0, 600.0]),
    data=st.data(),
)
def test_boundaries_keep_every_promise(
    sample: tuple[Transcript, float],
    limits: GenerationConfig,
    max_shift: float,
    data: st.DataObject,
) -> None:
    transcript, duration = sample
    pauses = data.draw(heard(duration))
    times = sorted(data.draw(st.sets(st.floats(0, max(duration, 1.0)), min_size=2, max_size=8)))
    roots = [Boundaries(start, end) for start, end in zip(times[::2], times[1::2], strict=False)]
    given_all = {
        "transcript": transcript,
        "pauses": pauses,
        "roots": roots,
        "limits": limits,
        "max_shift": max_shift,
        "duration": duration,
    }
    snapped = snap(roots, **given_all).boundaries
    assert len(snapped) == len(roots)
    for one, root in zip(snapped, roots, strict=True):
        if one == root:
            continue
        assert 0 <= one.start_time < one.end_time <= duration
        assert abs(one.start_time - root.start_time) <= max_shift
        assert abs(one.end_time - root.end_time) <= max_shift
        assert LengthLimits.of(limits).met_by(one.length)
        assert not is_inside_a_word(one.start_time, transcript.words)
        assert not is_inside_a_word(one.end_time, transcript.words)
    assert all(before.end_time <= after.start_time for before, after in pairwise(snapped))
    assert snap(snapped, **given_all).boundaries == snapped


@settings(deadline=None, max_examples=100)
@given(sample=transcripts(), limits=configs())
def test_found_moments_keep_their_limits_and_their_order(
    sample: tuple[Transcript, float], limits: GenerationConfig
) -> None:
    transcript, duration = sample
    found = find_moments(transcript, duration_seconds=duration, config=limits).drafts
    roots = [Boundaries(one.start_time, one.end_time) for one in found]
    snapped = snap(roots, transcript=transcript, limits=limits, duration=duration).boundaries
    assert all(LengthLimits.of(limits).met_by(one.length) for one in snapped)
    assert all(a.end_time <= b.start_time + TOLERANCE for a, b in pairwise(snapped))


def test_a_breath_is_left_before_the_first_word_and_after_the_last() -> None:
    first, last = TALK.segments[6], TALK.segments[8]
    [one] = snap([Boundaries(first.start, last.end)]).boundaries
    assert one == pytest.approx((first.start - 0.1, last.end + 0.15))


def test_the_pause_that_is_heard_counts_more_than_the_words_times() -> None:
    first, last = TALK.segments[6], TALK.segments[8]
    # The engine wrote the first word down too late, and the last one's end too early.
    quiet = [(first.start - 0.5, first.start - 0.2), (last.end + 0.05, last.end + 1.0)]
    [one] = snap([Boundaries(first.start, last.end)], pauses=quiet).boundaries
    assert one == pytest.approx((first.start - 0.3, last.end + 0.2))


def test_a_short_sentence_gives_way_to_a_pause() -> None:
    sentences = ["Right, then.", "The dough rises in a warm kitchen.", "It is done."]
    transcript = spoken(sentences, start=5.0)
    words = transcript.words
    quiet = [(words[1].end, words[2].start)]
    [one] = snap(
        [Boundaries(words[0].start, words[-1].end)], transcript=transcript, pauses=quiet
    ).boundaries
    assert one.start_time == pytest.approx(words[2].start - 0.1)


def test_a_whole_sentence_does_not() -> None:
    sentences = [
        "The dough needs some more salt and a little of the water.",
        "It rises in a warm kitchen.",
        "It is done.",
    ]
    transcript = spoken(sentences, start=5.0)
    words = transcript.words
    quiet = [(words[11].end, words[12].start)]
    root = Boundaries(words[0].start, words[-1].end)
    [one] = snap([root], transcript=transcript, pauses=quiet).boundaries
    assert one.start_time == root.start_time


def test_the_ends_of_the_video_count_as_pauses() -> None:
    segments = TALK.segments
    root = Boundaries(segments[0].start, segments[-1].end)
    quiet = [(segments[0].end, segments[1].start), (segments[-2].end, segments[-1].start)]
    assert snap([root], pauses=quiet, duration=SECONDS).boundaries == (root,)


def test_a_leading_conjunction_goes() -> None:
    transcript = spoken(["It is warm.", "And the dough rises in a bowl.", "It is done."])
    words = transcript.words
    short = [*words[:3], Word("And", words[3].start, words[4].start), *words[4:]]
    transcript = Transcript("", tuple(short), transcript.segments, "en", "sample", 0.0)
    # "And" lasts a quarter of a second, so that the pause is near still.
    short[3] = Word("And", words[4].start - 0.25, words[4].start)
    transcript = Transcript("", tuple(short), transcript.segments, "en", "sample", 0.0)
    snapped = snap([Boundaries(short[3].start, short[-1].end)], transcript=transcript)
    assert snapped.boundaries[0].start_time == short[4].start
    assert snapped.openers == 1


def test_what_was_chosen_in_mid_sentence_stays_there_where_no_pause_is_near() -> None:
    root = Boundaries(TALK.words[20].start, TALK.words[50].end)
    assert snap([root], pauses=[]).boundaries == (root,)


def test_a_shift_of_nothing_changes_nothing() -> None:
    root = Boundaries(1.234, 20.001)
    assert snap([root], max_shift=0.0).boundaries == (root,)


def test_two_moments_share_a_pause() -> None:
    segments = TALK.segments
    roots = [
        Boundaries(segments[0].start, segments[5].end),
        Boundaries(segments[6].start, segments[11].end),
    ]
    before, after = snap(roots).boundaries
    assert segments[5].end < before.end_time <= after.start_time < segments[6].start


def test_a_moment_in_its_pauses_scores_as_its_words_do() -> None:
    root = Boundaries(TALK.segments[6].start, TALK.segments[8].end)
    [snapped] = snap([root]).boundaries
    assert snapped != root
    [score], [own] = (
        score_moments([one], TALK, duration_seconds=SECONDS + 1).scores for one in (snapped, root)
    )
    assert score is not None
    assert own is not None
    # It is a quarter of a second longer.
    assert abs(score - own) <= 1
