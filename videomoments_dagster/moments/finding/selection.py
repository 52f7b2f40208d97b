"""Selection: every stretch on sentence edges that could be a moment, its strength, and the choice.

The strongest stretches are taken first. Where that leaves room for fewer than are needed, the
weakest give way to a packing. Taking the stretch that ends first, again and again, gives the
largest number of disjoint intervals (the greedy rule for interval scheduling; J. Kleinberg and
E. Tardos, "Algorithm Design", 2005, section 4.1). For one end, the latest start that is far enough
away is never worse than an earlier one, so one pass over the ends suffices.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from itertools import chain, product
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from videomoments_dagster.moments.finding.speech_layout import (
    LENGTH_TOLERANCE,
    Floats,
    Integers,
    LengthLimits,
    SpeechLayout,
    running_sum,
)
from videomoments_dagster.moments.finding.topics import divide

_MOST_ENDS_PER_START = 16
_MOST_CANDIDATES = 100_000
_FEWEST_ENDS_PER_START = 3
_OFF_IDEAL = 2.0  # How many times longer or shorter than ideal a candidate is at most.

_NATURAL_SHORTEST = 30.0
_NATURAL_LONGEST = 60.0
# Of the room that each wanted moment has on average, so that they all find a place.
_SHARE_OF_ROOM = 0.8

_CONTENT_WEIGHT = 0.25
_TOPIC_WEIGHT = 0.35
_DENSITY_WEIGHT = 0.1
_LENGTH_WEIGHT = 0.15
_BOUNDARY_WEIGHT = 0.15
_SHARE_IN_TOPIC = 0.5
_EDGE_OF_TOPIC = 0.25
# Where topics begin is not certain: these go by how likely it is. A few seconds more or less do not
# make a viewer lose the thread.
_NEAR_SECONDS = 10.0
_BEGINNING_WEIGHT = 0.4
_ACROSS_RATE = 1.0
_LENGTH_SPREAD = 0.6
_NO_DEVIATION = 1e-9
# A topic of some minutes has one moment that is worth watching, one of an hour has many.
_SECONDS_FOR_A_MOMENT = 240.0

# What a stretch is worth that people would not pick. The factors are below `_WORTH_BESIDE_BEST`, so
# that such a stretch is taken only where fewer moments than asked for are found without it.
_ACROSS_TOPICS = 0.4
_STRAY_SECONDS = 5.0
_WITH_ANNOUNCEMENT = 0.3
_TOUCHED_SECONDS = 1.0
_IN_MID_ANSWER = 0.8

# What one stretch more is worth than a topic has room for, another one more beside that...
_SAME_TOPIC_AGAIN = 0.85
# ... as long as the topic has more than half the room for it, or fewer are taken than asked for.
_ROOM_LACKING_AT_MOST = 0.5
_WORTH_BESIDE_BEST = 0.45
# Shares of the ideal length that packing tries, long ones first, before the shortest allowed.
_PACKED_SHARES = (1.0, 0.5, 0.25, 0.1)

Interval = tuple[float, float]


class Stretch(NamedTuple):
    """A stretch that could be a moment.

    Attributes:
        start: Where it starts, seconds.
        end: Where it ends, seconds.
        strength: How well it did, 0 to 1.
        topic: Number of the topic that most of it belongs to.
        topic_room: How many moments that topic is long enough for, at least 1.
    """

    start: float
    end: float
    strength: float
    topic: int
    topic_room: float


class Ranking:
    """The strength of stretches of one transcript, against its topics and its other stretches.

    Attributes:
        candidates: The stretches that start at a sentence and meet the limits. They end at a
            sentence's end; where none is within the limits, at the word's end that makes the best
            place to cut.
    """

    def __init__(self, layout: SpeechLayout, *, limits: LengthLimits, needed: int) -> None:
        """Make the candidates.

        Args:
            layout: Where words and sentences lie; at least one word.
            limits: Allowed lengths.
            needed: How many moments have to find room.
        """
        self._layout = layout
        self._limits = limits
        room = _SHARE_OF_ROOM * layout.spoken_seconds / max(needed, 1)
        natural = np.minimum((_NATURAL_SHORTEST, _NATURAL_LONGEST), room)
        self._ideal = LengthLimits(*np.clip(natural, limits.shortest, limits.longest).tolist())
        topics = divide(layout.terms, words=len(layout.words), pauses=layout.pauses)
        first_sentences = topics.starts
        self._boundaries_before = running_sum(topics.at)
        self._topic_starts = layout.sentence_starts[list(first_sentences)]
        self._topic_ends = layout.sentence_ends[[at - 1 for at in (*first_sentences[1:], 0)]]
        starts, ends = self._candidates()
        self._usual_centrality = layout.mean_centrality(starts, ends)
        self.candidates = self._measured(starts, ends)

    def make_room(
        self, chosen: Sequence[Stretch], *, needed: int
    ) -> tuple[list[Stretch], list[Stretch]]:
        """Keep as many of the chosen stretches as leave room for `needed` in all.

        Sentence edges are tried before word edges, and stretches of the ideal length before short
        ones.

        Args:
            chosen: Stretches that do not overlap, strongest first.
            needed: How many stretches are needed; no more than word edges and limits allow.

        Returns:
            The stretches kept, strongest first, and those that fill the room between them.
        """
        layout, limits = self._layout, self._limits
        lengths = [share * self._ideal.shortest for share in _PACKED_SHARES]
        lengths = [length for length in lengths if limits.shortest < length <= limits.longest]
        by_sentence = (layout.sentence_starts, layout.sentence_ends)
        by_word = (layout.starts.times, layout.ends.times)

        def packed(kept: int, edges: tuple[Floats, Floats], length: float) -> list[Interval]:
            taken = sorted((stretch.start, stretch.end) for stretch in chosen[:kept])
            bounds = [0.0, *chain.from_iterable(taken), layout.duration_seconds]
            free = list(zip(bounds[::2], bounds[1::2], strict=True))
            return pack(*edges, limits=LengthLimits(length, limits.longest), free=free)

        for edges, length in product((by_sentence, by_word), (*lengths, limits.shortest)):
            if len(packed(0, edges, length)) >= needed:
                break
        else:
            return list(chosen), []
        # Giving one up frees room for at least one: the more are kept, the fewer fit in all.
        kept = bisect_left(
            range(1, min(len(chosen), needed) + 1),
            x=True,
            key=lambda kept: kept + len(packed(kept, edges, length)) < needed,
        )
        starts, ends = np.array(packed(kept, edges, length), float).reshape(-1, 2).T
        return list(chosen[:kept]), self._measured(starts, ends)

    def _candidates(self) -> tuple[Floats, Floats]:
        """Starts and ends of stretches, seconds."""
        limits, ideal = self._limits, self._ideal
        starts, ends = self._layout.sentence_starts, self._layout.sentence_ends
        longest = min(limits.longest, max(_OFF_IDEAL * ideal.longest, 1.5 * limits.shortest))
        shortest = max(limits.shortest, ideal.shortest / _OFF_IDEAL)
        count, own = len(starts), np.arange(len(starts))
        low = np.maximum(np.searchsorted(ends, starts + shortest - LENGTH_TOLERANCE), own)
        high = np.searchsorted(ends, starts + longest + LENGTH_TOLERANCE, side="right")
        columns = max(_FEWEST_ENDS_PER_START, min(_MOST_ENDS_PER_START, _MOST_CANDIDATES // count))
        steps = np.linspace(0.0, 1.0, columns)[None, :] * np.maximum(high - low - 1, 0)[:, None]
        spread = low[:, None] + np.round(steps).astype(np.int64)
        topic = np.searchsorted(self._topic_starts, starts, side="right") - 1
        topic_end = np.searchsorted(ends, self._topic_ends[topic], side="left")
        chosen = np.column_stack((spread, np.clip(topic_end, low, np.maximum(high - 1, low))))
        at_start, at_end = np.divmod(np.unique((own[:, None] * count + chosen)[high > low]), count)
        more_starts, more_ends = self._ending_at_words(starts[high <= low])
        all_starts, all_ends = np.r_[starts[at_start], more_starts], np.r_[ends[at_end], more_ends]
        meets = limits.met_by(all_ends - all_starts)
        return all_starts[meets], all_ends[meets]

    def _ending_at_words(self, starts: Floats) -> Floats:
        """Starts, and the best end within the limits of each, without those that have none."""
        limits, ends = self._limits, self._layout.ends
        low = np.searchsorted(ends.times, starts + limits.shortest - LENGTH_TOLERANCE, side="left")
        high = np.searchsorted(ends.times, starts + limits.longest + LENGTH_TOLERANCE, side="right")
        found = [
            (start, ends.times[first + np.argmax(ends.quality[first:stop])])
            for start, first, stop in zip(starts, low, high, strict=True)
            if stop > first
        ]
        return np.array(found, float).reshape(-1, 2).T

    def _measured(self, starts: Floats, ends: Floats) -> list[Stretch]:
        """Give stretches their strength."""
        layout = self._layout
        centrality = layout.mean_centrality(starts, ends)
        usual = self._usual_centrality if len(self._usual_centrality) else centrality
        content = 1 / (1 + np.exp(-standardised(centrality, usual=usual)))
        topic, share = self._main_topic(starts, ends)
        topic_start, topic_end = self._topic_starts[topic], self._topic_ends[topic]
        begins = starts == topic_start
        whole = begins * 1.0 + (ends == topic_end)
        wished = np.clip(topic_end - topic_start, self._ideal.shortest, self._ideal.longest)
        length = np.maximum(ends - starts, LENGTH_TOLERANCE)
        off = np.log(length / np.maximum(wished, LENGTH_TOLERANCE))
        strength = (
            _CONTENT_WEIGHT * content
            + _TOPIC_WEIGHT * (_SHARE_IN_TOPIC * share + _EDGE_OF_TOPIC * whole)
            + _DENSITY_WEIGHT * layout.speech_density(starts, ends)
            + _LENGTH_WEIGHT * np.exp(-((off / _LENGTH_SPREAD) ** 2) / 2)
            + _BOUNDARY_WEIGHT * layout.boundary_quality(starts, ends)
        )
        beginnings = self._boundaries(starts - _NEAR_SECONDS, starts + _NEAR_SECONDS)
        inside = self._boundaries(starts + _NEAR_SECONDS, ends - _NEAR_SECONDS)
        strength = (strength + _BEGINNING_WEIGHT * np.minimum(beginnings, 1.0)) / (
            1 + _BEGINNING_WEIGHT
        )
        # Exactly one topic, as it was drawn, is what is looked for, though others were likely too.
        inside = np.where(whole == 2, 0.0, inside)  # noqa: PLR2004 - both its edges
        strength *= np.exp(-_ACROSS_RATE * inside)
        strength *= np.where((1 - share) * length > _STRAY_SECONDS, _ACROSS_TOPICS, 1.0)
        announced = layout.announcement_seconds(starts, ends) > _TOUCHED_SECONDS
        strength *= np.where(announced, _WITH_ANNOUNCEMENT, 1.0)
        hangs = layout.starts_in_mid_answer(starts) & ~begins
        strength *= np.where(hangs, _IN_MID_ANSWER, 1.0)
        room = np.maximum((topic_end - topic_start) / _SECONDS_FOR_A_MOMENT, 1.0)
        columns = (column.tolist() for column in (starts, ends, strength, topic, room))
        return list(map(Stretch, *columns))

    def _boundaries(self, lows: Floats, highs: Floats) -> Floats:
        """How many topics are likely to start between two times."""
        first = np.searchsorted(self._layout.sentence_starts, lows, side="left")
        stop = np.searchsorted(self._layout.sentence_starts, highs, side="right")
        return self._boundaries_before[np.maximum(first, stop)] - self._boundaries_before[first]

    def _main_topic(self, starts: Floats, ends: Floats) -> tuple[Integers, Floats]:
        """The topic that most of each stretch belongs to, and the share that it makes up."""
        first = np.maximum(np.searchsorted(self._topic_starts, starts, side="right") - 1, 0)
        last = np.maximum(np.searchsorted(self._topic_starts, ends, side="left") - 1, first)
        in_first = np.minimum(ends, self._topic_ends[first]) - starts
        in_last = ends - np.maximum(starts, self._topic_starts[last])
        between = np.where(last - first > 1, ends - starts - in_first - in_last, 0.0)
        in_middle = between / np.maximum(last - first - 1, 1)
        parts = np.stack((in_first, in_last, in_middle))
        topic = np.choose(np.argmax(parts, axis=0), (first, last, np.minimum(first + 1, last)))
        length = np.maximum(ends - starts, LENGTH_TOLERANCE)
        return topic, np.clip(parts.max(axis=0) / length, 0.0, 1.0)


def standardised(values: Floats, *, usual: Floats) -> Floats:
    """How many deviations above the mean of usual values, held between -5 and 5.

    0 where no value is usual, or all usual values are equal.
    """
    if not len(usual) or usual.std() <= _NO_DEVIATION:
        return np.zeros(len(values))
    return np.asarray(np.clip((values - usual.mean()) / usual.std(), -5.0, 5.0))


def select_strongest(
    candidates: Sequence[Stretch], *, at_least: int, at_most: int
) -> list[Stretch]:
    """Take the strongest candidates that do not overlap, one topic after another if possible.

    Once `at_least` are taken, those much weaker than the best are left out.

    Returns:
        Stretches in the order of their strength.
    """
    taken: list[Stretch] = []
    places: list[Interval] = []
    from_topic: Counter[int] = Counter()
    # Ties go to the earlier and then the shorter stretch: the order of the tuples.
    waiting = [(-one.strength, one.start, one.end, at) for at, one in enumerate(candidates)]
    heapq.heapify(waiting)
    while waiting and len(taken) < at_most:
        negative, start, end, at = heapq.heappop(waiting)
        position = bisect_left(places, end, key=itemgetter(0))
        if position and places[position - 1][1] > start:
            continue
        stretch = candidates[at]
        beyond = max(from_topic[stretch.topic] + 1 - stretch.topic_room, 0.0)
        if beyond > _ROOM_LACKING_AT_MOST and len(taken) >= at_least:
            continue
        worth = stretch.strength * _SAME_TOPIC_AGAIN**beyond
        if worth < -negative:
            heapq.heappush(waiting, (-worth, start, end, at))
            continue
        if len(taken) >= at_least and taken and worth < _WORTH_BESIDE_BEST * taken[0].strength:
            break
        taken.append(stretch)
        places.insert(position, (start, end))
        from_topic[stretch.topic] += 1
    return taken


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
    far_enough = np.searchsorted(starts, ends - limits.shortest + LENGTH_TOLERANCE, side="right")
    latest = np.minimum(far_enough, np.searchsorted(starts, ends, side="left"))
    latest_start = starts[np.maximum(latest - 1, 0)]
    usable = (latest > 0) & (ends - latest_start <= limits.longest + LENGTH_TOLERANCE)
    candidates = np.column_stack((latest_start, ends))[usable]
    placed: list[Interval] = []
    for position, high in free:
        first = np.searchsorted(candidates[:, 1], position, side="left")
        stop = np.searchsorted(candidates[:, 1], high, side="right")
        free_from = position
        for start, end in candidates[first:stop].tolist():
            if start >= free_from:
                placed.append((start, end))
                free_from = end
    return placed
