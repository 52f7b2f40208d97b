"""How much of a video somebody speaks, by its words' times.

Belongs here: stretches of speech, their sum, and their density along the video. Does not belong
here: what is said, or whether that is plausible (`videomoments_dagster.moments.soundness`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from videomoments_dagster.speech.transcript import Word

BRIDGED_GAP_SECONDS = 0.5
"""Shorter gaps between words count as speech."""


def spoken_stretches(
    words: Iterable[Word], *, duration_seconds: float
) -> list[tuple[float, float]]:
    """Starts and ends of speech, in order and apart from each other, inside the video.

    Args:
        words: Words in any order; what lies outside the video does not count.
        duration_seconds: Length of the video.
    """
    stretches: list[tuple[float, float]] = []
    for start, end in sorted((word.start, word.end) for word in words):
        start, end = max(0.0, start), min(end, duration_seconds)  # noqa: PLW2901
        if start > end:
            continue
        if stretches and start - stretches[-1][1] <= BRIDGED_GAP_SECONDS:
            stretches[-1] = (stretches[-1][0], max(stretches[-1][1], end))
        else:
            stretches.append((start, end))
    return stretches


def spoken_seconds(stretches: Iterable[tuple[float, float]]) -> float:
    """How long the speech is in all."""
    return sum(end - start for start, end in stretches)


def speech_density(
    stretches: Sequence[tuple[float, float]], *, duration_seconds: float, parts: int
) -> tuple[float, ...]:
    """Share of speech in equal parts of the video, each 0 to 1.

    Args:
        stretches: As `spoken_stretches` gives them.
        duration_seconds: Length of the video; 0 gives parts without speech.
        parts: How many parts there are.
    """
    if duration_seconds <= 0:
        return (0.0,) * parts
    length = duration_seconds / parts
    spoken = [0.0] * parts
    for start, end in stretches:
        first = min(parts - 1, int(start / length))
        last = min(parts - 1, int(end / length))
        for part in range(first, last + 1):
            spoken[part] += max(0.0, min(end, (part + 1) * length) - max(start, part * length))
    return tuple(min(1.0, seconds / length) for seconds in spoken)
