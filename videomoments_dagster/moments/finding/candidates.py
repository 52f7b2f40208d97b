"""Candidate stretches: every stretch on sentence edges that could be a moment, and its strength.

Belongs here: making and measuring candidates. Does not belong here: choosing between them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from videomoments_dagster.moments.finding.speech import (
    LENGTH_TOLERANCE,
    Floats,
    LengthLimits,
    SpeechLayout,
    SpeechMeasures,
    sentence_edges,
)

_MOST_ENDS_PER_START = 16
_MOST_CANDIDATES = 100_000
_FEWEST_ENDS_PER_START = 3
_LONGEST_IN_TARGETS = 2.0

_CONTENT_WEIGHT = 0.25
_TOPIC_WEIGHT = 0.35
_DENSITY_WEIGHT = 0.1
_LENGTH_WEIGHT = 0.15
_BOUNDARY_WEIGHT = 0.15
_SHARE_IN_TOPIC = 0.5
_EDGE_OF_TOPIC = 0.25
_CONTENT_STEEPNESS = 1.0
_LENGTH_SPREAD = 0.6
_NO_DEVIATION = 1e-9
# A topic of some minutes has one moment that is worth watching, one of an hour has many.
_SECONDS_FOR_A_MOMENT = 150.0


@dataclass(frozen=True, slots=True)
class TargetLengths:
    """Lengths that a moment of this video ideally has, seconds."""

    shortest: float
    longest: float


@dataclass(frozen=True, slots=True)
class Scale:
    """What values are usual, to tell how unusual one is."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, values: Floats) -> Scale:
        """The scale of some values; of none, one on which everything is usual."""
        if not len(values):
            return cls(mean=0.0, deviation=np.inf)
        return cls(mean=float(values.mean()), deviation=float(values.std()))

    def standardised(self, values: Floats) -> Floats:
        """How many deviations above the mean, held between -5 and 5; 0 where all are equal."""
        if self.deviation <= _NO_DEVIATION:
            return np.zeros(len(values))
        return np.clip((values - self.mean) / self.deviation, -5.0, 5.0)


class Topics:
    """Topics on the time line.

    Attributes:
        starts: Where each topic starts, seconds, ascending.
        ends: Where each topic ends.
    """

    def __init__(self, layout: SpeechLayout, *, first_sentences: tuple[int, ...]) -> None:
        """Lay topics over sentences.

        Args:
            layout: The sentences; at least one.
            first_sentences: Index of each topic's first sentence, ascending from 0.
        """
        sentence_starts, latest = sentence_edges(layout)
        self.starts = sentence_starts[list(first_sentences)]
        stops = [*first_sentences[1:], len(layout.sentences)]
        self.ends = latest[np.array(stops) - 1]

    def main_topic(self, starts: Floats, ends: Floats) -> tuple[npt.NDArray[np.int64], Floats]:
        """The topic that most of each stretch belongs to, and the share that it makes up."""
        first = np.maximum(np.searchsorted(self.starts, starts, side="right") - 1, 0)
        last = np.maximum(np.searchsorted(self.starts, ends, side="left") - 1, first)
        in_first = np.minimum(ends, self.ends[first]) - starts
        in_last = ends - np.maximum(starts, self.starts[last])
        between = np.where(last - first > 1, ends - starts - in_first - in_last, 0.0)
        in_middle = between / np.maximum(last - first - 1, 1)
        parts = np.stack((in_first, in_last, in_middle))
        largest = np.argmax(parts, axis=0)
        topic = np.choose(largest, (first, last, np.minimum(first + 1, last)))
        length = np.maximum(ends - starts, LENGTH_TOLERANCE)
        return topic, np.clip(parts.max(axis=0) / length, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Stretches that meet the limits, column by column.

    Attributes:
        starts: Where each starts, seconds.
        ends: Where each ends, seconds.
        strength: How well it did, 0 to 1.
        topic: Number of the topic that most of it belongs to.
        topic_room: How many moments that topic is long enough for, at least 1.
    """

    starts: Floats
    ends: Floats
    strength: Floats
    topic: npt.NDArray[np.int64]
    topic_room: Floats


def measure(
    starts: Floats,
    ends: Floats,
    *,
    measures: SpeechMeasures,
    topics: Topics,
    target: TargetLengths,
    scale: Scale | None = None,
) -> tuple[Candidates, Scale]:
    """Give stretches their strength.

    Args:
        starts: Where each stretch starts, seconds.
        ends: Where each stretch ends, seconds.
        measures: Measures of the transcript.
        topics: Its topics.
        target: Ideal lengths.
        scale: Centrality to compare with; None to take these stretches' own.

    Returns:
        The candidates, and the scale that was used.
    """
    centrality = measures.mean_centrality(starts, ends)
    scale = scale or Scale.of(centrality)
    content = 1 / (1 + np.exp(-_CONTENT_STEEPNESS * scale.standardised(centrality)))
    topic, share = topics.main_topic(starts, ends)
    whole = (starts == topics.starts[topic]) * 1.0 + (ends == topics.ends[topic])
    length = np.maximum(ends - starts, LENGTH_TOLERANCE)
    ideal = np.clip(topics.ends[topic] - topics.starts[topic], target.shortest, target.longest)
    fit = np.exp(
        -((np.log(length / np.maximum(ideal, LENGTH_TOLERANCE)) / _LENGTH_SPREAD) ** 2) / 2
    )
    strength = (
        _CONTENT_WEIGHT * content
        + _TOPIC_WEIGHT * (_SHARE_IN_TOPIC * share + _EDGE_OF_TOPIC * whole)
        + _DENSITY_WEIGHT * measures.speech_density(starts, ends)
        + _LENGTH_WEIGHT * fit
        + _BOUNDARY_WEIGHT * measures.boundary_quality(starts, ends)
    )
    room = np.maximum((topics.ends[topic] - topics.starts[topic]) / _SECONDS_FOR_A_MOMENT, 1.0)
    return (
        Candidates(starts=starts, ends=ends, strength=strength, topic=topic, topic_room=room),
        scale,
    )


def candidate_stretches(
    layout: SpeechLayout, *, topics: Topics, limits: LengthLimits, target: TargetLengths
) -> tuple[Floats, Floats]:
    """Make the stretches that start at a sentence and meet the limits.

    They end at a sentence's end; where none is within the limits, at the word's end that makes the
    best place to cut.

    Returns:
        Starts and ends, seconds.
    """
    starts, ends = sentence_edges(layout)
    longest = min(limits.longest, max(_LONGEST_IN_TARGETS * target.longest, 1.5 * limits.shortest))
    shortest = max(limits.shortest, target.shortest / _LONGEST_IN_TARGETS)
    own = np.arange(len(starts))
    low = np.searchsorted(ends, starts + shortest - LENGTH_TOLERANCE, side="left")
    low = np.maximum(low, own)
    high = np.searchsorted(ends, starts + longest + LENGTH_TOLERANCE, side="right")
    columns = max(_FEWEST_ENDS_PER_START, min(_MOST_ENDS_PER_START, _MOST_CANDIDATES // len(own)))
    spread = low[:, None] + np.round(
        np.linspace(0.0, 1.0, columns)[None, :] * np.maximum(high - low - 1, 0)[:, None]
    ).astype(np.int64)
    topic = np.searchsorted(topics.starts, starts, side="right") - 1
    topic_end = np.searchsorted(ends, topics.ends[topic], side="left")
    chosen = np.column_stack((spread, np.clip(topic_end, low, np.maximum(high - 1, low))))
    valid = np.broadcast_to((high > low)[:, None], chosen.shape)
    pairs = np.unique((own[:, None] * len(own) + chosen)[valid])
    at_start, at_end = np.divmod(pairs, len(own))
    extra = _ends_inside_sentences(layout, starts=starts[high <= low], limits=limits)
    all_starts = np.concatenate((starts[at_start], extra[0]))
    all_ends = np.concatenate((ends[at_end], extra[1]))
    meets = limits.met_by(all_ends - all_starts)
    return all_starts[meets], all_ends[meets]


def _ends_inside_sentences(
    layout: SpeechLayout, *, starts: Floats, limits: LengthLimits
) -> tuple[Floats, Floats]:
    found: list[tuple[float, float]] = []
    times, quality = layout.ends.times, layout.ends.quality
    low = np.searchsorted(times, starts + limits.shortest - LENGTH_TOLERANCE, side="left")
    high = np.searchsorted(times, starts + limits.longest + LENGTH_TOLERANCE, side="right")
    for start, first, stop in zip(starts.tolist(), low.tolist(), high.tolist(), strict=True):
        if stop > first:
            found.append((start, float(times[first + int(np.argmax(quality[first:stop]))])))
    columns = np.array(found, dtype=np.float64).reshape(-1, 2)
    return columns[:, 0], columns[:, 1]
