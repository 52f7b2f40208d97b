"""Topic segmentation: where the subject changes.

Belongs here: drawing boundaries where the model of `topic_posterior` sees them. Does not belong
here: times, or what is done with the topics.

The likeliest segmentation is rarely a good one: in talk, its many small topics are each a little
likelier than not. So those boundaries are drawn that are least wrong on average over all
segmentations, each as likely as the text makes it (minimum Bayes risk), by the measure that
segmentations are judged by: WindowDiff (L. Pevzner and M. Hearst, "A Critique and Improvement of
an Evaluation Metric for Text Segmentation", Computational Linguistics 28, 2002). Where the text
says little, that means no boundary at all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from videomoments_dagster.moments.finding.speech import Floats
from videomoments_dagster.moments.finding.terms import sentence_terms, tokens
from videomoments_dagster.moments.finding.topic_posterior import BoundaryChances, boundary_chances

_MOST_UNITS = 1_500
"""A bound on the work: of more units, several in a row count as one. An hour's talk has fewer."""

_RELUCTANCE = 0.3
"""What a boundary costs, as a share of what it can gain: it has to be worth the reader's while."""


def topic_starts(texts: Sequence[str], *, language: str) -> tuple[int, ...]:
    """Find the units at which a new topic starts.

    Args:
        texts: Sentences, utterances or turns, in order.
        language: ISO 639-1 code of what is said.

    Returns:
        Ascending indexes; the first is 0. Empty when there are no units.
    """
    terms = sentence_terms(texts, language=language)
    return topic_starts_of_terms(terms, words=sum(len(tokens(text)) for text in texts))


def topic_starts_of_terms(terms: Sequence[Sequence[str]], *, words: int) -> tuple[int, ...]:
    """The same for units whose index terms are known.

    Args:
        terms: The index terms of each unit, in order.
        words: How many words the units have in all, function words included.
    """
    if not terms:
        return ()
    density = sum(len(of_unit) for of_unit in terms) / max(words, 1)
    together = -(-len(terms) // _MOST_UNITS)
    units = [
        [term for unit in terms[first : first + together] for term in unit]
        for first in range(0, len(terms), together)
    ]
    chances = boundary_chances(units, lexical_density=density)
    found = [] if chances is None else _least_wrong(chances, count=len(units))
    return (0, *(together * start for start in found))


def _least_wrong(chances: BoundaryChances, *, count: int) -> list[int]:
    """The boundaries with the least expected WindowDiff, each with its cost.

    A window is wrong when it holds another number of boundaries than it should. What a window
    costs with none, one or two drawn in it is known from the chances; with more than two it is
    taken to be as wrong as with two.
    """
    width = chances.width
    windows = len(chances.none)
    with_none = 1.0 - chances.none
    with_one = 1.0 - chances.one
    with_two = np.ones(windows)
    first_costs = _running_sum(with_one - with_none)
    second_costs = _running_sum(with_two - with_one - (with_one - with_none))
    places = np.arange(count + 1)
    drawn = (
        first_costs[np.clip(places, 0, windows)]
        - first_costs[np.clip(places - width, 0, windows)]
        + _RELUCTANCE * width
    )
    # `best[place]`: what all windows cost, less what they do with no boundary, when the last
    # boundary so far is there. Place 0 stands for none so far.
    best = np.zeros(count)
    before = np.zeros(count, dtype=np.int64)
    cheapest, cheapest_at = 0.0, 0
    for place in range(1, count):
        # Boundaries further back than a window's width share none with this one.
        far = place - width
        if far > 0 and best[far] < cheapest:
            cheapest, cheapest_at = float(best[far]), far
        cost, at = cheapest, cheapest_at
        near = np.arange(max(far + 1, 1), place)
        if len(near):
            shared = (
                second_costs[np.clip(near, 0, windows)]
                - second_costs[np.clip(place - width, 0, windows)]
            )
            total = best[near] + np.where(near > place - width, shared, 0.0)
            nearest = int(np.argmin(total))
            if total[nearest] < cost:
                cost, at = float(total[nearest]), int(near[nearest])
        best[place] = cost + drawn[place]
        before[place] = at
    last = int(np.argmin(best))
    found: list[int] = []
    while last > 0:
        found.append(last)
        last = int(before[last])
    return found[::-1]


def _running_sum(values: Floats) -> Floats:
    return np.concatenate(([0.0], np.cumsum(values)))
