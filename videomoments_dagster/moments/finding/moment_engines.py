"""The two kinds of moment engine that there are, with the same functions."""

from __future__ import annotations

from functools import partial

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


class ExtractiveEngine:
    """Words alone decide: no model, no network. Deterministic."""

    name = EXTRACTIVE_MODEL
    version = "3"
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


MomentEngine = ExtractiveEngine | LanguageModelEngine
"""Finds, scores and refines moments.

Its `name` is stored in `moments.generation_model` and `moments.scoring_model`; its `version`
changes whenever the same input may give another output.
"""
