"""Selection: which stretches become moments.

Belongs here: choosing among candidates without overlap, and making room where too few were chosen.
Does not belong here: how strong a stretch is.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from videomoments_dagster.moments.finding.candidates import Candidates
from videomoments_dagster.moments.finding.packing import Interval, free_parts, pack
from videomoments_dagster.moments.finding.speech import (
    Floats,
    LengthLimits,
    SpeechLayout,
    sentence_edges,
)

# What one stretch more is worth than a topic has room for, another one more beside that...
_SAME_TOPIC_AGAIN = 0.85
_WORTH_BESIDE_BEST = 0.65
# Shares of the ideal length that packing tries, long ones first, before the shortest allowed.
_PACKED_SHARES = (1.0, 0.5, 0.25, 0.1)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A chosen stretch: start and end in seconds, strength 0 to 1."""

    start: float
    end: float
    strength: float


def select_strongest(candidates: Candidates, *, at_least: int, at_most: int) -> list[Stretch]:
    """Take the strongest candidates that do not overlap, one topic after another if possible.

    Once `at_least` are taken, those much weaker than the best are left out.

    Returns:
        Stretches in the order of their strength.
    """
    starts, ends = candidates.starts.tolist(), candidates.ends.tolist()
    strength, topic = candidates.strength.tolist(), candidates.topic.tolist()
    room = candidates.topic_room.tolist()
    taken: list[Stretch] = []
    taken_starts: list[float] = []
    taken_ends: list[float] = []
    from_topic: Counter[int] = Counter()
    # Ties go to the earlier and then the shorter stretch: the order of the tuples.
    waiting = [(-strength[at], starts[at], ends[at], at) for at in range(len(starts))]
    heapq.heapify(waiting)
    while waiting and len(taken) < at_most:
        negative, start, end, at = heapq.heappop(waiting)
        position = bisect_left(taken_starts, end)
        if position and taken_ends[position - 1] > start:
            continue
        beyond = max(from_topic[topic[at]] + 1 - room[at], 0.0)
        worth = strength[at] * _SAME_TOPIC_AGAIN**beyond
        if worth < -negative:
            heapq.heappush(waiting, (-worth, start, end, at))
            continue
        if len(taken) >= at_least and taken and worth < _WORTH_BESIDE_BEST * taken[0].strength:
            break
        taken.append(Stretch(start=start, end=end, strength=strength[at]))
        taken_starts.insert(position, start)
        taken_ends.insert(position, end)
        from_topic[topic[at]] += 1
    return taken


def make_room(
    chosen: Sequence[Stretch],
    *,
    layout: SpeechLayout,
    limits: LengthLimits,
    ideal_length: float,
    needed: int,
    duration_seconds: float,
) -> tuple[list[Stretch], list[Interval]]:
    """Keep as many of the chosen stretches as leave room for `needed` in all.

    Sentence edges are tried before word edges, and stretches of the ideal length before short ones.

    Args:
        chosen: Stretches that do not overlap, strongest first.
        layout: Cutting places.
        limits: Allowed lengths.
        ideal_length: The length that stretches ideally have, seconds.
        needed: How many stretches are needed; no more than word edges and limits allow.
        duration_seconds: Length of the video.

    Returns:
        The stretches kept, strongest first, and those that fill the room between them.
    """
    lengths = [share * ideal_length for share in _PACKED_SHARES]
    lengths = [length for length in lengths if limits.shortest < length <= limits.longest]
    by_sentence = sentence_edges(layout)
    by_word = (layout.starts.times, layout.ends.times)

    def packed(kept: int, edges: tuple[Floats, Floats], length: float) -> list[Interval]:
        taken = [(stretch.start, stretch.end) for stretch in chosen[:kept]]
        return pack(
            *edges,
            limits=LengthLimits(shortest=length, longest=limits.longest),
            free=free_parts(taken, low=0.0, high=duration_seconds),
        )

    for edges in (by_sentence, by_word):
        for length in (*lengths, limits.shortest):
            if len(packed(0, edges, length)) < needed:
                continue
            # Giving one up frees room for at least one: the more are kept, the fewer fit in all.
            low, high = 0, min(len(chosen), needed)
            while low < high:
                middle = (low + high + 1) // 2
                if middle + len(packed(middle, edges, length)) >= needed:
                    low = middle
                else:
                    high = middle - 1
            return list(chosen[:low]), packed(low, edges, length)
    return list(chosen), []
