"""How far a division is from the one that people made.

Belongs here: the measures and their uncertainty. Does not belong here: how a division is made.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from nltk.metrics.segmentation import pk, windowdiff

from topic_boundaries.readers import FEWEST_UNITS

NEAR_SECONDS = 10.0
RESAMPLES = 10_000
_SEED = 20_010_706
_SMALLEST_WINDOW = 2


def window(reference: Sequence[int], *, count: int) -> int:
    """Half the mean reference segment in units, at least 2 and at most the number of gaps.

    Args:
        reference: Units at which a topic starts, without the first.
        count: How many units there are.
    """
    half_mean_segment = round(count / (2 * (len(reference) + 1)))
    return min(max(half_mean_segment, _SMALLEST_WINDOW), count - 1)


def pk_and_windowdiff(
    reference: Sequence[int], found: Sequence[int], *, count: int
) -> tuple[float, float]:
    """Pk (Beeferman et al. 1999) and WindowDiff (Pevzner and Hearst 2002), as NLTK has them.

    NLTK is given one character for each *gap* between two units, "1" where a segment starts
    behind it. Then its window of k characters asks whether units i and i + k belong together, for
    the N - k pairs that there are, as in the papers; with a character a unit, it would look at one
    window more, in which the end of the text counts as a gap.

    Args:
        reference: Units at which a topic starts according to people, without the first.
        found: The same according to a method.
        count: How many units there are, at least `readers.FEWEST_UNITS`.

    Returns:
        Two error rates, 0 (the same division) to 1.

    Raises:
        ValueError: If there are too few units.
    """
    if count < FEWEST_UNITS:
        raise ValueError(f"{count} units have no windows of {_SMALLEST_WINDOW} gaps")
    k = window(reference, count=count)
    expected, got = _gaps(reference, count=count), _gaps(found, count=count)
    return float(pk(expected, got, k=k)), float(windowdiff(expected, got, k=k))


def _gaps(starts: Sequence[int], *, count: int) -> str:
    marked = set(starts)
    return "".join("1" if unit in marked else "0" for unit in range(1, count))


def boundary_f1(
    reference: Sequence[float], found: Sequence[float], *, near: float = NEAR_SECONDS
) -> float:
    """F1 of boundaries, where each counts as found at most once and within `near` seconds.

    Args:
        reference: Ascending times, seconds.
        found: Ascending times, seconds.
        near: How far apart a pair may be, seconds.

    Returns:
        0 to 1; 1 where there is nothing to find and nothing was found.
    """
    if not reference and not found:
        return 1.0
    matched = expected_at = found_at = 0
    # Going forward, the first pair that is near enough is never worse than a later one.
    while expected_at < len(reference) and found_at < len(found):
        apart = found[found_at] - reference[expected_at]
        if abs(apart) <= near:
            matched += 1
            expected_at += 1
            found_at += 1
        elif apart < 0:
            found_at += 1
        else:
            expected_at += 1
    return 2 * matched / (len(reference) + len(found))


def bootstrap_interval(differences: Sequence[float]) -> tuple[float, float]:
    """95% interval of a mean difference, by a paired bootstrap over documents.

    Args:
        differences: One a document.
    """
    values = np.array(differences, dtype=np.float64)
    source = np.random.default_rng(_SEED)
    means = values[source.integers(len(values), size=(RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)
