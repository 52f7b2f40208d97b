"""Merging: the moments of all windows as one list without overlaps.

Belongs here: what happens to two moments that are in each other's way, and to those that are too
many. Does not belong here: finding or grounding them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from videomoments_dagster.moments.finding.language_model.grounding import Grade
from videomoments_dagster.moments.finding.language_model.mending import Mender, Span
from videomoments_dagster.moments.finding.speech import LENGTH_TOLERANCE

_SAME = 0.5


@dataclass(frozen=True, slots=True)
class Candidate:
    """A grounded moment within the limits.

    Attributes:
        span: Where it is, seconds.
        title: One readable line.
        rating: What the model thinks of it, 0 to 10.
        grade: How surely its ends were found.
    """

    span: Span
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
        others = [other for other in kept if _overlap(candidate.span, other.span) > 0]
        if any(_is_same(candidate.span, other.span) for other in others):
            counts["dropped: named twice"] += 1
            continue
        if at_most is not None and len(kept) >= at_most:
            counts["dropped: more than wanted"] += 1
            continue
        if not others:
            kept.append(candidate)
            continue
        rest = _rest(candidate.span, [other.span for other in others], mender=mender)
        if rest is None:
            counts["dropped: overlaps a better one"] += 1
            continue
        counts["trimmed beside a better one"] += 1
        kept.append(replace(candidate, span=rest))
    return tuple(sorted(kept, key=lambda candidate: candidate.span.start)), counts


def _order(candidate: Candidate) -> tuple[float, Grade, float, float, str]:
    span = candidate.span
    return (-candidate.rating, candidate.grade, span.start, span.end, candidate.title)


def _overlap(one: Span, other: Span) -> float:
    return max(0.0, min(one.end, other.end) - max(one.start, other.start))


def _is_same(one: Span, other: Span) -> bool:
    """Whether most of both is the same (intersection over union)."""
    common = _overlap(one, other)
    union = one.length + other.length - common
    return common >= _SAME * max(union, LENGTH_TOLERANCE)


def _rest(span: Span, others: Sequence[Span], *, mender: Mender) -> Span | None:
    """What of a stretch lies beside others that reach into it from one side each."""
    low, high = span.start, span.end
    for other in others:
        if other.start > span.start and other.end < span.end:
            return None
        if other.start <= span.start:
            low = max(low, other.end)
        else:
            high = min(high, other.start)
    return mender.within(span, low=low, high=high)
