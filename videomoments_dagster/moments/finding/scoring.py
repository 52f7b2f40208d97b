"""Scoring: how good a moment is, whoever found it.

Belongs here: the score of a stretch, from its words alone. Does not belong here: how stretches
are found; scoring sees start and end, nothing of the finder, and not the other moments either, so
that a moment keeps its score when its neighbours change.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from videomoments_dagster.moments.finding.candidates import Scale
from videomoments_dagster.moments.finding.speech import (
    LENGTH_TOLERANCE,
    Floats,
    SpeechMeasures,
    lay_out,
    sentence_edges,
)
from videomoments_dagster.speech.transcript import Transcript

SCORING_MODEL = "extractive"
HIGHEST_SCORE = 10

_CONTENT_WEIGHT = 0.55
_BOUNDARY_WEIGHT = 0.2
_DENSITY_WEIGHT = 0.15
_LENGTH_WEIGHT = 0.1

_CENTRALITY_SHARE = 0.65
# A stretch this many deviations above an ordinary one of its video is half way up the scale:
# ordinary stretches are not moments.
_HALF_WAY = 0.7
_STEEPNESS = 1.6
_SPARSE_SPEECH = 0.5
_SHORTEST_IDEAL = 15.0
_LONGEST_IDEAL = 120.0
_LENGTH_SPREAD = 0.8
_MOST_COMPARED = 400


class TimeSpan(Protocol):
    """Anything with a start and an end in seconds of the presented timeline."""

    @property
    def start_time(self) -> float:
        """Where it starts, seconds."""

    @property
    def end_time(self) -> float:
        """Where it ends, seconds."""


def score_moments(
    spans: Sequence[TimeSpan], transcript: Transcript, *, duration_seconds: float
) -> tuple[int, ...]:
    """Score stretches of a video from 0 (dull) to 10 (best).

    What is said counts most: its centrality in the whole (LexRank) and how much content it has a
    second, against other stretches of the same length in the same video. Then whether it starts
    and ends at sentence edges and pauses, how much of it is speech, and whether its length suits
    watching. A stretch without words scores 0.

    Args:
        spans: The stretches; their order and number do not matter to any one score.
        transcript: What is said.
        duration_seconds: Length of the video.

    Returns:
        One score a stretch, in the order given.
    """
    layout = lay_out(transcript, duration_seconds=duration_seconds)
    if not spans or not layout.words:
        return (0,) * len(spans)
    measures = SpeechMeasures(layout, language=transcript.language)
    starts = np.array([span.start_time for span in spans], dtype=np.float64)
    ends = np.array([span.end_time for span in spans], dtype=np.float64)
    density = measures.speech_density(starts, ends)
    total = (
        _CONTENT_WEIGHT * _content(measures, starts, ends)
        + _BOUNDARY_WEIGHT * measures.boundary_quality(starts, ends)
        + _DENSITY_WEIGHT * np.clip((density - _SPARSE_SPEECH) / (1 - _SPARSE_SPEECH), 0.0, 1.0)
        + _LENGTH_WEIGHT * _length_fit(ends - starts)
    )
    total = np.where(measures.word_counts(starts, ends) > 0, total, 0.0)
    return tuple(int(score) for score in np.floor(HIGHEST_SCORE * total + 0.5))


def _content(measures: SpeechMeasures, starts: Floats, ends: Floats) -> Floats:
    """How much more each stretch says than others of its length, 0 to 1."""
    places, latest = sentence_edges(measures.layout)
    if len(places) > _MOST_COMPARED:
        places = places[np.linspace(0, len(places) - 1, _MOST_COMPARED).round().astype(np.int64)]
    values = np.zeros(len(starts))
    for at in range(len(starts)):
        start, end = starts[at : at + 1], ends[at : at + 1]
        others = places[places + (end - start) <= latest[-1] + LENGTH_TOLERANCE]
        for share, measure in (
            (_CENTRALITY_SHARE, measures.mean_centrality),
            (1 - _CENTRALITY_SHARE, measures.content_words_per_second),
        ):
            usual = Scale.of(measure(others, others + (end - start)))
            values[at] += share * usual.standardised(measure(start, end))[0]
    return np.asarray(1 / (1 + np.exp(-_STEEPNESS * (values - _HALF_WAY))))


def _length_fit(lengths: Floats) -> Floats:
    """1 for a length that suits watching, less the further away."""
    usable = np.maximum(lengths, LENGTH_TOLERANCE)
    off = np.log(usable / np.clip(usable, _SHORTEST_IDEAL, _LONGEST_IDEAL))
    return np.asarray(np.exp(-((off / _LENGTH_SPREAD) ** 2) / 2))
