"""Topics: exact sums over all segmentations, and boundaries where they are worth drawing."""

from __future__ import annotations

import random
import time
import tracemalloc
from collections import Counter
from itertools import pairwise, product
from math import exp, log, prod

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from moment_finding_samples import TOPICS

from videomoments_dagster.moments.finding.topics import (
    _RELUCTANCE,
    BoundaryChances,
    _least_wrong,
    boundary_chances,
    boundary_liking,
    divide,
    topic_starts,
)

UNITS = st.lists(st.lists(st.sampled_from("abcdef"), max_size=4), min_size=4, max_size=8)
EXPECTED = (2, 4, 8, 16)


def written(*topics: int, words: int = 30, length: int = 8, seed: int = 5) -> list[list[str]]:
    """Units of index terms: topics of so many units, each with words of its own."""
    rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
    return [
        [f"t{topic}w{rng.randrange(words)}" for _ in range(length)]
        for topic, units in enumerate(topics)
        for _ in range(units)
    ]


# The posterior.


def log_likelihood(units: list[list[str]], *, vocabulary: int) -> float:
    """One segment: each word given those before it, with every word once beforehand."""
    seen: Counter[str] = Counter()
    total = 0.0
    for unit in units:
        for term in dict.fromkeys(unit):
            total += log((seen[term] + 1) / (seen.total() + vocabulary))
            seen[term] += 1
    return total


def all_segmentations(count: int) -> list[tuple[int, ...]]:
    return [
        (0, *(at + 1 for at, drawn in enumerate(choice) if drawn), count)
        for choice in product((False, True), repeat=count - 1)
    ]


@settings(max_examples=60)
@given(UNITS, st.sampled_from([0.1, 0.3, 0.5]), st.data())
def test_the_chances_are_sums_over_all_segmentations(
    units: list[list[str]], density: float, data: st.DataObject
) -> None:
    assume(any(units))
    count = len(units)
    lists = st.lists(st.sampled_from([0.0, 0.4, 2.0]), min_size=count, max_size=count)
    pauses = data.draw(st.none() | lists)
    liking = [1.0] * count if pauses is None else boundary_liking(np.array(pauses)).tolist()
    vocabulary = len({term for unit in units for term in unit})
    temperature = max(1.0, (0.4 / density) ** 2)
    weight: dict[tuple[int, ...], float] = {}
    evidence: list[float] = []
    of_expected: list[dict[tuple[int, ...], float]] = []
    for expected in EXPECTED:
        chance = min((expected - 1) / (count - 1), 0.5)
        at = [min(chance * liking[place], 0.5) for place in range(count)]
        weight = {
            edges: exp(
                sum(
                    log_likelihood(units[a:b], vocabulary=vocabulary) / temperature
                    for a, b in pairwise(edges)
                )
            )
            * prod(at[place] if place in edges else 1 - at[place] for place in range(1, count))
            for edges in all_segmentations(count)
        }
        evidence.append(sum(weight.values()))
        of_expected.append(weight)
    posterior: Counter[tuple[int, ...]] = Counter()
    for weight, total in zip(of_expected, evidence, strict=True):
        for edges, value in weight.items():
            posterior[edges] += value / total * total / sum(evidence)

    found = boundary_chances(
        units, lexical_density=density, pauses=None if pauses is None else np.array(pauses)
    )
    assert found is not None
    for place in range(1, count):
        drawn_at = sum(value for edges, value in posterior.items() if place in edges)
        assert found.at[place] == pytest.approx(drawn_at, abs=1e-3)
    for first in range(count - found.width):
        drawn: Counter[int] = Counter()
        for edges, value in posterior.items():
            drawn[sum(first < edge <= first + found.width for edge in edges[1:-1])] += value
        assert found.none[first] == pytest.approx(drawn[0], abs=1e-3)
        assert found.one[first] == pytest.approx(drawn[1], abs=1e-3)


def test_texts_too_short_for_topics_have_no_chances() -> None:
    assert boundary_chances([["a"]] * 3, lexical_density=0.5) is None
    assert boundary_chances([[]] * 30, lexical_density=0.5) is None


# The boundaries.


def expected_cost(chances: BoundaryChances, drawn: tuple[int, ...]) -> float:
    cost = _RELUCTANCE * chances.width * len(drawn)
    for first in range(len(chances.none)):
        held = sum(first < place <= first + chances.width for place in drawn)
        cost += (1 - chances.none[first], 1 - chances.one[first], 1.0)[min(held, 2)]
    return float(cost)


def most_in_a_window(chances: BoundaryChances, drawn: tuple[int, ...]) -> int:
    return max(
        sum(first < place <= first + chances.width for place in drawn)
        for first in range(len(chances.none))
    )


@settings(max_examples=200)
@given(st.data())
def test_no_other_boundaries_are_less_wrong(data: st.DataObject) -> None:
    count = data.draw(st.integers(4, 9))
    width = data.draw(st.integers(2, count - 1))
    windows = count - width
    none = np.array(data.draw(st.lists(st.floats(0, 1), min_size=windows, max_size=windows)))
    share = np.array(data.draw(st.lists(st.floats(0, 1), min_size=windows, max_size=windows)))
    at = np.zeros(count)
    chances = BoundaryChances(width=width, none=none, one=(1 - none) * share, at=at)
    found = tuple(_least_wrong(chances, count=count, reluctance=_RELUCTANCE))
    assume(most_in_a_window(chances, found) <= 2)
    cheapest = min(
        expected_cost(chances, edges[1:-1])
        for edges in all_segmentations(count)
        if most_in_a_window(chances, edges[1:-1]) <= 2
    )
    assert expected_cost(chances, found) <= cheapest + 1e-9


@given(UNITS, st.integers(1, 60))
def test_topics_begin_at_the_first_unit_and_go_on_in_order(
    units: list[list[str]], words: int
) -> None:
    starts = divide(units, words=words).starts
    assert starts[0] == 0
    assert all(a < b for a, b in pairwise(starts))
    assert starts[-1] < len(units)
    assert starts == divide(units, words=words).starts


@given(UNITS, st.data())
def test_with_pauses_too_topics_begin_at_the_first_unit_and_go_on_in_order(
    units: list[list[str]], data: st.DataObject
) -> None:
    count = len(units)
    pauses = np.array(data.draw(st.lists(st.floats(0, 30), min_size=count, max_size=count)))
    starts = divide(units, words=40, pauses=pauses).starts
    assert starts[0] == 0
    assert all(a < b for a, b in pairwise(starts))
    assert starts[-1] < count
    # Only their order tells: twice as slow is the same talk.
    assert starts == divide(units, words=40, pauses=2 * pauses).starts


@given(st.lists(st.floats(0, 30), min_size=4, max_size=40))
def test_longer_pauses_are_likelier_boundaries_and_equal_ones_equally_likely(
    pauses: list[float],
) -> None:
    liking = boundary_liking(np.array(pauses))
    assert liking[1:].mean() == pytest.approx(1.0)
    assert (liking[1:] > 0).all()
    order = np.argsort(pauses[1:], kind="stable") + 1
    assert (np.diff(liking[order]) >= 0).all()
    assert boundary_liking(np.full(len(pauses), 0.5)).tolist() == [1.0] * len(pauses)


def test_a_topic_starts_at_the_long_pause_near_where_the_words_change() -> None:
    units = written(40, 40, 40)
    # Between topics, a few units say nothing: the words do not tell where the boundary is.
    for at in (38, 39, 40, 41, 78, 79, 80, 81):
        units[at] = []
    pauses = np.full(120, 0.3)
    pauses[[41, 79]] = 4.0
    assert divide(units, words=2_000, pauses=pauses).starts == (0, 41, 79)


def test_no_units_have_no_topics() -> None:
    assert topic_starts([], language="en") == ()
    assert topic_starts(["", "...", "and"], language="en") == (0,)


def test_topics_start_where_the_vocabulary_changes() -> None:
    texts = [sentence for topic in TOPICS for sentence in topic]
    assert topic_starts(texts, language="en") == (0, 6, 12)
    assert divide(written(20, 30, 25), words=800).starts == (0, 20, 50)


def test_long_topics_are_found_as_short_ones_are() -> None:
    starts = divide(written(300, 500, 400), words=16_000).starts
    assert len(starts) == 3
    assert starts[1] == pytest.approx(300, abs=3)
    assert starts[2] == pytest.approx(800, abs=3)


def test_one_vocabulary_throughout_is_one_topic() -> None:
    for count in (50, 200, 1500):
        units = written(count, words=40)
        assert divide(units, words=3 * count * 8).starts == (0,)


def test_where_little_of_what_is_said_tells_anything_more_is_asked_for() -> None:
    units = [
        own[:2] + common[:3]
        for own, common in zip(
            written(12, 12, 12, 12, words=12), written(48, words=30, seed=6), strict=True
        )
    ]
    prepared = divide(units, words=500).starts
    chatted = divide(units, words=1_200).starts
    assert len(prepared) >= 3
    assert len(chatted) < len(prepared)


def test_another_language_needs_no_word_list() -> None:
    texts = [" ".join(f"wort{term}" for term in unit) for unit in written(30, 30, length=3)]
    assert topic_starts(texts, language="de") == (0, 30)


def test_more_units_than_can_be_looked_at_are_taken_together() -> None:
    units = [[term] for unit in written(1000, 1500) for term in unit[:3]]
    starts = divide(units, words=2 * len(units)).starts
    assert len(units) == 7_500
    assert len(starts) == 2
    assert starts[1] == pytest.approx(3_000, abs=30)


def test_thirty_thousand_one_word_sentences_take_seconds_and_little_memory() -> None:
    began = time.process_time()
    divide([["same"]] * 30_000, words=60_000)
    assert time.process_time() - began < 5.0

    tracemalloc.start()
    try:
        divide(written(500, 700, 1300), words=40_000)
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()
