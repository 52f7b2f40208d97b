"""The one interface that every moment engine has, and the engines by name.

Belongs here: what an engine promises, and the line that registers it. Does not belong here: how
any of them works.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from videomoments_dagster.failures import EngineUnavailable
from videomoments_dagster.moment_finding.extractive import EXTRACTIVE_MODEL, Found, find_moments
from videomoments_dagster.moment_finding.refinement import refine_boundaries
from videomoments_dagster.moment_finding.scoring import SCORING_MODEL, score_moments
from videomoments_dagster.records import GenerationConfig, Transcript


class Span(Protocol):
    """A stretch of the presented timeline, in seconds."""

    @property
    def start_time(self) -> float:
        """Where it begins."""
        ...

    @property
    def end_time(self) -> float:
        """Where it ends."""
        ...


@dataclass(frozen=True, slots=True)
class Boundaries:
    """Where a refined moment begins and ends, seconds of the presented timeline."""

    start_time: float
    end_time: float


class MomentEngine(Protocol):
    """Finds, scores and refines moments. Deterministic for what its fingerprint names."""

    @property
    def version(self) -> str:
        """Changes whenever the same input may give another output."""
        ...

    @property
    def scoring_model(self) -> str:
        """What is stored in `moments.scoring_model`."""
        ...

    def find(
        self, transcript: Transcript, *, duration_seconds: float, config: GenerationConfig
    ) -> Found:
        """Find moments that keep every promise of `config`."""
        ...

    def score(
        self, spans: Sequence[Span], transcript: Transcript, *, duration_seconds: float
    ) -> tuple[int, ...]:
        """Score each span from 0 to 10, not knowing who found it."""
        ...

    def refine(
        self,
        span: Span,
        transcript: Transcript,
        *,
        config: GenerationConfig,
        max_shift_seconds: float,
        duration_seconds: float,
        earliest_seconds: float,
        latest_seconds: float,
    ) -> Boundaries:
        """Move the boundaries of `span` to better ones, no further than `max_shift_seconds`.

        They stay between `earliest_seconds` and `latest_seconds`, so that neighbours do not come
        to overlap.
        """
        ...


class ExtractiveEngine:
    """Words alone decide: no model, no network."""

    version = "1"
    scoring_model = SCORING_MODEL

    def find(
        self, transcript: Transcript, *, duration_seconds: float, config: GenerationConfig
    ) -> Found:
        """See `extractive.find_moments`."""
        return find_moments(transcript, duration_seconds=duration_seconds, config=config)

    def score(
        self, spans: Sequence[Span], transcript: Transcript, *, duration_seconds: float
    ) -> tuple[int, ...]:
        """See `scoring.score_moments`."""
        return score_moments(spans, transcript, duration_seconds=duration_seconds)

    def refine(
        self,
        span: Span,
        transcript: Transcript,
        *,
        config: GenerationConfig,
        max_shift_seconds: float,
        duration_seconds: float,
        earliest_seconds: float,
        latest_seconds: float,
    ) -> Boundaries:
        """See `refinement.refine_boundaries`."""
        start_time, end_time = refine_boundaries(
            span.start_time,
            span.end_time,
            transcript,
            config=config,
            max_shift_seconds=max_shift_seconds,
            duration_seconds=duration_seconds,
            earliest_seconds=earliest_seconds,
            latest_seconds=latest_seconds,
        )
        return Boundaries(start_time=start_time, end_time=end_time)


_ENGINES: dict[str, MomentEngine] = {EXTRACTIVE_MODEL: ExtractiveEngine()}


def moment_engine(model: str) -> MomentEngine:
    """The engine that runs the model of a generation config.

    Raises:
        EngineUnavailable: If no engine of this installation knows the model.
    """
    engine = _ENGINES.get(model)
    if engine is None:
        raise EngineUnavailable(
            f"no engine here runs the model '{model}'",
            remedy=f"Set the profile's `model` to one of: {', '.join(sorted(_ENGINES))}",
        )
    return engine
