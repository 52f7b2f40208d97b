"""Topic segmentation: where the subject changes.

Belongs here: the minimum-cost segmentation of a sequence of sentences. Does not belong here:
times, words as they are written, or what is done with the topics.

The method is M. Utiyama and H. Isahara, "A Statistical Model for Domain-Independent Text
Segmentation", ACL 2001. A segment of `n_i` words costs `sum_w f_w log((n_i + k) / (f_w + 1))`,
where `f_w` is how often term `w` occurs in it and `k` the number of distinct terms in the text
(Laplace's law); a segment itself costs `log n` for a text of `n` words (the prior). The cheapest
segmentation is found by dynamic programming over sentence boundaries. One thing differs from the
paper: in texts longer than those it was made for, a segment costs more, or hours of talk fall into
many tiny topics.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

# A bound on the work, not on taste: 1,000 sentences are about an hour of speech.
_LONGEST_SEGMENT = 1_000
# Beyond this many earlier uses of a term, one more changes its cost by less than a thousandth.
_MOST_EARLIER_USES = 1_000
# Content words of the longest texts that the paper was measured on.
_WORDS_OF_SHORT_TEXT = 600


def topic_starts(sentences: Sequence[Sequence[str]]) -> tuple[int, ...]:
    """Find the sentences at which a new topic starts.

    Args:
        sentences: The index terms of each sentence, in order and with repeats.

    Returns:
        Ascending sentence indexes; the first is 0. Empty when there are no sentences.
    """
    if not sentences:
        return ()
    word_counts = np.array([len(terms) for terms in sentences], dtype=np.float64)
    total_words = float(word_counts.sum())
    if total_words == 0:
        return (0,)
    vocabulary = len({term for terms in sentences for term in terms})
    best_start = _cheapest_starts(
        sentences,
        word_counts=word_counts,
        vocabulary=vocabulary,
        segment_cost=_segment_cost(total_words),
    )
    starts: list[int] = []
    stop = len(sentences)
    while stop > 0:
        stop = int(best_start[stop])
        starts.append(stop)
    return tuple(reversed(starts))


def _segment_cost(words: float) -> float:
    return float(np.log(words) * max(1.0, np.sqrt(words / _WORDS_OF_SHORT_TEXT)))


def _cheapest_starts(
    sentences: Sequence[Sequence[str]],
    *,
    word_counts: npt.NDArray[np.float64],
    vocabulary: int,
    segment_cost: float,
) -> npt.NDArray[np.int64]:
    """For each stop, where the last segment of the cheapest segmentation up to it starts."""
    count = len(sentences)
    words_before = np.concatenate(([0.0], np.cumsum(word_counts)))
    gain = _gain_of_repetition(_MOST_EARLIER_USES)
    cheapest = np.full(count + 1, np.inf)
    cheapest[0] = 0.0
    best_start = np.zeros(count + 1, dtype=np.int64)
    # repetition[s] is sum_w f_w log(f_w + 1) over the sentences from s to the current one.
    repetition = np.zeros(count)
    uses: dict[str, list[int]] = {}
    for current, terms in enumerate(sentences):
        low = max(0, current + 1 - _LONGEST_SEGMENT)
        repetition[low : current + 1] += _repetition_added(
            terms, uses=uses, gain=gain, low=low, current=current
        )
        length = words_before[current + 1] - words_before[low : current + 1]
        cost = (
            cheapest[low : current + 1]
            + segment_cost
            + length * np.log(length + vocabulary)
            - repetition[low : current + 1]
        )
        at = int(np.argmin(cost))
        cheapest[current + 1] = cost[at]
        best_start[current + 1] = low + at
    return best_start


def _gain_of_repetition(most: int) -> npt.NDArray[np.float64]:
    """Second differences of `f log(f + 1)`: what the r-th earlier use adds to one more use."""
    uses = np.arange(most + 2, dtype=np.float64)
    first = np.diff(uses * np.log(uses + 1.0))
    return np.concatenate(([first[0]], np.diff(first)))


def _repetition_added(
    terms: Sequence[str],
    *,
    uses: dict[str, list[int]],
    gain: npt.NDArray[np.float64],
    low: int,
    current: int,
) -> npt.NDArray[np.float64]:
    """What the current sentence adds to `repetition` for each start from `low` to `current`.

    An earlier use in sentence `o` counts for every start up to `o`, hence the sum from behind.
    """
    at: list[int] = []
    added: list[npt.NDArray[np.float64]] = []
    for term in terms:
        earlier = uses.setdefault(term, [])
        recent = earlier[max(bisect_left(earlier, low), len(earlier) - _MOST_EARLIER_USES) :]
        at.append(current)
        at.extend(reversed(recent))
        added.append(gain[: len(recent) + 1])
        earlier.append(current)
    if not at:
        return np.zeros(current + 1 - low)
    steps = np.bincount(
        np.array(at) - low, weights=np.concatenate(added), minlength=current + 1 - low
    )
    return np.asarray(np.cumsum(steps[::-1])[::-1], dtype=np.float64)
