"""Mending: moments brought within the limits of length, and out of each other's way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from videomoments_dagster.moments.finding.language_model.grounding import Grade
from videomoments_dagster.moments.finding.outcomes import Boundaries
from videomoments_dagster.moments.finding.speech_layout import (
    LENGTH_TOLERANCE,
    Edges,
    Floats,
    LengthLimits,
    SpeechLayout,
)

_FAR_TOO_LONG = 2.0
_QUALITY_IN_SECONDS = 4.0
"""Seconds of needless length that a place to cut is worth, from the worst to the best."""
_ENDS_TRIED = 4
_SAME = 0.5


class Unmendable(Exception):
    """A moment that no limits can be kept with; says why in a few words."""


class Mender:
    """Brings moments of one transcript within limits."""

    def __init__(self, layout: SpeechLayout, limits: LengthLimits) -> None:
        """Prepare to mend.

        Args:
            layout: Where words, sentences and cutting places lie; at least one word.
            limits: Allowed lengths.
        """
        self._limits = limits
        self._shortest = max(limits.shortest, LENGTH_TOLERANCE)
        self._words = (layout.starts, layout.ends)
        starts, ends = self._words
        self._sentences = (starts.at(layout.sentence_starts), ends.at(layout.sentence_ends))

    def mended(self, span: Boundaries) -> Boundaries:
        """The stretch, or the nearest to it that meets the limits.

        Raises:
            Unmendable: If it is more than twice too long, which no cutting makes sense of, or
                nothing near it meets the limits.
        """
        if self._limits.met_by(span.length):
            return span
        too_long = span.length > self._limits.longest
        if too_long and span.length > _FAR_TOO_LONG * self._limits.longest:
            raise Unmendable("far too long")
        found = self._shortened(span) if too_long else self._extended(span)
        if found is None:
            raise Unmendable("too long" if too_long else "too short")
        return found

    def beside(self, span: Boundaries, others: Sequence[Boundaries]) -> Boundaries | None:
        """What of a stretch lies beside others that overlap it, at sentence edges.

        None if one of them lies inside it, or too little is left.
        """
        if any(span.start_time < one.start_time and one.end_time < span.end_time for one in others):
            return None
        starts, ends = (edges.times for edges in self._sentences)
        start, end = span
        before = [other.end_time for other in others if other.start_time <= start]
        behind = [other.start_time for other in others if other.start_time > start]
        if before:
            start = next(iter(starts[starts >= max(before)].tolist()), np.inf)
        if behind:
            end = next(iter(ends[ends <= min(behind)][::-1].tolist()), -np.inf)
        part = Boundaries(start, end)
        return part if self._limits.met_by(part.length) else None

    def _shortened(self, span: Boundaries) -> Boundaries | None:
        start, end = span
        for starts, ends in (self._sentences, self._words):
            close = _between(ends, start + self._shortest, start + self._limits.longest)
            if len(close.times):
                best = _best(end - close.times, close.quality)
                return Boundaries(start, float(close.times[best]))
            close = _between(starts, end - self._limits.longest, end - self._shortest)
            if len(close.times):
                best = _best(close.times - start, close.quality)
                return Boundaries(float(close.times[best]), end)
        return None

    def _extended(self, span: Boundaries) -> Boundaries | None:
        """The shortest stretch around it that is long enough, at good places to cut."""
        (start, end), longest = span, self._limits.longest
        for all_starts, all_ends in (self._sentences, self._words):
            # Its own edges stay candidates: one side alone may be moved.
            near = _between(all_starts, end - longest, start).times
            starts = self._words[0].at(np.union1d(near, [start]))
            near = _between(all_ends, end, start + longest).times
            ends = self._words[1].at(np.union1d(near, [end]))
            first = np.searchsorted(ends.times, starts.times + self._shortest - LENGTH_TOLERANCE)
            at = first[:, None] + np.arange(_ENDS_TRIED)[None, :]
            reachable = at < len(ends.times)
            at = np.minimum(at, len(ends.times) - 1)
            lengths = ends.times[at] - starts.times[:, None]
            allowed = reachable & self._limits.met_by(lengths)
            if allowed.any():
                worth = starts.quality[:, None] + ends.quality[at]
                best = _best(np.where(allowed, lengths, np.inf), worth)
                row, column = np.unravel_index(best, lengths.shape)
                return Boundaries(float(starts.times[row]), float(ends.times[at[row, column]]))
        return None


def _between(edges: Edges, low: float, high: float) -> Edges:
    first = int(np.searchsorted(edges.times, low - LENGTH_TOLERANCE, side="left"))
    stop = int(np.searchsorted(edges.times, high + LENGTH_TOLERANCE, side="right"))
    return Edges(edges.times[first:stop], edges.quality[first:stop])


def _best(seconds: Floats, quality: Floats) -> int:
    """The place that loses least; a better place to cut makes up for some seconds."""
    return int(np.argmin(seconds - _QUALITY_IN_SECONDS * quality))


class Candidate(NamedTuple):
    """A grounded moment within the limits.

    Attributes:
        span: Where it is, seconds.
        title: One readable line.
        rating: What the model thinks of it, 0 to 10.
        grade: How surely its ends were found.
    """

    span: Boundaries
    title: str
    rating: float
    grade: Grade


def merged(
    candidates: Sequence[Candidate], *, mender: Mender, at_most: int | None
) -> tuple[tuple[Candidate, ...], Counter[str]]:
    """Settle duplicates and overlaps, and keep the best.

    The better rated moment stays as it is, of equals the one that is more surely grounded, then
    the earlier. Another that overlaps it keeps what lies outside, where that still is a moment.

    Args:
        candidates: Moments in any order.
        mender: Knows the limits, and the sentence edges to cut at.
        at_most: How many are kept; None for no limit.

    Returns:
        The moments in time order, which may touch but do not overlap; and how many were trimmed
        or dropped, by reason.
    """
    counts: Counter[str] = Counter()
    kept: list[Candidate] = []
    for candidate in sorted(candidates, key=_order):
        others = [other.span for other in kept if _overlap(candidate.span, other.span) > 0]
        rest = mender.beside(candidate.span, others) if others else candidate.span
        if any(_is_same(candidate.span, other) for other in others):
            counts["dropped: named twice"] += 1
        elif at_most is not None and len(kept) >= at_most:
            counts["dropped: more than wanted"] += 1
        elif rest is None:
            counts["dropped: overlaps a better one"] += 1
        else:
            kept.append(candidate._replace(span=rest))
            if others:
                counts["trimmed beside a better one"] += 1
    return tuple(sorted(kept, key=lambda candidate: candidate.span.start_time)), counts


def _order(candidate: Candidate) -> tuple[float, Grade, float, float, str]:
    return (-candidate.rating, candidate.grade, *candidate.span, candidate.title)


def _overlap(one: Boundaries, other: Boundaries) -> float:
    first, last = max(one.start_time, other.start_time), min(one.end_time, other.end_time)
    return max(0.0, last - first)


def _is_same(one: Boundaries, other: Boundaries) -> bool:
    """Whether most of both is the same (intersection over union)."""
    common = _overlap(one, other)
    union = one.length + other.length - common
    return common >= _SAME * max(union, LENGTH_TOLERANCE)
