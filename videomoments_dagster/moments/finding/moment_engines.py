"""The interface that every moment engine has, and the two kinds of engine that there are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Protocol

from videomoments_dagster.language_models.questions import Interviewer
from videomoments_dagster.moments.finding.extractive import (
    EXTRACTIVE_MODEL,
    find_moments,
    refine_moments,
    score_moments,
)
from videomoments_dagster.moments.finding.language_model.finding import find_with_language_model
from videomoments_dagster.moments.finding.language_model.refining import refine_with_language_model
from videomoments_dagster.moments.finding.language_model.scoring import score_with_language_model
from videomoments_dagster.moments.finding.outcomes import (
    Found,
    FrameSource,
    Refined,
    Scored,
    TimeSpan,
)
from videomoments_dagster.moments.records import GenerationConfig, ScoringConfig
from videomoments_dagster.speech.transcript import Transcript


class MomentEngine(Protocol):
    """Finds, scores and refines moments.

    Attributes:
        name: What is stored in `moments.generation_model` and `moments.scoring_model`.
        version: Changes whenever the same input may give another output.
    """

    name: str
    version: str

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
    find = staticmethod(find_moments)
    score = staticmethod(score_moments)
    refine = staticmethod(refine_moments)


class LanguageModelEngine:
    """A language model decides what is said in a moment; code finds where that is."""

    def __init__(self, interviewer: Interviewer) -> None:
        """Make an engine of a model.

        Args:
            interviewer: Asks the model.
        """
        self.name = interviewer.model_name
        # The number is this code's revision.
        self.version = f"1:{interviewer.identity}"
        self.find = partial(find_with_language_model, interviewer=interviewer)
        self.score = partial(score_with_language_model, interviewer=interviewer)
        self.refine = partial(refine_with_language_model, interviewer=interviewer)
