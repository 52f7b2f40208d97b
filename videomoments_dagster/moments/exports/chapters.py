"""The chapter list that goes into a YouTube description.

YouTube's rules: the first chapter is at 0:00, times ascend, each chapter lasts 10 seconds or more,
and there are at least three; otherwise it shows none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from videomoments_dagster.base.failures import ExportRefused
from videomoments_dagster.base.text import clock, folded
from videomoments_dagster.moments.exports.material import ExportedMoment, Material, required_moments

SHORTEST_SECONDS = 10
FEWEST = 3
TITLE_CHARACTERS = 100

# YouTube refuses descriptions that contain these.
_LOOK_ALIKES = str.maketrans({"<": "\u2039", ">": "\u203a"})


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chapter, which lasts until the next one begins.

    Attributes:
        start: Whole seconds.
        title: At most 100 characters, on one line.
    """

    start: int
    title: str


def chapters_text(material: Material) -> str:
    """Write the moments as a chapter list.

    Raises:
        ResultMissing: There are no moments yet.
        ExportRefused: There would be fewer chapters than YouTube shows.
    """
    duration = material.stored.video.facts.duration_seconds
    chosen = chapters(required_moments(material), duration=duration)
    if len(chosen) < FEWEST:
        count = len(chosen)
        there = f"only {count} chapters" if count else "no chapters"
        raise ExportRefused(
            f"YouTube shows chapters only where there are {FEWEST} or more of {SHORTEST_SECONDS} "
            f"seconds or more, and the moments of '{material.identifier}' give {there}",
            remedy="Find more moments with another profile, or use the format csv",
        )
    return f"{chapter_list(chosen)}\n"


def chapter_list(chosen: Sequence[Chapter]) -> str:
    """A line for each chapter; empty where there are fewer than YouTube shows."""
    if len(chosen) < FEWEST:
        return ""
    return "\n".join(f"{clock(one.start)} {one.title}" for one in chosen)


def chapters(moments: Sequence[ExportedMoment], *, duration: float) -> tuple[Chapter, ...]:
    """Choose the chapters: a moment begins one, and so does the video.

    Of moments that begin within 10 seconds of each other, the best keeps its chapter. A moment
    that begins in the first 10 seconds begins the first chapter.

    Args:
        moments: Moments in any order.
        duration: Length of the video, seconds.
    """
    latest = math.floor(duration) - SHORTEST_SECONDS
    by_worth = sorted(
        moments, key=lambda one: (-1 if one.score is None else one.score, -one.start), reverse=True
    )
    chosen: dict[int, str] = {}
    for moment in by_worth:
        start = math.floor(moment.start)
        start = 0 if start < SHORTEST_SECONDS else start
        if start <= latest and all(abs(start - other) >= SHORTEST_SECONDS for other in chosen):
            title = folded(moment.title.translate(_LOOK_ALIKES), longest=TITLE_CHARACTERS)
            chosen[start] = title
    if chosen:
        chosen.setdefault(0, "Beginning")
    return tuple(Chapter(start, chosen[start]) for start in sorted(chosen))
