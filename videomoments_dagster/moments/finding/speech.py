"""Speech on a time line: what a stretch of a transcript says, how densely, and where it may be cut.

Belongs here: the measures that finding, scoring and refining share. Does not belong here: any
choice between stretches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from videomoments_dagster.moments.finding.centrality import sentence_centrality
from videomoments_dagster.moments.finding.sentences import Sentence, split_sentences
from videomoments_dagster.moments.finding.terms import sentence_terms, tokens
from videomoments_dagster.moments.records import GenerationConfig
from videomoments_dagster.speech.transcript import Transcript, Word

Floats = npt.NDArray[np.float64]

# Lengths are differences of floats: 30.1 - 0.1 is not 30.0. A microsecond is far below a frame.
LENGTH_TOLERANCE = 1e-6

_BRIDGED_GAP = 0.5
_FULL_PAUSE = 1.0
_SENTENCE_EDGE_WEIGHT = 0.65
_LEANING_PENALTY = 0.15
_LEANING_OPENER_LIST = """
also and because but he his it its or she so that their them then there's these they this those
which who
"""
_LEANING_OPENERS = frozenset(_LEANING_OPENER_LIST.split())


@dataclass(frozen=True, slots=True)
class LengthLimits:
    """Shortest and longest allowed stretch, seconds. No limit is 0 and infinity."""

    shortest: float
    longest: float

    @classmethod
    def of(cls, config: GenerationConfig) -> LengthLimits:
        """The limits of a configuration."""
        return cls(
            shortest=config.min_moment_length or 0.0,
            longest=np.inf if config.max_moment_length is None else config.max_moment_length,
        )

    def met_by(self, lengths: Floats) -> npt.NDArray[np.bool_]:
        """Whether stretches of these lengths meet the limits, to `LENGTH_TOLERANCE`."""
        return np.asarray(
            (lengths > 0)
            & (lengths >= self.shortest - LENGTH_TOLERANCE)
            & (lengths <= self.longest + LENGTH_TOLERANCE)
        )


@dataclass(frozen=True, slots=True)
class Edges:
    """Times at which a stretch may start (or end), with how good a place each is.

    Attributes:
        times: Ascending, without repeats; each is exactly a word's start (or end), seconds.
        quality: 0 (in the middle of a phrase) to 1 (a sentence edge at a pause).
    """

    times: Floats
    quality: Floats

    def quality_at(self, times: Floats) -> Floats:
        """The quality at given times; 0 where there is no edge."""
        if not len(self.times):
            return np.zeros(len(times))
        at = np.minimum(np.searchsorted(self.times, times), len(self.times) - 1)
        return np.where(self.times[at] == times, self.quality[at], 0.0)


@dataclass(frozen=True, slots=True)
class SpeechLayout:
    """Where words, sentences and cutting places of a transcript lie.

    Attributes:
        words: The words inside the video, by start.
        sentences: The sentences that they form.
        starts: Where a stretch may start.
        ends: Where a stretch may end.
    """

    words: tuple[Word, ...]
    sentences: tuple[Sentence, ...]
    starts: Edges
    ends: Edges


def lay_out(transcript: Transcript, *, duration_seconds: float) -> SpeechLayout:
    """Find sentences and cutting places; words that are not inside the video are left out.

    Args:
        transcript: What is said.
        duration_seconds: Length of the video.
    """
    words = tuple(
        sorted(
            (w for w in transcript.words if 0 <= w.start <= w.end <= duration_seconds),
            key=lambda word: word.start,
        )
    )
    sentences = split_sentences(words, transcript.segments)
    starts = np.array([word.start for word in words], dtype=np.float64)
    ends = np.array([word.end for word in words], dtype=np.float64)
    latest = np.maximum.accumulate(ends) if words else ends
    gaps = np.maximum(starts[1:] - latest[:-1], 0.0)
    first = np.zeros(len(words))
    last = np.zeros(len(words))
    leaning = np.zeros(len(words))
    for sentence in sentences:
        first[sentence.first] = 1.0
        last[sentence.stop - 1] = 1.0
        opener = tokens(sentence.text)[:1]
        leaning[sentence.first] = bool(opener) and opener[0] in _LEANING_OPENERS
    edge_of_all = [_FULL_PAUSE] if words else []
    before = np.concatenate((edge_of_all, gaps))
    after = np.concatenate((gaps, edge_of_all))
    return SpeechLayout(
        words=words,
        sentences=sentences,
        starts=_edges(starts, _quality(first, pause=before) - _LEANING_PENALTY * leaning),
        ends=_edges(ends, _quality(last, pause=after)),
    )


def _quality(sentence_edge: Floats, *, pause: Floats) -> Floats:
    return _SENTENCE_EDGE_WEIGHT * sentence_edge + (1 - _SENTENCE_EDGE_WEIGHT) * (
        np.minimum(pause, _FULL_PAUSE) / _FULL_PAUSE
    )


def _edges(times: Floats, quality: Floats) -> Edges:
    unique, owner = np.unique(times, return_inverse=True)
    best = np.zeros(len(unique))
    np.maximum.at(best, owner, quality)
    return Edges(times=unique, quality=best)


def sentence_edges(layout: SpeechLayout) -> tuple[Floats, Floats]:
    """The starts of sentences, and the times by which they have ended; both ascending."""
    starts = np.array([sentence.start for sentence in layout.sentences], dtype=np.float64)
    ends = np.array([sentence.end for sentence in layout.sentences], dtype=np.float64)
    return starts, np.maximum.accumulate(ends) if len(ends) else ends


class SpeechMeasures:
    """What stretches of a transcript hold, for any number of stretches at once.

    Attributes:
        layout: Where words, sentences and cutting places lie.
        terms: The index terms of each sentence.
        centrality: The centrality of each sentence, mean 1.
    """

    def __init__(self, layout: SpeechLayout, *, language: str) -> None:
        """Measure once what all stretches share.

        Args:
            layout: Where words and sentences lie.
            language: ISO 639-1 code of what is said.
        """
        self.layout = layout
        self.terms = sentence_terms([s.text for s in layout.sentences], language=language)
        self.centrality = sentence_centrality(self.terms)
        self._starts = np.array([word.start for word in layout.words], dtype=np.float64)
        ends = np.array([word.end for word in layout.words], dtype=np.float64)
        self._ends = np.maximum.accumulate(ends) if len(ends) else ends
        lengths = np.array([s.stop - s.first for s in layout.sentences], dtype=np.int64)
        content = np.array([len(terms) for terms in self.terms], dtype=np.float64)
        self._centrality_before = _running_sum(np.repeat(self.centrality, lengths))
        self._content_before = _running_sum(np.repeat(content / np.maximum(lengths, 1), lengths))
        self._voiced_times, self._voiced_seconds = _voiced(self._starts, self._ends)

    def mean_centrality(self, starts: Floats, ends: Floats) -> Floats:
        """Mean over the words of each stretch of their sentences' centrality; 0 without words."""
        first, stop = self._word_range(starts, ends)
        total = self._centrality_before[stop] - self._centrality_before[first]
        return np.asarray(total / np.maximum(stop - first, 1))

    def word_counts(self, starts: Floats, ends: Floats) -> npt.NDArray[np.int64]:
        """How many words lie inside each stretch."""
        first, stop = self._word_range(starts, ends)
        return np.asarray(stop - first)

    def content_words_per_second(self, starts: Floats, ends: Floats) -> Floats:
        """How many content words each stretch says in a second."""
        first, stop = self._word_range(starts, ends)
        total = self._content_before[stop] - self._content_before[first]
        return np.asarray(total / np.maximum(ends - starts, LENGTH_TOLERANCE))

    def speech_density(self, starts: Floats, ends: Floats) -> Floats:
        """Share of each stretch in which somebody speaks, short gaps between words included."""
        if not len(self._voiced_times):
            return np.zeros(len(starts))
        voiced = np.interp(ends, self._voiced_times, self._voiced_seconds) - np.interp(
            starts, self._voiced_times, self._voiced_seconds
        )
        return np.clip(voiced / np.maximum(ends - starts, LENGTH_TOLERANCE), 0.0, 1.0)

    def boundary_quality(self, starts: Floats, ends: Floats) -> Floats:
        """Mean quality of the places where each stretch starts and ends, 0 to 1."""
        return (self.layout.starts.quality_at(starts) + self.layout.ends.quality_at(ends)) / 2

    def _word_range(
        self, starts: Floats, ends: Floats
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        first = np.searchsorted(self._starts, starts, side="left")
        stop = np.searchsorted(self._ends, ends, side="right")
        return first, np.maximum(first, stop)


def _running_sum(values: Floats) -> Floats:
    return np.concatenate(([0.0], np.cumsum(values)))


def _voiced(starts: Floats, ends: Floats) -> tuple[Floats, Floats]:
    """Breakpoints of the running total of spoken seconds."""
    if not len(starts):
        return starts, starts
    apart = starts[1:] - ends[:-1] > _BRIDGED_GAP
    run_starts = starts[np.concatenate(([True], apart))]
    run_ends = ends[np.concatenate((apart, [True]))]
    before = np.concatenate(([0.0], np.cumsum(run_ends - run_starts)))
    times = np.column_stack((run_starts, run_ends)).ravel()
    return times, np.column_stack((before[:-1], before[1:])).ravel()
