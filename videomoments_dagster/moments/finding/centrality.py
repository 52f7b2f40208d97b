"""Sentence centrality: how much of the whole a sentence stands for.

Belongs here: graph-based centrality over index terms. Does not belong here: times, topics and
stretches of several sentences.

The method is continuous LexRank: G. Erkan and D. R. Radev, "LexRank: Graph-based Lexical
Centrality as Salience in Text Summarization", Journal of Artificial Intelligence Research 22,
2004. The similarity of two sentences is the cosine of their tf-idf vectors, so the similarity
matrix is `X X^T` for the sparse matrix `X` of unit rows. It is never built: each step of the power
iteration multiplies by `X^T` and then by `X`, which keeps time and memory linear in the words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_JUMP_PROBABILITY = 0.15
_TOLERANCE = 1e-8
_MOST_STEPS = 200


def inverse_document_frequency(sentences: Sequence[Sequence[str]]) -> dict[str, float]:
    """Give `log(1 + N / n)` for each term that occurs in `n` of `N` sentences."""
    spoken_in = Counter(term for terms in sentences for term in dict.fromkeys(terms))
    return {term: float(np.log1p(len(sentences) / n)) for term, n in spoken_in.items()}


def sentence_centrality(sentences: Sequence[Sequence[str]]) -> npt.NDArray[np.float64]:
    """Rank sentences by continuous LexRank.

    Args:
        sentences: The index terms of each sentence.

    Returns:
        One value a sentence, with mean 1 over the sentences that have terms; 0 for those that
        have none.
    """
    count = len(sentences)
    rarity = inverse_document_frequency(sentences)
    column = {term: at for at, term in enumerate(rarity)}
    rows: list[int] = []
    columns: list[int] = []
    values: list[float] = []
    for row, terms in enumerate(sentences):
        frequencies = Counter(terms)
        for term, frequency in frequencies.items():
            rows.append(row)
            columns.append(column[term])
            values.append(frequency * rarity[term])
    if not rows:
        return np.zeros(count)
    row_of, column_of, value = np.array(rows), np.array(columns), np.array(values)
    value = value / np.sqrt(np.bincount(row_of, weights=value**2, minlength=count))[row_of]

    def similarity_times(vector: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        by_term = np.bincount(column_of, weights=value * vector[row_of], minlength=len(column))
        totals = np.bincount(row_of, weights=value * by_term[column_of], minlength=count)
        return np.asarray(totals, dtype=np.float64)

    present = np.bincount(row_of, minlength=count) > 0
    degree = np.where(present, similarity_times(np.ones(count)), 1.0)
    start = present / present.sum()
    rank = start
    for _ in range(_MOST_STEPS):
        following = _JUMP_PROBABILITY * start + (1 - _JUMP_PROBABILITY) * similarity_times(
            rank / degree
        )
        moved = float(np.abs(following - rank).sum())
        rank = following
        if moved < _TOLERANCE:
            break
    return np.asarray(rank * present.sum(), dtype=np.float64)
