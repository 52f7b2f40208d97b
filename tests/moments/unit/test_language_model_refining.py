"""Boundaries by a model: on word edges, near their parent, and never worse than before."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from interviews import ImaginedInterviewer, Silent
from moment_finding_samples import TOLERANCE, config, configs, long_talk, talk, transcripts

from videomoments_dagster.base.failures import SettingsRejected
from videomoments_dagster.language_models.questions import Question, estimated_tokens
from videomoments_dagster.moments.finding.extractive import find_moments
from videomoments_dagster.moments.finding.language_model.refining import refine_with_language_model
from videomoments_dagster.moments.finding.outcomes import Boundaries, Refined
from videomoments_dagster.moments.records import GenerationConfig
from videomoments_dagster.speech.transcripts import Transcript

TALK = talk()
SECONDS = TALK.words[-1].end
OWN = re.compile(r"begins with word (\d+) and ends with word (\d+)\.")
NUMBERED = re.compile(r"(\d+):(\S+)")
# Words of the talk, a root of some twelve seconds.
ROOT = Boundaries(TALK.words[20].start, TALK.words[50].end)


class Pictures:
    """Gives a JPEG's first bytes and the time, and remembers what was asked for."""

    def __init__(self, *, missing: int = 0) -> None:
        self.asked: list[float] = []
        self._missing = missing

    def frames(self, times_seconds: Sequence[float]) -> tuple[bytes, ...]:
        self.asked += times_seconds
        return tuple(f"jpeg {time}".encode() for time in times_seconds[self._missing :])


def refine(
    roots: Sequence[Boundaries],
    answers: Callable[[Question[Any, Any]], Any],
    *,
    transcript: Transcript = TALK,
    duration: float = SECONDS,
    limits: GenerationConfig | None = None,
    max_shift: float = 3.0,
    pictures: Pictures | None = None,
    **options: Any,
) -> tuple[Refined, list[Question[Any, Any]]]:
    interviewer = ImaginedInterviewer(answers, **options)
    refined = refine_with_language_model(
        roots,
        transcript,
        config=limits or config(min_length=3, max_length=60),
        max_shift_seconds=max_shift,
        duration_seconds=duration,
        interviewer=interviewer,
        frames=pictures,
    )
    return refined, interviewer.questions


def shifted(first: int, last: int) -> Callable[[Question[Any, Any]], Any]:
    """Answers with the root's own words, moved by so many words."""

    def answers(question: Question[Any, Any]) -> Any:
        match = OWN.search(question.user)
        assert match
        return {
            "first_word": int(match[1]) + first,
            "last_word": int(match[2]) + last,
            "reason": "better",
        }

    return answers


def test_a_model_moves_both_boundaries_by_naming_words() -> None:
    refined, [question] = refine([ROOT], shifted(2, -3))
    assert refined.boundaries == (Boundaries(TALK.words[22].start, TALK.words[47].end),)
    assert refined.report.counts == {"moved": 1}
    assert question.purpose == "refine"


def test_a_model_may_leave_a_moment_as_it_is() -> None:
    refined, _ = refine([ROOT], shifted(0, 0))
    assert refined.boundaries == (ROOT,)
    assert refined.report.counts == {"good as they were": 1}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"first_word": 9999, "last_word": 1}, "word ids do not exist"),
        ({"first_word": 0, "last_word": 30}, "word ids do not exist"),
        ({"first_word": -5, "last_word": 30}, "word ids do not exist"),
        (shifted(-12, 0), "beyond the allowed shift"),
        (shifted(0, 12), "beyond the allowed shift"),
        ("I refuse.", "no usable answer"),
        ({"first": 1}, "no usable answer"),
    ],
)
def test_nonsense_keeps_the_boundaries_and_is_counted(answer: Any, why: str) -> None:
    refined, _ = refine([ROOT], answer if callable(answer) else lambda _: answer)
    assert refined.boundaries == (ROOT,)
    assert refined.report.counts == {f"kept: {why}": 1}
    # A model that answers badly will do so again: nothing is left to go on with.
    assert refined.report.failures == ()


def test_limits_hold_after_refining() -> None:
    length = ROOT.end_time - ROOT.start_time
    refined, _ = refine(
        [ROOT], shifted(2, -2), limits=config(min_length=length - 0.5, max_length=60)
    )
    assert refined.boundaries == (ROOT,)
    assert refined.report.counts == {"kept: outside the length limits": 1}


def test_a_boundary_that_turns_around_is_refused() -> None:
    root = Boundaries(TALK.words[20].start, TALK.words[22].end)
    refined, _ = refine([root], shifted(4, -2), limits=config())
    assert refined.report.counts == {"kept: ends before it begins": 1}


def test_neighbours_do_not_come_to_overlap() -> None:
    roots = [
        Boundaries(TALK.words[10].start, TALK.words[29].end),
        Boundaries(TALK.words[30].start, TALK.words[49].end),
    ]
    refined, _ = refine(roots, shifted(-2, 2))
    assert refined.boundaries[0] == roots[0]
    assert refined.report.counts["kept: overlaps a neighbour"] >= 1
    first, second = refined.boundaries
    assert first.end_time <= second.start_time


def test_a_server_that_fails_keeps_the_boundaries_and_leaves_something_to_do() -> None:
    def answers(question: Question[Any, Any]) -> Any:
        if question.label == "boundaries of moment 1 of 2":
            raise Silent("the server answered 502")
        return shifted(1, 1)(question)

    second = Boundaries(TALK.words[60].start, TALK.words[80].end)
    refined, _ = refine([ROOT, second], answers)
    assert refined.boundaries[0] == ROOT
    assert refined.boundaries[1] != second
    assert refined.report.failures == ("boundaries of moment 1 of 2: the server answered 502",)
    assert refined.report.retryable


def test_only_words_within_the_shift_have_numbers() -> None:
    _, [question] = refine([ROOT], shifted(0, 0), max_shift=1.0)
    numbers = [int(number) for number, _ in NUMBERED.findall(question.user)]
    own = OWN.search(question.user)
    assert own
    assert {int(own[1]), int(own[2])} <= set(numbers)
    # Words of 0.4 s: two on each side of either boundary, or three over a pause.
    assert 6 <= len(numbers) <= 12


def test_a_question_names_no_time_and_a_refused_word_is_only_context() -> None:
    _, [question] = refine([ROOT], shifted(0, 0))
    assert f"{ROOT.start_time:g}" not in question.user
    assert "<words>" in question.user


def test_a_model_that_sees_gets_pictures_of_the_same_stretch_with_their_places() -> None:
    pictures = Pictures()
    _, [question] = refine([ROOT], shifted(0, 0), pictures=pictures, sees_images=True)
    assert len(question.images) == 4
    assert pictures.asked[0] == ROOT.start_time
    assert all(ROOT.start_time <= time <= ROOT.end_time for time in pictures.asked)
    own = OWN.search(question.user)
    assert own
    assert re.search(rf"shown at the words {own[1]}, \d+, \d+, {own[2]},", question.user)


def test_pictures_that_do_not_decode_are_not_given_wrong_places() -> None:
    pictures = Pictures(missing=2)
    _, [question] = refine([ROOT], shifted(0, 0), pictures=pictures, sees_images=True)
    assert len(question.images) == 2
    assert "shown at the words" not in question.user


def test_a_model_that_sees_nothing_is_shown_nothing() -> None:
    pictures = Pictures()
    _, [question] = refine([ROOT], shifted(0, 0), pictures=pictures, sees_images=False)
    assert question.images == ()
    assert pictures.asked == []


def test_a_long_moment_fits_the_model_and_both_ends_can_be_chosen() -> None:
    transcript = long_talk(words=3000)
    root = Boundaries(transcript.words[100].start, transcript.words[2800].end)
    refined, [question] = refine(
        [root],
        shifted(1, -1),
        transcript=transcript,
        duration=transcript.words[-1].end,
        limits=config(),
        prompt_tokens_at_most=900,
    )
    assert estimated_tokens(question.system) + estimated_tokens(question.user) <= 900
    assert refined.boundaries == (
        Boundaries(transcript.words[101].start, transcript.words[2799].end),
    )


def test_prompts_that_fill_the_context_are_refused() -> None:
    with pytest.raises(SettingsRejected, match="refinement prompts"):
        refine([ROOT], shifted(0, 0), prompt_tokens_at_most=400)


def test_no_moments_ask_nothing() -> None:
    refined, questions = refine([], shifted(0, 0))
    assert refined == Refined(boundaries=())
    assert questions == []


ANSWERS = st.fixed_dictionaries(
    {
        "first_word": st.one_of(st.integers(-2, 16), st.text(max_size=3), st.none()),
        "last_word": st.one_of(st.integers(-2, 16), st.just(10**20), st.floats()),
    },
    optional={"reason": st.one_of(st.text(), st.none())},
)


@settings(max_examples=300)
@given(
    transcripts(),
    configs(),
    st.lists(st.one_of(ANSWERS, st.text(max_size=9)), min_size=1, max_size=6),
    st.sampled_from([0.0, 0.1, 2.0, 400.0]),
)
def test_every_boundary_keeps_every_promise_whatever_the_model_says(
    material: tuple[Transcript, float],
    limits: GenerationConfig,
    answers: list[Any],
    max_shift: float,
) -> None:
    transcript, duration = material
    found = find_moments(transcript, duration_seconds=duration, config=limits)
    roots = [Boundaries(draft.start_time, draft.end_time) for draft in found.drafts]
    waiting = iter(answers * 50)
    refined, _ = refine(
        roots,
        lambda _: next(waiting),
        transcript=transcript,
        duration=duration,
        limits=limits,
        max_shift=max_shift,
    )
    starts = {word.start for word in transcript.words}
    ends = {word.end for word in transcript.words}
    shortest = (limits.min_moment_length or 0.0) - TOLERANCE
    longest = (
        float("inf") if limits.max_moment_length is None else limits.max_moment_length + TOLERANCE
    )
    assert len(refined.boundaries) == len(roots)
    for root, new in zip(roots, refined.boundaries, strict=True):
        assert new.start_time in starts
        assert new.end_time in ends
        assert 0 <= new.start_time < new.end_time <= duration
        assert shortest <= new.end_time - new.start_time <= longest
        assert abs(new.start_time - root.start_time) <= max_shift + TOLERANCE
        assert abs(new.end_time - root.end_time) <= max_shift + TOLERANCE
    for before, after in pairwise(refined.boundaries):
        assert before.end_time <= after.start_time
    assert sum(refined.report.counts.values()) == len(roots)
