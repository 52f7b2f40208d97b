"""Mending: a moment that is too short or too long, brought within the limits at sentence edges.

Belongs here: moving a moment's ends as little as the limits ask for. Does not belong here:
choosing between moments.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from videomoments_dagster.moments.finding.speech import (
    LENGTH_TOLERANCE,
    Edges,
    Floats,
    LengthLimits,
    SpeechLayout,
    sentence_edges,
)

_FAR_TOO_LONG = 2.0
_QUALITY_IN_SECONDS = 4.0
"""Seconds of needless length that a place to cut is worth, from the worst to the best."""
_ENDS_TRIED = 4


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch from a word's start to a word's end, seconds."""

    start: float
    end: float

    @property
    def length(self) -> float:
        """Its length in seconds."""
        return self.end - self.start


class Unmendable(Exception):
    """A moment that no limits can be kept with; says why in a few words."""


class Mender:
    """Brings moments of one transcript within limits."""

    def __init__(self, layout: SpeechLayout, limits: LengthLimits) -> None:
        """Prepare to mend.

        Args:
            layout: Where words, sentences and cutting places lie.
            limits: Allowed lengths.
        """
        self._limits = limits
        self._words = (layout.starts, layout.ends)
        starts, ends = sentence_edges(layout)
        self._sentences = (
            Edges(times=starts, quality=layout.starts.quality_at(starts)),
            Edges(times=ends, quality=layout.ends.quality_at(ends)),
        )

    def fits(self, span: Span) -> bool:
        """Whether a stretch meets the limits."""
        return bool(self._limits.met_by(np.array([span.length]))[0])

    def mended(self, span: Span) -> Span:
        """The stretch, or the nearest to it that meets the limits.

        Raises:
            Unmendable: If it is more than twice too long, which no cutting makes sense of, or
                nothing near it meets the limits.
        """
        if self.fits(span):
            return span
        if span.length > self._limits.longest:
            if span.length > _FAR_TOO_LONG * self._limits.longest:
                raise Unmendable("far too long")
            found = self._shortened(span)
        else:
            found = self._extended(span)
        if found is None:
            raise Unmendable("too long" if span.length > self._limits.longest else "too short")
        return found

    def within(self, span: Span, *, low: float, high: float) -> Span | None:
        """What of a stretch lies between two times at sentence edges; None if that is too short."""
        starts, ends = self._sentences
        start, end = span.start, span.end
        if start < low:
            later = starts.times[starts.times >= low]
            start = float(later[0]) if len(later) else np.inf
        if end > high:
            earlier = ends.times[ends.times <= high]
            end = float(earlier[-1]) if len(earlier) else -np.inf
        part = Span(start, end)
        return part if np.isfinite(part.length) and self.fits(part) else None

    def _shortened(self, span: Span) -> Span | None:
        shortest = max(self._limits.shortest, LENGTH_TOLERANCE)
        for starts, ends in (self._sentences, self._words):
            close = _between(ends, span.start + shortest, span.start + self._limits.longest)
            if len(close.times):
                lost = span.end - close.times
                return Span(span.start, float(close.times[_best(lost, close.quality)]))
            close = _between(starts, span.end - self._limits.longest, span.end - shortest)
            if len(close.times):
                lost = close.times - span.start
                return Span(float(close.times[_best(lost, close.quality)]), span.end)
        return None

    def _extended(self, span: Span) -> Span | None:
        """The shortest stretch around it that is long enough, at good places to cut."""
        shortest, longest = max(self._limits.shortest, LENGTH_TOLERANCE), self._limits.longest
        for all_starts, all_ends in (self._sentences, self._words):
            # Its own edges stay candidates: one side alone may be moved.
            starts = _with(
                _between(all_starts, span.end - longest, span.start), span.start, self._words[0]
            )
            ends = _with(
                _between(all_ends, span.end, span.start + longest), span.end, self._words[1]
            )
            first = np.searchsorted(ends.times, starts.times + shortest - LENGTH_TOLERANCE)
            at = first[:, None] + np.arange(_ENDS_TRIED)[None, :]
            reachable = at < len(ends.times)
            at = np.minimum(at, len(ends.times) - 1)
            lengths = ends.times[at] - starts.times[:, None]
            allowed = reachable & self._limits.met_by(lengths)
            if not allowed.any():
                continue
            worth = starts.quality[:, None] + ends.quality[at]
            best = _best(np.where(allowed, lengths, np.inf), worth)
            from_start, from_end = np.unravel_index(best, lengths.shape)
            return Span(
                float(starts.times[from_start]), float(ends.times[at[from_start, from_end]])
            )
        return None


def _between(edges: Edges, low: float, high: float) -> Edges:
    first = int(np.searchsorted(edges.times, low - LENGTH_TOLERANCE, side="left"))
    stop = int(np.searchsorted(edges.times, high + LENGTH_TOLERANCE, side="right"))
    return Edges(times=edges.times[first:stop], quality=edges.quality[first:stop])


def _with(edges: Edges, time: float, words: Edges) -> Edges:
    times = np.union1d(edges.times, np.array([time]))
    return Edges(times=times, quality=words.quality_at(times))


def _best(seconds: Floats, quality: Floats) -> int:
    """The place that loses least; a better place to cut makes up for some seconds."""
    return int(np.argmin(seconds - _QUALITY_IN_SECONDS * quality))
