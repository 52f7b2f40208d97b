"""The one interface that every moment engine has, and the two kinds of engine that there are.

Belongs here: what an engine promises. Does not belong here: how any of them works, or which one a
profile names (`resources.language_models`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Protocol

from videomoments_dagster.language_models.questions import Interviewer
from videomoments_dagster.moments.finding.extractive import EXTRACTIVE_MODEL, find_moments
from videomoments_dagster.moments.finding.language_model.finding import find_with_language_model
from videomoments_dagster.moments.finding.language_model.frames import FrameSource
from videomoments_dagster.moments.finding.language_model.refining import refine_with_language_model
from videomoments_dagster.moments.finding.language_model.scoring import score_with_language_model
from videomoments_dagster.moments.finding.outcomes import (
    Boundaries,
    Found,
    Refined,
    Scored,
    WorkReport,
)
from videomoments_dagster.moments.finding.refinement import refine_boundaries
from videomoments_dagster.moments.finding.scoring import TimeSpan, score_moments
from videomoments_dagster.moments.records import GenerationConfig, ScoringConfig
from videomoments_dagster.speech.transcript import Transcript


class MomentEngine(Protocol):
    """Finds, scores and refines moments."""

    @property
    def name(self) -> str:
        """What is stored in `moments.generation_model` and `moments.scoring_model`."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever the same input may give another output."""
        ...

    def find(
        self, transcript: Transcript, *, duration_seconds: float, config: GenerationConfig
    ) -> Found:
        """Find moments that keep every promise of `config`."""
        ...

    def score(
        self,
        spans: Sequence[TimeSpan],
        transcript: Transcript,
        *,
        duration_seconds: float,
        config: ScoringConfig,
    ) -> Scored:
        """Score each span from 0 to 10, not knowing who found it."""
        ...

    def refine(
        self,
        roots: Sequence[TimeSpan],
        transcript: Transcript,
        *,
        config: GenerationConfig,
        max_shift_seconds: float,
        duration_seconds: float,
        frames: FrameSource | None,
    ) -> Refined:
        """Move each root's boundaries to better ones, no further than `max_shift_seconds`.

        The results keep the limits of `config`, and do not overlap where the roots did not.
        """
        ...


class ExtractiveEngine:
    """Words alone decide: no model, no network. Deterministic."""

    name = EXTRACTIVE_MODEL
    version = "2"

    def find(
        self, transcript: Transcript, *, duration_seconds: float, config: GenerationConfig
    ) -> Found:
        """See `extractive.find_moments`."""
        return find_moments(transcript, duration_seconds=duration_seconds, config=config)

    def score(
        self,
        spans: Sequence[TimeSpan],
        transcript: Transcript,
        *,
        duration_seconds: float,
        config: ScoringConfig,  # noqa: ARG002
    ) -> Scored:
        """See `scoring.score_moments`."""
        return Scored(scores=score_moments(spans, transcript, duration_seconds=duration_seconds))

    def refine(
        self,
        roots: Sequence[TimeSpan],
        transcript: Transcript,
        *,
        config: GenerationConfig,
        max_shift_seconds: float,
        duration_seconds: float,
        frames: FrameSource | None,  # noqa: ARG002
    ) -> Refined:
        """See `refinement.refine_boundaries`; one root after the other, so that none overlap."""
        refined: list[Boundaries] = []
        for root, following in zip_longest(roots, roots[1:]):
            start_time, end_time = refine_boundaries(
                root.start_time,
                root.end_time,
                transcript,
                config=config,
                max_shift_seconds=max_shift_seconds,
                duration_seconds=duration_seconds,
                earliest_seconds=refined[-1].end_time if refined else 0.0,
                latest_seconds=following.start_time if following else duration_seconds,
            )
            refined.append(Boundaries(start_time=start_time, end_time=end_time))
        moved = sum(
            (new.start_time, new.end_time) != (root.start_time, root.end_time)
            for new, root in zip(refined, roots, strict=True)
        )
        counts = {"moved": moved, "kept as they were": len(refined) - moved}
        return Refined(
            boundaries=tuple(refined),
            report=WorkReport(counts={what: count for what, count in counts.items() if count}),
        )


class LanguageModelEngine:
    """A language model decides what is said in a moment; code finds where that is."""

    _REVISION = "1"

    def __init__(self, interviewer: Interviewer) -> None:
        """Make an engine of a model.

        Args:
            interviewer: Asks the model.
        """
        self._interviewer = interviewer
        self.name = interviewer.model_name
        self.version = f"{self._REVISION}:{interviewer.identity}"

    def find(
        self, transcript: Transcript, *, duration_seconds: float, config: GenerationConfig
    ) -> Found:
        """See `language_model.finding`."""
        return find_with_language_model(
            transcript,
            duration_seconds=duration_seconds,
            config=config,
            interviewer=self._interviewer,
        )

    def score(
        self,
        spans: Sequence[TimeSpan],
        transcript: Transcript,
        *,
        duration_seconds: float,
        config: ScoringConfig,
    ) -> Scored:
        """See `language_model.scoring`."""
        return score_with_language_model(
            spans,
            transcript,
            duration_seconds=duration_seconds,
            config=config,
            interviewer=self._interviewer,
        )

    def refine(
        self,
        roots: Sequence[TimeSpan],
        transcript: Transcript,
        *,
        config: GenerationConfig,
        max_shift_seconds: float,
        duration_seconds: float,
        frames: FrameSource | None,
    ) -> Refined:
        """See `language_model.refining`."""
        return refine_with_language_model(
            roots,
            transcript,
            config=config,
            max_shift_seconds=max_shift_seconds,
            duration_seconds=duration_seconds,
            interviewer=self._interviewer,
            frames=frames,
        )
