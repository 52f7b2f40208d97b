"""Topic segmentation: where the subject changes.

The model: a topic is a stretch of units whose words come from one distribution, which is
integrated out (J. Eisenstein and R. Barzilay, "Bayesian Unsupervised Topic Segmentation", EMNLP
2008), with the prior that Utiyama and Isahara use (ACL 2001): every word once. A word counts once
a unit. Topics begin anywhere with the same chance; how many there are is not known, so several
expectations are tried, and each weighs as much as the text bears it out. All sums over
segmentations are done by the forward-backward recursion for segments (as in P. Fearnhead, "Exact
and efficient Bayesian inference for multiple changepoint problems", Statistics and Computing 16,
2006).

Who begins a new subject pauses before it (M. Swerts, "Prosodic features at discourse boundaries of
different strength", Journal of the Acoustical Society of America 101, 1997). So where pauses are
known, a topic begins with a chance that grows with the rank of the pause among all of them.

People who talk repeat themselves for reasons other than the subject, and the model takes every
repetition for evidence. So the evidence is tempered (P. Grünwald and T. van Ommen, "Inconsistency
of Bayesian Inference for Misspecified Linear Models, and a Proposal for Repairing It", Bayesian
Analysis 12, 2017), the more, the less of what is said are content words: the density of content
words (J. Ure, "Lexical density and register differentiation", 1971) is that of writing in prepared
texts, and half of it in meetings.

The likeliest segmentation is rarely a good one: in talk, its many small topics are each a little
likelier than not. So those boundaries are drawn that are least wrong on average over all
segmentations, each as likely as the text makes it (minimum Bayes risk), by the measure that
segmentations are judged by: WindowDiff (L. Pevzner and M. Hearst, "A Critique and Improvement of
an Evaluation Metric for Text Segmentation", Computational Linguistics 28, 2002). Where the text
says little, that means no boundary at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from videomoments_dagster.moments.finding.speech_layout import Floats, running_sum
from videomoments_dagster.moments.finding.terms import sentence_terms, tokens

_MOST_UNITS = 1_500
"""A bound on the work: of more units, several in a row count as one. An hour's talk has fewer."""

_RELUCTANCE = 0.3
"""What a boundary costs, as a share of what it can gain, where words alone speak for it."""

_RELUCTANCE_WITH_PAUSES = 0.0
_PAUSE_POWER = 2.0
_MOVED_AT_MOST = 3  # Units to the likeliest place near a boundary: words change slowly.

_PRIOR_USES = 1.0
_EXPECTED_TOPICS = (2, 4, 8, 16)
_DENSITY_OF_WRITING = 0.4
_TEMPERING = 2.0
# Beyond this many earlier uses of a term, one more hardly changes what it tells.
_MOST_EARLIER_USES = 300
_NEGLIGIBLE = 1e-4
_TINY = 1e-300


@dataclass(frozen=True, slots=True)
class BoundaryChances:
    """What the model says of windows of `width` units and one: from unit i to unit i + width.

    Attributes:
        width: Half the expected length of a topic, in units.
        none: For each i, how likely there is no boundary in its window.
        one: For each i, how likely there is exactly one.
        at: For each unit, how likely a topic starts with it.
    """

    width: int
    none: Floats
    one: Floats
    at: Floats


def topic_starts(
    texts: Sequence[str], *, language: str, pauses: Floats | None = None
) -> tuple[int, ...]:
    """Find the units at which a new topic starts.

    Args:
        texts: Sentences, utterances or turns, in order.
        language: ISO 639-1 code of what is said.
        pauses: How long it is silent before each, seconds; None where that is not known.

    Returns:
        Ascending indexes; the first is 0. Empty when there are no units.
    """
    terms = sentence_terms(texts, language=language)
    words = sum(len(tokens(text)) for text in texts)
    return divide(terms, words=words, pauses=pauses).starts


@dataclass(frozen=True, slots=True)
class Division:
    """Topics, and how sure they are.

    Attributes:
        starts: The units at which a topic starts, ascending; the first is 0.
        at: For each unit, how likely a topic starts with it.
    """

    starts: tuple[int, ...]
    at: Floats


def divide(terms: Sequence[Sequence[str]], *, words: int, pauses: Floats | None = None) -> Division:
    """Find the topics of units whose index terms are known.

    Args:
        terms: The index terms of each unit, in order.
        words: How many words the units have in all, function words included.
        pauses: How long it is silent before each, seconds; None where that is not known.
    """
    if not terms:
        return Division((), np.zeros(0))
    density = sum(map(len, terms)) / max(words, 1)
    together = -(-len(terms) // _MOST_UNITS)
    firsts = range(0, len(terms), together)
    units = [list(chain.from_iterable(terms[at : at + together])) for at in firsts]
    before = None if pauses is None else pauses[::together]
    chances = boundary_chances(units, lexical_density=density, pauses=before)
    at = np.zeros(len(terms))
    at[0] = 1.0
    if chances is None:
        return Division((0,), at)
    at[::together] = chances.at
    if pauses is None:
        found = _least_wrong(chances, count=len(units), reluctance=_RELUCTANCE)
    else:
        found = _least_wrong(chances, count=len(units), reluctance=_RELUCTANCE_WITH_PAUSES)
        found = sorted({_likeliest_near(place, at=chances.at) for place in found})
    return Division((0, *(together * start for start in found)), at)


def _likeliest_near(place: int, *, at: Floats) -> int:
    """The likeliest place for a boundary near one; of equal ones the nearest."""
    near = range(max(place - _MOVED_AT_MOST, 1), min(place + _MOVED_AT_MOST + 1, len(at)))
    return max(near, key=lambda one: (at[one], -abs(one - place)))


def _least_wrong(chances: BoundaryChances, *, count: int, reluctance: float) -> list[int]:
    """The boundaries with the least expected WindowDiff, each with its cost.

    A window is wrong when it holds another number of boundaries than it should. What a window
    costs with none, one or two drawn in it is known from the chances; with more than two it is
    taken to be as wrong as with two.
    """
    width, windows = chances.width, len(chances.none)
    with_none, with_one = 1.0 - chances.none, 1.0 - chances.one
    first_costs = running_sum(with_one - with_none)
    second_costs = running_sum(1.0 - with_one - (with_one - with_none))
    # The windows that hold a place are those from `width` before it up to, not including, it.
    upto = np.clip(np.arange(count + 1), 0, windows)
    since = np.clip(np.arange(count + 1) - width, 0, windows)
    drawn = first_costs[upto] - first_costs[since] + reluctance * width
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
        near = slice(max(far + 1, 1), place)
        if near.start < place:
            total = best[near] + (second_costs[upto[near]] - second_costs[since[place]])
            nearest = int(np.argmin(total))
            if total[nearest] < cost:
                cost, at = float(total[nearest]), near.start + nearest
        best[place] = cost + drawn[place]
        before[place] = at
    last = int(np.argmin(best))
    found: list[int] = []
    while last > 0:
        found.insert(0, last)
        last = int(before[last])
    return found


def boundary_chances(
    units: Sequence[Sequence[str]], *, lexical_density: float, pauses: Floats | None = None
) -> BoundaryChances | None:
    """Work out how likely topics change where.

    Args:
        units: The index terms of each unit (sentence, utterance, turn), in order.
        lexical_density: Share of content words among all words of the text, 0 to 1.
        pauses: How long it is silent before each unit, seconds; None where that is not known.

    Returns:
        The chances; None for texts that are too short to have topics, or have no terms.
    """
    count = len(units)
    terms = [list(dict.fromkeys(unit)) for unit in units]
    if count < 4 or not any(terms):  # noqa: PLR2004 - two topics of two units
        return None
    density = max(lexical_density, _NEGLIGIBLE)
    temperature = max(1.0, (_DENSITY_OF_WRITING / density) ** _TEMPERING)
    evidence = _evidence(terms) / np.float32(temperature)
    liking = np.ones(count) if pauses is None else boundary_liking(pauses)
    sums = [_Sums(evidence, liking=liking, expected=expected) for expected in _EXPECTED_TOPICS]
    support = np.array([one.log_evidence for one in sums])
    weights = np.exp(support - support.max())
    weights /= weights.sum()
    topics = float(weights @ np.array([one.topics for one in sums]))
    width = int(np.clip(round(count / (2 * topics)), 2, count - 1))
    none, one = np.zeros((2, count - width))
    at = np.zeros(count)
    for weight, of_sums in zip(weights.tolist(), sums, strict=True):
        if weight >= _NEGLIGIBLE:
            none += weight * of_sums.no_boundary(width)
            one += weight * of_sums.one_boundary(width)
            at += weight * of_sums.boundary[:count]
    return BoundaryChances(width=width, none=none, one=one, at=at)


def boundary_liking(pauses: Floats) -> Floats:
    """How much likelier than usual a topic starts after each pause, with mean 1 but for the first.

    Ranks are compared and not seconds, so it does not matter how slowly somebody talks, and pauses
    of the same length, or none at all, say nothing.
    """
    inner = pauses[1:]
    ordered = np.sort(inner)
    upto = np.searchsorted(ordered, inner, side="left") + np.searchsorted(
        ordered, inner, side="right"
    )
    liking = (upto / (2 * len(inner))) ** _PAUSE_POWER
    return np.concatenate(([1.0], liking / liking.mean()))


def _evidence(units: Sequence[Sequence[str]]) -> npt.NDArray[np.float32]:
    """The log likelihood of every segment.

    Returns:
        Row `stop`, column `start`: the segment of units from `start` up to, not including, `stop`.
    """
    count = len(units)
    vocabulary = len(set(chain.from_iterable(units)))
    words_before = np.concatenate(([0], np.cumsum([len(unit) for unit in units])))
    normaliser = running_sum(np.log(np.arange(words_before[-1]) + _PRIOR_USES * vocabulary))
    gain = np.diff(np.log(np.arange(_MOST_EARLIER_USES + 2) + _PRIOR_USES))
    evidence = np.full((count + 1, count), -np.inf, dtype=np.float32)
    repetition = np.zeros(count)
    uses: dict[str, list[int]] = {}
    for current, terms in enumerate(units):
        steps = np.zeros(current + 1)
        for term in terms:
            earlier = uses.setdefault(term, [])
            recent = earlier[: -_MOST_EARLIER_USES - 1 : -1]
            steps[recent] += gain[: len(recent)]
            earlier.append(current)
        # An earlier use counts for every start up to it.
        repetition[: current + 1] += np.cumsum(steps[::-1])[::-1]
        lengths = words_before[current + 1] - words_before[: current + 1]
        evidence[current + 1, : current + 1] = repetition[: current + 1] - normaliser[lengths]
    return evidence


class _Sums:
    """Sums over all segmentations of a text, for one expected number of topics.

    Attributes:
        log_evidence: How well this expectation bears the text out.
        topics: How many topics there are then, on average.
        boundary: For each place, how likely a segment starts or ends there.
    """

    def __init__(self, evidence: npt.NDArray[np.float32], *, liking: Floats, expected: int) -> None:
        self._evidence = evidence
        self._count = count = len(liking)
        chance = np.minimum(min((expected - 1) / (count - 1), 0.5) * liking[1:], 0.5)
        # What a place costs as an edge of a segment: the text's own two ends cost nothing.
        self._cost = np.concatenate(([0.0], np.log(chance / (1 - chance)), [0.0]))
        # For each place, the log sum over segmentations of what is before it, and after it.
        self._before = np.zeros(count + 1)
        for stop in range(1, count + 1):
            self._before[stop] = _log_sum(self._so_far(stop))
        self._after = np.zeros(count + 1)
        for start in range(count - 1, -1, -1):
            self._after[start] = _log_sum(self._beyond(start))
        self._whole = float(self._before[count])
        self.log_evidence = self._whole + float(np.log1p(-chance).sum())
        self.boundary = np.exp(self._before + self._cost + self._after - self._whole)
        self.topics = 1.0 + float(self.boundary[1:count].sum())

    def _so_far(self, stop: int) -> Floats:
        """For each segment that ends at a place, the log sum of what is up to there."""
        return np.asarray(self._before[:stop] + self._cost[:stop] + self._evidence[stop, :stop])

    def _beyond(self, start: int) -> Floats:
        """For each segment that starts at a place, the log sum of what is from there on."""
        stops = slice(start + 1, None)
        return np.asarray(self._evidence[stops, start] + self._cost[stops] + self._after[stops])

    def _ending_at(self, stop: int) -> Floats:
        """How likely each segment is that ends at a place, by its start."""
        rest = self._cost[stop] + self._after[stop] - self._whole
        return np.asarray(np.exp(self._so_far(stop) + rest))

    def no_boundary(self, width: int) -> Floats:
        """For each unit i, how likely i and i + width are in one segment."""
        steps = np.zeros(self._count + 1)
        for stop in range(width + 1, self._count + 1):
            # From its start on, a segment holds both ends of a window until `width` before its end.
            covering = self._ending_at(stop)[: stop - width]
            steps[: stop - width] += covering
            steps[stop - width] -= covering.sum()
        return np.cumsum(steps)[: self._count - width]

    def one_boundary(self, width: int) -> Floats:
        """For each unit i, how likely exactly one boundary lies between i and i + width."""
        windows = self._count - width
        chances = np.zeros(windows)
        for place in range(1, self._count):
            first, stop = max(0, place - width), min(place, windows)
            if self.boundary[place] < _NEGLIGIBLE or stop <= first:
                continue
            begun = np.cumsum(self._ending_at(place))
            # Given the boundary, the segments on its two sides do not depend on each other.
            chances[first:stop] += (
                self.boundary[place]
                * (begun[first:stop] / max(begun[-1], _TINY))
                * self._reaching(place)[first + width - place : stop + width - place]
            )
        return chances

    def _reaching(self, start: int) -> Floats:
        """How likely a segment that starts at a place holds each unit from there on."""
        return np.cumsum(np.exp(self._beyond(start) - self._after[start])[::-1])[::-1]


def _log_sum(values: Floats) -> float:
    highest = float(values.max())
    return highest + float(np.log(np.exp(values - highest).sum()))
