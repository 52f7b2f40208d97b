"""Where in the sound nobody speaks, from its loudness alone.

Loudness is energy and not speech: music counts as sound.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

FRAMES_PER_SECOND = 100
"""Resolution of the loudness curve."""

_DIGITAL_SILENCE_DB = -96.0
_BLOCK_FRAMES = 60 * FRAMES_PER_SECOND

_QUIET_FILE_DB = -60.0
_THRESHOLD_SHARE = 0.3
_THRESHOLD_BELOW_PEAK_DB = 45.0
_FLAT_DB = 6.0

_CUT_WIDTH = 10
_LONGEST_CLICK = 3


def loudness_db(samples: NDArray[np.int16], *, rate: int) -> NDArray[np.float32]:
    """Measure the loudness of every hundredth of a second, in dB below full scale.

    Args:
        samples: Mono sound; read block by block, so that a memory map stays one.
        rate: Samples per second, a multiple of 100.
    """
    size = rate // FRAMES_PER_SECOND
    count = -(-samples.size // size)
    power = np.zeros(count, dtype=np.float32)
    for first in range(0, count, _BLOCK_FRAMES):
        block = samples[first * size : (first + _BLOCK_FRAMES) * size].astype(np.float32)
        block = np.pad(block, (0, -block.size % size)) / 32768.0
        power[first : first + _BLOCK_FRAMES] = np.square(block.reshape(-1, size)).mean(axis=1)
    floor = 10.0 ** (_DIGITAL_SILENCE_DB / 10)
    return np.asarray(10 * np.log10(np.maximum(power, floor)), dtype=np.float32)


def silence_threshold(loudness: NDArray[np.float32]) -> float | None:
    """The loudness in dB below which this recording is quiet, between its quiet and loud parts.

    Args:
        loudness: What `loudness_db` measured.

    Returns:
        None where it is as loud in one place as in another, such as under music, or silent.
    """
    if loudness.size == 0:
        return None
    quiet, loud = (float(level) for level in np.percentile(loudness, (10, 98)))
    if loud < _QUIET_FILE_DB or loud - quiet < _FLAT_DB:
        return None
    return max(quiet + _THRESHOLD_SHARE * (loud - quiet), loud - _THRESHOLD_BELOW_PEAK_DB)


def quiet_stretches(
    loudness: NDArray[np.float32], *, threshold: float, shortest_seconds: float
) -> list[tuple[float, float]]:
    """Find where it is quiet for some time, in order, as (start, end) in seconds.

    A click of a few hundredths of a second does not end a pause.

    Args:
        loudness: What `loudness_db` measured.
        threshold: What `silence_threshold` gave.
        shortest_seconds: Shortest stretch wanted.
    """
    edges = np.flatnonzero(np.diff(loudness <= threshold, prepend=False, append=False))
    firsts, lasts = edges[::2], edges[1::2]
    clicks = np.flatnonzero(firsts[1:] - lasts[:-1] <= _LONGEST_CLICK)
    firsts, lasts = np.delete(firsts, clicks + 1), np.delete(lasts, clicks)
    long_enough = lasts - firsts >= round(shortest_seconds * FRAMES_PER_SECOND)
    pairs = np.column_stack((firsts, lasts))[long_enough] / FRAMES_PER_SECOND
    return [(float(first), float(last)) for first, last in pairs]


def quietest_frame(loudness: NDArray[np.float32], first: int, last: int) -> int:
    """Find the middle of the quietest tenth of a second between two frames.

    Of several equally quiet ones it is the one in the middle, so that a cut falls into the
    middle of a pause.
    """
    part = loudness[first:last].astype(np.float64)
    if part.size <= _CUT_WIDTH:
        return first + part.size // 2
    sums = np.concatenate(([0.0], np.cumsum(part)))
    width = sums[_CUT_WIDTH:] - sums[:-_CUT_WIDTH]
    quietest = np.flatnonzero(width <= width.min() + 1e-6)
    return first + int(quietest[quietest.size // 2]) + _CUT_WIDTH // 2


def pieces(loudness: NDArray[np.float32], *, seconds: float) -> list[tuple[float, float]]:
    """Divide the whole sound into pieces of at most `seconds`, cut where it is quietest.

    The pieces follow each other without gaps. Each cut lies in the last tenth of its piece.
    """
    longest = max(round(seconds * FRAMES_PER_SECOND), 10 * _CUT_WIDTH)
    if loudness.size == 0:
        return []
    edges = [0]
    while loudness.size - edges[-1] > longest:
        earliest = edges[-1] + longest * 9 // 10
        edges.append(quietest_frame(loudness, earliest, edges[-1] + longest))
    edges.append(loudness.size)
    return list(itertools.pairwise(edge / FRAMES_PER_SECOND for edge in edges))
