"""Boundaries put into pauses: the last step of refining, whoever chose the boundaries before it.

A boundary goes between two words, never into one. It goes into a pause if one is near, a breath
before the first word and after the last; and behind a "so" or an "and" that the sentence stands
without. What it is worth to go there falls with the way, at a constant rate: so nothing is left to
win by snapping a second time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import numpy.typing as npt

from videomoments_dagster.moments.finding.openers import openers_before
from videomoments_dagster.moments.finding.outcomes import Boundaries, TimeSpan
from videomoments_dagster.moments.finding.speech_layout import (
    LENGTH_TOLERANCE,
    Floats,
    Integers,
    LengthLimits,
    SpeechLayout,
)
from videomoments_dagster.moments.records import GenerationConfig
from videomoments_dagster.speech.transcripts import Transcript

PAUSE_SECONDS = 0.25
"""Shortest silence that counts as a pause; the closure of a "p" or "t" lasts half of it."""

REACH_SECONDS = 10.0
"""Further away than this no place is worth going to, whatever it is."""

_NEAR = 0.3
_BEFORE_SPEECH = 0.1
_AFTER_SPEECH = 0.15
_FULL_PAUSE = 1.0

# Shares of a place's worth. A sentence edge without a pause beats a pause within a sentence.
_SENTENCE_EDGE = 0.5
_PAUSE = 0.3
_LENGTH_OF_PAUSE = 0.1
_IN_THE_PAUSE = 0.1
_OPENER = 0.35
_COST_PER_SECOND = 0.12
_DIGITS = 9

Flags = npt.NDArray[np.bool_]
Pauses = Sequence[tuple[float, float]]
"""Pauses in order, each with its start and end in seconds; none overlaps another."""


@dataclass(frozen=True, slots=True)
class Snapped:
    """What snapping came to.

    Attributes:
        boundaries: One pair a moment, in the order given.
        openers: Starts that were put behind words such as "so" and "and".
    """

    boundaries: tuple[Boundaries, ...]
    openers: int = 0


def pauses_between_words(transcript: Transcript, *, duration_seconds: float) -> Pauses:
    """The gaps between words that are long enough to be pauses, where the sound tells of none.

    Args:
        transcript: What is said.
        duration_seconds: Length of the video.
    """
    layout = SpeechLayout(transcript, duration_seconds=duration_seconds)
    low, high = _gaps(layout)
    wide = high - low >= PAUSE_SECONDS - LENGTH_TOLERANCE
    return list(zip(low[wide].tolist(), high[wide].tolist(), strict=True))


def snap_to_pauses(
    chosen: Sequence[TimeSpan],
    roots: Sequence[TimeSpan],
    transcript: Transcript,
    *,
    pauses: Pauses,
    config: GenerationConfig,
    max_shift_seconds: float,
    duration_seconds: float,
) -> Snapped:
    """Put boundaries into pauses near them.

    Each result is no further than `max_shift_seconds` from its root, inside the video, within the
    configured lengths, not before the moment before it ends and not after the next root starts, and
    not inside a word. Where there is no such place, a moment keeps the boundaries that were chosen.

    Args:
        chosen: Boundaries to start from, in time order: a model's, say.
        roots: The moments that they refine, in the same order.
        transcript: What is said.
        pauses: Where nobody speaks for at least `PAUSE_SECONDS`.
        config: The limits of the refined moments.
        max_shift_seconds: How far each boundary may be from its root's.
        duration_seconds: Length of the video.
    """
    places = _Places(transcript, pauses, duration_seconds=duration_seconds)
    limits = LengthLimits.of(config)
    snapped: list[Boundaries] = []
    openers = 0
    for one, root, following in zip_longest(chosen, roots, roots[1:]):
        earliest = min(snapped[-1].end_time if snapped else 0.0, one.start_time)
        latest = max(following.start_time if following else duration_seconds, one.end_time)
        starts = places.starts(one.start_time).within(root.start_time, max_shift_seconds, earliest)
        ends = places.ends(one.end_time).within(root.end_time, max_shift_seconds, -np.inf, latest)
        best = Boundaries(one.start_time, one.end_time)
        allowed = limits.met_by(ends.times - starts.times[:, None])
        if allowed.any():
            worth = np.where(allowed, (starts.worth[:, None] + ends.worth).round(_DIGITS), -np.inf)
            start, end = np.unravel_index(int(np.argmax(worth)), worth.shape)
            best = Boundaries(float(starts.times[start]), float(ends.times[end]))
            openers += bool(starts.drops[start])
        snapped.append(best)
    return Snapped(tuple(snapped), openers=openers)


@dataclass(frozen=True, slots=True)
class _Near:
    """Places near a boundary, the nearest first.

    Attributes:
        times: Where they are, seconds.
        worth: How good each is, less the way to it.
        drops: Whether it leaves out an opener that the boundary had.
    """

    times: Floats
    worth: Floats
    drops: Flags

    def within(
        self, root: float, max_shift: float, earliest: float = -np.inf, latest: float = np.inf
    ) -> _Near:
        """Those that are near enough to the root's boundary, and between two times."""
        kept = np.abs(self.times - root) <= max_shift
        kept &= (self.times >= earliest) & (self.times <= latest)
        return _Near(self.times[kept], self.worth[kept], self.drops[kept])


class _Places:
    """Every gap between two words, with the pause in it; gap `n` lies before word `n`."""

    def __init__(self, transcript: Transcript, pauses: Pauses, *, duration_seconds: float) -> None:
        layout = SpeechLayout(transcript, duration_seconds=duration_seconds)
        self._low, self._high = _gaps(layout)
        # Where words overlap, there is no place between them.
        self._open = self._low <= self._high
        count = len(layout.words)
        self._words, self._language = layout.words, transcript.language
        self._first, self._last = np.zeros(count + 1, bool), np.zeros(count + 1, bool)
        self._stop = np.full(count + 1, count)
        self._dropped = np.zeros(count + 1, np.int64)
        for sentence in layout.sentences:
            self._last[sentence.stop] = True
            self._stop[sentence.first : sentence.stop] = sentence.stop
            self._begin(sentence.first, self._first, self._dropped)
        # No moment begins with a word that there is not, or ends before the first.
        self._starts = np.flatnonzero(self._open[:count])
        self._ends = np.flatnonzero(self._open[1:]) + 1
        # Before the video and after it nobody speaks either.
        around = [(-_FULL_PAUSE, 0.0), *pauses, (duration_seconds, duration_seconds + _FULL_PAUSE)]
        self._pauses = np.array(around, float)

    def _begin(self, at: int, first: Flags, dropped: Integers) -> None:
        """Count word `at` as one that a moment may begin with, and those behind its openers."""
        count = openers_before(self._words, at, int(self._stop[at]), language=self._language)
        first[at : at + count + 1] = True
        dropped[at : at + count] = np.arange(count, 0, -1)

    def starts(self, chosen: float) -> _Near:
        """Where a moment may start, near a time that somebody chose."""
        at = int(np.searchsorted(self._high, chosen, side="left"))
        first, dropped = self._first, self._dropped
        if at < len(self._words) and self._low[at] <= chosen:
            # Whoever chose it had a reason to.
            first, dropped = first.copy(), dropped.copy()
            self._begin(at, first, dropped)
        gaps = self._starts[self._reached(self._starts, chosen)]
        low, high = self._low[gaps], self._high[gaps]
        begins, ends = self._pause_at(high, latest=True)
        is_near = (ends >= high - _NEAR) & (begins <= high + _NEAR)
        inside = np.clip(np.minimum(ends - _BEFORE_SPEECH, high), low, high)
        worth = _SENTENCE_EDGE * first[gaps] - _OPENER * (dropped[gaps] > 0)
        drops = (gaps > at) & (gaps <= at + dropped[at : at + 1].sum())
        return _places(chosen, high, inside, worth + _worth(ends - begins, is_near), is_near, drops)

    def ends(self, chosen: float) -> _Near:
        """Where a moment may end, near a time that somebody chose."""
        at = int(np.searchsorted(self._low, chosen, side="right")) - 1
        gaps = self._ends[self._reached(self._ends, chosen)]
        low, high = self._low[gaps], self._high[gaps]
        begins, ends = self._pause_at(low, latest=False)
        is_near = (begins <= low + _NEAR) & (ends >= low - _NEAR)
        inside = np.clip(np.maximum(begins + _AFTER_SPEECH, low), low, high)
        own = (gaps == at) & (chosen <= high)
        worth = _SENTENCE_EDGE * (self._last[gaps] | own) + _worth(ends - begins, is_near)
        return _places(chosen, low, inside, worth, is_near, np.zeros(len(gaps), bool))

    def _reached(self, gaps: Integers, chosen: float) -> Flags:
        low, high = self._low[gaps], self._high[gaps]
        return (high >= chosen - REACH_SECONDS) & (low <= chosen + REACH_SECONDS)

    def _pause_at(self, times: Floats, *, latest: bool) -> tuple[Floats, Floats]:
        """The pause at each word's edge: the last that begins before it, or the first behind it."""
        if latest:
            at = np.searchsorted(self._pauses[:, 0], times + _NEAR, side="right") - 1
        else:
            at = np.searchsorted(self._pauses[:, 1], times - _NEAR, side="left")
        at = np.clip(at, 0, len(self._pauses) - 1)
        return self._pauses[at, 0], self._pauses[at, 1]


def _worth(lengths: Floats, is_near: Flags) -> Floats:
    """What pauses of these lengths add to the worth of places that are near them."""
    share = np.minimum(np.where(is_near, lengths, 0.0), _FULL_PAUSE) / _FULL_PAUSE
    return _PAUSE * is_near + _LENGTH_OF_PAUSE * share


def _places(
    chosen: float, bare: Floats, inside: Floats, worth: Floats, is_near: Flags, drops: Flags
) -> _Near:
    """Each gap twice: at the word's own edge, and inside the pause where there is one."""
    times = np.concatenate((bare, inside[is_near]))
    worth = np.concatenate((worth, worth[is_near] + _IN_THE_PAUSE))
    drops = np.concatenate((drops, drops[is_near]))
    way = np.abs(times - chosen)
    order = np.argsort(way, kind="stable")
    return _Near(times[order], (worth - _COST_PER_SECOND * way)[order], drops[order])


def _gaps(layout: SpeechLayout) -> tuple[Floats, Floats]:
    """Start and end of the gap before each word, and of the one after the last."""
    return (
        np.concatenate(([0.0], layout.word_ends)),
        np.concatenate((layout.word_starts, [layout.duration_seconds])),
    )
