"""What engines take and hand back: spans, moments, scores, boundaries, and what the work took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Any, NamedTuple, Protocol

from videomoments_dagster.language_models.questions import Outcome, Question, Spent


class TimeSpan(Protocol):
    """Anything with a start and an end in seconds of the presented timeline."""

    @property
    def start_time(self) -> float:
        """Where it starts, seconds."""

    @property
    def end_time(self) -> float:
        """Where it ends, seconds."""


class FrameSource(Protocol):
    """Gives frames of one video."""

    def frames(self, times_seconds: Sequence[float]) -> tuple[bytes, ...]:
        """The frames shown at these presented times as JPEG files; fewer where some do not decode.

        Raises:
            MediaFailed: If the video cannot be opened.
        """
        ...


@dataclass(frozen=True, slots=True)
class WorkReport:
    """What the work took, and what was lost on the way.

    Attributes:
        spent: Calls, tokens and cost; nothing for engines without a model.
        counts: How often something happened that a reader of the metadata should know, by
            reason, such as {"grounded exactly": 9, "dropped: quote and line not found": 1}.
        failures: Parts of the work that could not be done, each a sentence without a full stop
            that names the part, such as "window 3 of 60: the server answered 500 four times".
            A result with failures is partial: it is stored, and the next materialisation goes on.
        retryable: Whether asking again later may mend the failures.
    """

    spent: Spent = field(default_factory=Spent)
    counts: Mapping[str, int] = field(default_factory=dict)
    failures: tuple[str, ...] = ()
    retryable: bool = False

    @classmethod
    def of(
        cls,
        questions: Iterable[Question[Any, Any]],
        outcomes: Sequence[Outcome[Any]],
        *,
        counts: Mapping[str, int],
        only_retryable: bool = False,
    ) -> WorkReport:
        """The report of questions to a model.

        Args:
            questions: What was asked.
            outcomes: What became of each.
            counts: As in the report.
            only_retryable: Whether a question that neither asking again nor a setting will help is
                no failure.
        """
        return cls(
            spent=reduce(add, (outcome.spent for outcome in outcomes), Spent()),
            counts=dict(counts),
            failures=tuple(
                f"{question.label}: {'. '.join(filter(None, (outcome.failure, outcome.remedy)))}"
                for question, outcome in zip(questions, outcomes, strict=True)
                if outcome.failure
                and not outcome.repeats
                and (outcome.retryable or outcome.remedy or not only_retryable)
            ),
            retryable=any(outcome.retryable for outcome in outcomes),
        )


@dataclass(frozen=True, slots=True)
class MomentDraft:
    """A moment as found, before it has an identifier and a score.

    Attributes:
        start_time: Exactly the start of a word, seconds.
        end_time: Exactly the end of a word, seconds.
        title: One readable line.
        strength: How well it did against the other stretches of the video, 0 to 1.
    """

    start_time: float
    end_time: float
    title: str
    strength: float


@dataclass(frozen=True, slots=True)
class Found:
    """What was found.

    Attributes:
        drafts: Moments in time order; they may touch but not overlap.
        why_fewer: Why there are none or fewer than wanted, as a sentence; else empty.
        report: What it took.
    """

    drafts: tuple[MomentDraft, ...]
    why_fewer: str = ""
    report: WorkReport = field(default_factory=WorkReport)


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores from 0 to 10, one a moment in the order given; None where there is none."""

    scores: tuple[int | None, ...]
    report: WorkReport = field(default_factory=WorkReport)


class Boundaries(NamedTuple):
    """Where a moment begins and ends, seconds of the presented timeline."""

    start_time: float
    end_time: float

    @property
    def length(self) -> float:
        """Seconds from start to end."""
        return self.end_time - self.start_time


@dataclass(frozen=True, slots=True)
class Refined:
    """Boundaries, one pair a root moment in the order given.

    Attributes:
        boundaries: They do not overlap where the roots did not.
        report: What it took.
    """

    boundaries: tuple[Boundaries, ...]
    report: WorkReport = field(default_factory=WorkReport)
