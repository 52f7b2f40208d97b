"""Refinement: a moment's boundaries moved to the best place near them.

Belongs here: choosing boundaries for one moment. Does not belong here: choosing moments.
"""

from __future__ import annotations

import numpy as np

from videomoments_dagster.moments.finding.speech import (
    LENGTH_TOLERANCE,
    Edges,
    Floats,
    LengthLimits,
    lay_out,
)
from videomoments_dagster.moments.records import GenerationConfig
from videomoments_dagster.speech.transcript import Transcript

# What the longest allowed shift costs, in edge quality: a sentence edge is worth going that far.
# Where longer shifts are allowed, every `_FAR_SECONDS` cost as much again.
_COST_OF_SHIFT = 0.4
_FAR_SECONDS = 5.0
_NEAREST_EDGES = 400


def refine_boundaries(
    start_time: float,
    end_time: float,
    transcript: Transcript,
    *,
    config: GenerationConfig,
    max_shift_seconds: float,
    duration_seconds: float,
    earliest_seconds: float = 0.0,
    latest_seconds: float | None = None,
) -> tuple[float, float]:
    """Move a moment's boundaries to the best sentence edges or pauses near them.

    The result starts at a word's start and ends at a word's end, no further than
    `max_shift_seconds` from where they were, within the video and the configured lengths. Where no
    such boundaries exist, the moment keeps its own.

    Args:
        start_time: The parent's start, seconds.
        end_time: The parent's end, seconds.
        transcript: What is said.
        config: The limits of the refined moment.
        max_shift_seconds: How far each boundary may move.
        duration_seconds: Length of the video.
        earliest_seconds: No start before this, such as the end of the refined moment before.
        latest_seconds: No end after this, such as the start of the next moment.

    Returns:
        The refined start and end, seconds.
    """
    limits = LengthLimits.of(config)
    layout = lay_out(transcript, duration_seconds=duration_seconds)
    latest = duration_seconds if latest_seconds is None else latest_seconds
    starts, start_worth = _near(
        layout.starts, start_time, max_shift=max_shift_seconds, low=earliest_seconds, high=latest
    )
    ends, end_worth = _near(
        layout.ends, end_time, max_shift=max_shift_seconds, low=earliest_seconds, high=latest
    )
    allowed = limits.met_by(ends[None, :] - starts[:, None])
    if not allowed.any():
        return start_time, end_time
    worth = np.where(allowed, start_worth[:, None] + end_worth[None, :], -np.inf)
    best_start, best_end = np.unravel_index(int(np.argmax(worth)), worth.shape)
    return float(starts[best_start]), float(ends[best_end])


def _near(
    edges: Edges, time: float, *, max_shift: float, low: float, high: float
) -> tuple[Floats, Floats]:
    """The edges near a time, nearest first, and what each is worth less the way to it."""
    shift = np.abs(edges.times - time)
    near = np.flatnonzero((shift <= max_shift) & (edges.times >= low) & (edges.times <= high))
    near = near[np.argsort(shift[near], kind="stable")][:_NEAREST_EDGES]
    way = shift[near] / max(min(max_shift, _FAR_SECONDS), LENGTH_TOLERANCE)
    return edges.times[near], edges.quality[near] - _COST_OF_SHIFT * way
