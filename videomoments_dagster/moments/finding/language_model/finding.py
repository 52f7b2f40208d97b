"""Finding moments with a language model.

Belongs here: putting windows, questions, grounding, mending and merging together. Does not belong
here: any of those, HTTP, or scores: scoring is a pass of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from videomoments_dagster.base.failures import (
    LanguageModelFailed,
    LanguageModelUnavailable,
    SettingsRejected,
)
from videomoments_dagster.language_models.questions import (
    Interpreted,
    Interviewer,
    Outcome,
    Question,
    Sampling,
    Spent,
    estimated_tokens,
)
from videomoments_dagster.moments.finding.centrality import inverse_document_frequency
from videomoments_dagster.moments.finding.language_model.answers import FindingAnswer
from videomoments_dagster.moments.finding.language_model.finding_question import (
    system_message,
    user_message,
)
from videomoments_dagster.moments.finding.language_model.grounding import (
    Grade,
    Ungrounded,
    WindowWords,
)
from videomoments_dagster.moments.finding.language_model.mending import Mender, Span, Unmendable
from videomoments_dagster.moments.finding.language_model.merging import Candidate, merged
from videomoments_dagster.moments.finding.language_model.windows import (
    Window,
    transcript_windows,
    window_text,
)
from videomoments_dagster.moments.finding.outcomes import Found, MomentDraft, WorkReport
from videomoments_dagster.moments.finding.speech import (
    LengthLimits,
    SpeechLayout,
    lay_out,
    sentence_edges,
)
from videomoments_dagster.moments.finding.terms import sentence_terms
from videomoments_dagster.moments.finding.titles import plain_title, title_of
from videomoments_dagster.moments.records import GenerationConfig
from videomoments_dagster.speech.transcript import Transcript

_FEWEST_TOKENS = 200
_USUAL_LONGEST = 120.0
_HIGHEST_RATING = 10.0
_TITLE_CHARACTERS = 120
_DROPPED = "dropped: "
_GROUNDED = {
    Grade.EXACT: "grounded exactly",
    Grade.NEAR: "grounded near the named line",
    Grade.LINE: "grounded by the line alone",
}

_Question = Question[FindingAnswer, "WindowFindings"]


@dataclass(frozen=True, slots=True)
class WindowFindings:
    """What a model's answer about one window came to.

    Attributes:
        candidates: Moments within the limits.
        counts: Moments named, grounded, mended and dropped, by reason.
    """

    candidates: tuple[Candidate, ...]
    counts: Counter[str]


def find_with_language_model(
    transcript: Transcript,
    *,
    duration_seconds: float,
    config: GenerationConfig,
    interviewer: Interviewer,
) -> Found:
    """Find the moments that a model names.

    Every moment starts at a word's start and ends at a word's end, lies inside the video and meets
    the configured lengths, whatever the model says; there are at most `max_moments`, and none
    overlaps another.

    Args:
        transcript: What is said.
        duration_seconds: Length of the video.
        config: Prompts, sampling and limits.
        interviewer: Asks the model.

    Raises:
        LanguageModelRefused: If the server wants no question at all.
        LanguageModelUnavailable: If no window was answered, and asking later may help.
        LanguageModelFailed: If no window was answered, and it will not.
        SettingsRejected: If the prompts alone fill the model's context.
    """
    layout = lay_out(transcript, duration_seconds=duration_seconds)
    if not layout.words:
        return Found(drafts=(), why_fewer="There is no speech.")
    limits = LengthLimits.of(config)
    mender = Mender(layout, limits)
    questions = _questions(layout, config=config, mender=mender, interviewer=interviewer)
    outcomes = interviewer.ask_all(questions)
    findings = [outcome.value for outcome in outcomes if outcome.value is not None]
    failures = tuple(
        f"{question.label}: {outcome.failure}"
        for question, outcome in zip(questions, outcomes, strict=True)
        if outcome.value is None
    )
    if not findings:
        raise _nothing_answered(interviewer, outcomes)
    kept, settled = merged(
        [candidate for finding in findings for candidate in finding.candidates],
        mender=mender,
        at_most=None if config.max_moments is None else max(config.max_moments, 0),
    )
    counts = reduce(add, (finding.counts for finding in findings), Counter()) + settled
    return Found(
        drafts=_drafts(kept, layout=layout, language=transcript.language),
        why_fewer=_why_fewer(
            counts, kept=len(kept), config=config, failed=len(failures), asked=len(questions)
        ),
        report=WorkReport(
            spent=reduce(add, (outcome.spent for outcome in outcomes), Spent()),
            counts=dict(counts),
            failures=failures,
            retryable=any(outcome.retryable for outcome in outcomes),
        ),
    )


def _questions(
    layout: SpeechLayout, *, config: GenerationConfig, mender: Mender, interviewer: Interviewer
) -> list[_Question]:
    system = system_message(config)
    # Whatever share a window has, the rest of its question is about as long.
    around = estimated_tokens(system) + estimated_tokens(user_message(config, text="", share=1.0))
    room = interviewer.prompt_tokens_at_most - around
    if room < _FEWEST_TOKENS:
        raise SettingsRejected(
            f"the profile's prompts take some {around} tokens of the "
            f"{interviewer.prompt_tokens_at_most} that a question to '{interviewer.model_name}' "
            "may have",
            remedy="Shorten the prompts, or raise `context_window` and `window_tokens` of the "
            "model",
        )
    longest = _USUAL_LONGEST if config.max_moment_length is None else config.max_moment_length
    windows = transcript_windows(layout.sentences, tokens_at_most=room, overlap_seconds=longest)
    questions: list[_Question] = []
    for number, window in enumerate(windows, start=1):
        share = (window.stop - window.first) / len(layout.sentences)
        text = window_text(layout.sentences, window)
        questions.append(
            Question(
                purpose="find",
                label=f"window {number} of {len(windows)}",
                system=system,
                user=user_message(config, text=text, share=share),
                answer_type=FindingAnswer,
                interpret=_Reading(layout, window, mender),
                sampling=Sampling(
                    temperature=config.temperature, top_p=config.top_p, top_k=config.top_k
                ),
            )
        )
    return questions


class _Reading:
    """Reads the answers about one window."""

    def __init__(self, layout: SpeechLayout, window: Window, mender: Mender) -> None:
        self._layout = layout
        self._window = window
        self._mender = mender
        self._words: WindowWords | None = None

    def __call__(self, answer: FindingAnswer) -> Interpreted[WindowFindings]:
        """Ground and mend what was named; nothing that was named goes uncounted."""
        if self._words is None:
            self._words = WindowWords(self._layout.words, self._layout.sentences, self._window)
        counts: Counter[str] = Counter(
            {
                "named": len(answer.moments) + answer.malformed + answer.beyond,
                f"{_DROPPED}wrong shape": answer.malformed,
                f"{_DROPPED}too many at once": answer.beyond,
            }
        )
        candidates: list[Candidate] = []
        notes: list[dict[str, Any]] = []
        for named in answer.moments:
            note: dict[str, Any] = {"lines": [named.first_line, named.last_line]}
            notes.append(note)
            try:
                grounded = self._words.ground(named)
                span = Span(
                    self._layout.words[grounded.first].start, self._layout.words[grounded.last].end
                )
                mended = self._mender.mended(span)
            except (Ungrounded, Unmendable) as why:
                counts[f"{_DROPPED}{why}"] += 1
                note["dropped"] = str(why)
                continue
            counts[_GROUNDED[grounded.grade]] += 1
            if mended != span:
                longer = mended.length > span.length
                counts["made longer" if longer else "made shorter"] += 1
            note |= {
                "grounding": grounded.grade.name.lower(),
                "named": [span.start, span.end],
                "start_time": mended.start,
                "end_time": mended.end,
            }
            candidates.append(
                Candidate(
                    span=mended,
                    title=plain_title(named.title, at_most=_TITLE_CHARACTERS),
                    rating=named.rating,
                    grade=grounded.grade,
                )
            )
        return Interpreted(
            WindowFindings(candidates=tuple(candidates), counts=+counts),
            notes={"moments": notes},
        )


def _nothing_answered(
    interviewer: Interviewer, outcomes: Sequence[Outcome[WindowFindings]]
) -> LanguageModelUnavailable | LanguageModelFailed:
    reasons = Counter(outcome.failure for outcome in outcomes)
    [(reason, _)] = reasons.most_common(1)
    windows = "the transcript" if len(outcomes) == 1 else f"any of its {len(outcomes)} windows"
    sentence = (
        f"the model '{interviewer.model_name}' gave no usable answer about {windows}: {reason}"
    )
    if any(outcome.retryable for outcome in outcomes):
        return LanguageModelUnavailable(
            sentence, remedy="Look at the model's server, then run the same again"
        )
    return LanguageModelFailed(
        sentence,
        remedy="Look at the records of the calls under model-calls/ in the object store, then "
        "change the prompt or the model",
    )


def _drafts(
    candidates: Sequence[Candidate], *, layout: SpeechLayout, language: str
) -> tuple[MomentDraft, ...]:
    titles = _own_titles(candidates, layout=layout, language=language)
    return tuple(
        MomentDraft(
            start_time=candidate.span.start,
            end_time=candidate.span.end,
            title=candidate.title or titles[at],
            strength=candidate.rating / _HIGHEST_RATING,
        )
        for at, candidate in enumerate(candidates)
    )


def _own_titles(
    candidates: Sequence[Candidate], *, layout: SpeechLayout, language: str
) -> dict[int, str]:
    """Titles in the words of the speech, for moments to which the model gave none."""
    untitled = [at for at, candidate in enumerate(candidates) if not candidate.title]
    if not untitled:
        return {}
    terms = sentence_terms([line.text for line in layout.sentences], language=language)
    rarity = inverse_document_frequency(terms)
    starts, ends = sentence_edges(layout)
    titles: dict[int, str] = {}
    for at in untitled:
        span = candidates[at].span
        first = max(int(np.searchsorted(starts, span.start, side="right")) - 1, 0)
        stop = max(int(np.searchsorted(ends, span.end, side="right")), first + 1)
        titles[at] = title_of(
            [line.text for line in layout.sentences[first:stop]],
            terms=terms[first:stop],
            rarity=rarity,
            start_time=span.start,
            taken={*titles.values(), *(candidate.title for candidate in candidates)},
        )
    return titles


def _why_fewer(
    counts: Counter[str], *, kept: int, config: GenerationConfig, failed: int, asked: int
) -> str:
    """Why there are fewer moments than wanted, as a sentence; empty where there are enough."""
    wanted = max(config.min_moments or 0, 1)
    if kept >= wanted:
        return ""
    named = counts["named"]
    reasons: list[str] = []
    if (
        config.max_moments is not None
        and config.max_moments < wanted
        and kept >= config.max_moments
    ):
        reasons.append(f"the configuration keeps at most {max(config.max_moments, 0)}")
    if not named:
        reasons.append("the model named none")
    else:
        lost = {
            reason.removeprefix(_DROPPED): count
            for reason, count in counts.items()
            if reason.startswith(_DROPPED)
        }
        told = ", ".join(f"{count} {reason}" for reason, count in sorted(lost.items()))
        reasons.append(
            f"the model named {named}" + (f", of which were dropped: {told}" if told else "")
        )
    if failed:
        windows = "window" if asked == 1 else "windows"
        reasons.append(f"{failed} of {asked} {windows} gave no usable answer")
    number = "There are no moments" if not kept else f"There are {kept} of {wanted} moments wanted"
    return f"{number}: {'; '.join(reasons)}."
