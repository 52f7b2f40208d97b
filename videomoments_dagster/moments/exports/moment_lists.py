"""Moments as lists: a table as CSV, and the chapters of a YouTube description.

The table is RFC 4180, for spreadsheets and scripts. Spreadsheets run a cell that begins like a
formula. Titles come from speech and models, so a text cell that begins with `=`, `+`, `-`, `@` (or
their wide forms), a tab or a line break gets an apostrophe in front, which they hide and show as
text.

YouTube's rules for chapters: the first is at 0:00, times ascend, each lasts 10 seconds or more, and
there are at least three; otherwise it shows none.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence

from videomoments_dagster.base.failures import ExportRefused
from videomoments_dagster.base.text import clock, folded
from videomoments_dagster.moments.exports.material import ExportedMoment, Material, required_moments

_CELLS: Mapping[str, Callable[[ExportedMoment], object]] = {
    "moment": lambda one: one.root.identifier,
    "start_seconds": lambda one: one.root.start_time,
    "end_seconds": lambda one: one.root.end_time,
    "length_seconds": lambda one: round(one.root.end_time - one.root.start_time, 6),
    "title": lambda one: one.title,
    "score": lambda one: one.root.score,
    "scoring_model": lambda one: one.root.scoring_model,
    "generation_model": lambda one: one.root.generation_model,
    "refined_start_seconds": lambda one: one.refined and one.refined.start_time,
    "refined_end_seconds": lambda one: one.refined and one.refined.end_time,
    "refined_score": lambda one: one.refined and one.refined.score,
    "clip_start_seconds": lambda one: one.clip and one.clip.start_time,
    "clip_end_seconds": lambda one: one.clip and one.clip.end_time,
    "clip_url": lambda one: one.clip and one.clip.cloud_url,
    "thumbnail_url": lambda one: one.clip and one.thumbnail and one.thumbnail.cloud_url,
}
COLUMNS = ("video", *_CELLS)

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")

SHORTEST_SECONDS = 10
FEWEST = 3

# YouTube refuses descriptions that contain these.
_LOOK_ALIKES = str.maketrans({"<": "\u2039", ">": "\u203a"})


def csv_table(material: Material) -> str:
    """Write a row for each moment, in time order; no value is an empty cell.

    Raises:
        ResultMissing: There are no moments yet.
    """
    written = io.StringIO(newline="")
    rows = csv.writer(written, lineterminator="\r\n")
    rows.writerow(COLUMNS)
    for moment in required_moments(material):
        cells = (material.identifier, *(cell(moment) for cell in _CELLS.values()))
        rows.writerow([_harmless(cell) for cell in cells])
    return written.getvalue()


def chapters_text(material: Material) -> str:
    """Write the moments as a chapter list.

    Raises:
        ResultMissing: There are no moments yet.
        ExportRefused: There would be fewer chapters than YouTube shows.
    """
    duration = material.stored.video.facts.duration_seconds
    chosen = chapters(required_moments(material), duration=duration)
    if len(chosen) < FEWEST:
        there = f"only {len(chosen)} chapters" if chosen else "no chapters"
        raise ExportRefused(
            f"YouTube shows chapters only where there are {FEWEST} or more of {SHORTEST_SECONDS} "
            f"seconds or more, and the moments of '{material.identifier}' give {there}",
            remedy="Find more moments with another profile, or use the format csv",
        )
    return f"{chapter_list(chosen)}\n"


def chapter_list(chosen: Mapping[int, str]) -> str:
    """A line for each chapter; empty where there are fewer than YouTube shows."""
    if len(chosen) < FEWEST:
        return ""
    return "\n".join(f"{clock(start)} {title}" for start, title in chosen.items())


def chapters(moments: Sequence[ExportedMoment], *, duration: float) -> dict[int, str]:
    """Choose the chapters: a moment begins one, and so does the video.

    Of moments that begin within 10 seconds of each other, the best keeps its chapter. A moment
    that begins in the first 10 seconds begins the first chapter.

    Args:
        moments: Moments in any order.
        duration: Length of the video, seconds.

    Returns:
        Titles, of at most 100 characters on one line, by their start in whole seconds, in order.
        A chapter lasts until the next one begins.
    """
    latest = math.floor(duration) - SHORTEST_SECONDS
    by_worth = sorted(
        moments, key=lambda one: (-1 if one.score is None else one.score, -one.start), reverse=True
    )
    chosen: dict[int, str] = {}
    for moment in by_worth:
        start = math.floor(moment.start) if moment.start >= SHORTEST_SECONDS else 0
        if start <= latest and all(abs(start - other) >= SHORTEST_SECONDS for other in chosen):
            chosen[start] = folded(moment.title.translate(_LOOK_ALIKES), longest=100)
    if chosen:
        chosen.setdefault(0, "Beginning")
    return dict(sorted(chosen.items()))


def _harmless(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
