"""Times as people read them."""

from __future__ import annotations

_TICKS_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200)


def tick_times(duration_seconds: float, *, at_most: int) -> list[int]:
    """Round times from 0 to the end, at equal distances.

    Args:
        duration_seconds: Length of the time line.
        at_most: How many times there are at most, at least 2.
    """
    step = next(
        (step for step in _TICKS_SECONDS if duration_seconds / step < at_most),
        # Days of video: whole numbers of the longest step.
        _TICKS_SECONDS[-1]
        * max(1, -(-int(duration_seconds) // (_TICKS_SECONDS[-1] * (at_most - 1)))),
    )
    return list(range(0, int(max(0.0, duration_seconds)) + 1, step))
