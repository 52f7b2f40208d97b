"""Packing: how many stretches that do not overlap the cutting places have room for.

Belongs here: the interval scheduling that makes "as many as the material has" exact. Does not
belong here: which stretches are worth watching.

Taking the stretch that ends first, again and again, gives the largest number of disjoint
intervals (the greedy rule for interval scheduling; J. Kleinberg and E. Tardos, "Algorithm Design",
2005, section 4.1). For one end, the latest start that is far enough away is never worse than an
earlier one, so one pass over the ends suffices.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from videomoments_dagster.moments.finding.speech import LENGTH_TOLERANCE, Floats, LengthLimits

Interval = tuple[float, float]


def pack(
    starts: Floats, ends: Floats, *, limits: LengthLimits, free: Sequence[Interval]
) -> list[Interval]:
    """Place as many disjoint stretches as possible into the free parts of a time line.

    Args:
        starts: Times at which a stretch may start, ascending.
        ends: Times at which a stretch may end, ascending.
        limits: Allowed lengths.
        free: Disjoint parts in which stretches may lie, in time order.

    Returns:
        The stretches in time order; they may touch but not overlap.
    """
    latest = np.minimum(
        np.searchsorted(starts, ends - limits.shortest + LENGTH_TOLERANCE, side="right"),
        np.searchsorted(starts, ends, side="left"),
    )
    usable = latest > 0
    latest_start = (
        np.where(usable, starts[np.maximum(latest - 1, 0)], np.inf)
        if len(starts)
        else (np.full(len(ends), np.inf))
    )
    usable &= ends - latest_start <= limits.longest + LENGTH_TOLERANCE
    candidate_ends, candidate_starts = ends[usable], latest_start[usable]
    placed: list[Interval] = []
    for low, high in free:
        first = int(np.searchsorted(candidate_ends, low, side="left"))
        stop = int(np.searchsorted(candidate_ends, high, side="right"))
        position = low
        for start, end in zip(
            candidate_starts[first:stop].tolist(), candidate_ends[first:stop].tolist(), strict=True
        ):
            if start >= position:
                placed.append((start, end))
                position = end
    return placed


def free_parts(taken: Sequence[Interval], *, low: float, high: float) -> list[Interval]:
    """The parts between `low` and `high` that disjoint stretches leave free."""
    parts: list[Interval] = []
    position = low
    for start, end in sorted(taken):
        parts.append((position, start))
        position = end
    parts.append((position, high))
    return parts
