"""What the UI tells about `moments` and `refined_moments`: a table, a time line, and numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import dagster as dg

from videomoments_dagster.base.text import clock as whole_seconds
from videomoments_dagster.base.text import clock_with_tenths
from videomoments_dagster.core.metadata_tables import cut_off, markdown_text, table
from videomoments_dagster.moments.pictures.timeline_picture import (
    Bar,
    Timeline,
    large_timeline,
    small_timeline,
)
from videomoments_dagster.moments.records import Moment, Moments
from videomoments_dagster.moments.soundness import largest_shift
from videomoments_dagster.speech.transcript import Transcript, speech_density, spoken_stretches

_COLUMNS = {
    "start": "string",
    "end": "string",
    "seconds": "float",
    "score": "int",
    "title": "string",
}


def moments_metadata(
    moments: Moments, *, transcript: Transcript, duration_seconds: float
) -> dict[str, Any]:
    """Start, end, length, score and title of each, where they lie, and what they come to.

    Args:
        moments: The moments.
        transcript: What is said.
        duration_seconds: Length of the video.
    """
    return {
        "summary": _summary(moments, duration_seconds),
        **_timelines(moments, transcript, duration_seconds),
        "table": table(
            _COLUMNS,
            (
                (
                    clock_with_tenths(moment.start_time),
                    clock_with_tenths(moment.end_time),
                    round(moment.end_time - moment.start_time, 1),
                    moment.score,
                    moment.title,
                )
                for moment in moments.moments
            ),
        ),
        **_numbers(moments),
    }


def refined_metadata(
    refined: Moments, *, roots: Moments, transcript: Transcript, duration_seconds: float
) -> dict[str, Any]:
    """The same, with how far the boundaries were moved.

    Args:
        refined: The refined moments.
        roots: The moments that they refine.
        transcript: What is said.
        duration_seconds: Length of the video.
    """
    parents = {root.identifier: root for root in roots.moments}
    pairs = [(one, parents.get(one.parent_identifier or "")) for one in refined.moments]
    shifts = [largest_shift(one, parent) for one, parent in pairs if parent is not None]
    told = {
        "summary": _summary(refined, duration_seconds, before=roots.moments),
        **_timelines(refined, transcript, duration_seconds, before=roots.moments),
        "table": table(
            {
                "start": "string",
                "start moved": "float",
                "end": "string",
                "end moved": "float",
                "seconds": "float",
                "score": "int",
                "title": "string",
            },
            (
                (
                    clock_with_tenths(one.start_time),
                    None if parent is None else round(one.start_time - parent.start_time, 2),
                    clock_with_tenths(one.end_time),
                    None if parent is None else round(one.end_time - parent.end_time, 2),
                    round(one.end_time - one.start_time, 1),
                    one.score,
                    one.title,
                )
                for one, parent in pairs
            ),
        ),
        **_numbers(refined),
    }
    if shifts:
        told["largest_shift_seconds"] = round(max(shifts), 3)
        told["mean_shift_seconds"] = round(sum(shifts) / len(shifts), 3)
    return told


def _summary(
    moments: Moments, duration_seconds: float, *, before: Iterable[Moment] = ()
) -> dg.MarkdownMetadataValue:
    """What there is in a sentence, the best of it, and how to read the time line."""
    found = moments.moments
    length = whole_seconds(duration_seconds)
    if not found:
        none = f"No moments in {length} of video."
        return dg.MetadataValue.md(f"{none} {markdown_text(moments.why_fewer)}".strip())
    together = whole_seconds(sum(one.end_time - one.start_time for one in found))
    said = [f"**{len(found)} moment{'s' * (len(found) > 1)}**, together {together} of {length}."]
    scored = [one for one in found if one.score is not None]
    if scored:
        best = max(scored, key=lambda one: one.score or 0)
        times = f"{whole_seconds(best.start_time)} to {whole_seconds(best.end_time)}"
        title = f", *{markdown_text(cut_off(best.title))}*" if best.title else ""
        said.append(f"The best, with a score of {best.score} of 10, is {times}{title}.")
    read = "In the timeline, blue is a moment" + ", with its score above it" * bool(scored)
    under = "; the line under it is where it was before its boundaries were moved" * bool(before)
    said.append(f"{read}{under}; grey is how much is said.")
    return dg.MetadataValue.md("  \n".join(said))


def _timelines(
    moments: Moments,
    transcript: Transcript,
    duration_seconds: float,
    *,
    before: Iterable[Moment] = (),
) -> dict[str, Any]:
    stretches = spoken_stretches(transcript.words, duration_seconds=duration_seconds)
    timeline = Timeline(
        duration_seconds=duration_seconds,
        density=lambda parts: speech_density(
            stretches, duration_seconds=duration_seconds, parts=parts
        ),
        moments=[_bar(moment) for moment in moments.moments],
        before=[_bar(moment) for moment in before],
    )
    pictures = {"timeline": small_timeline(timeline), "timeline_large": large_timeline(timeline)}
    return {name: dg.MetadataValue.md(text) for name, text in pictures.items() if text}


def _bar(moment: Moment) -> Bar:
    return Bar(start=moment.start_time, end=moment.end_time, score=moment.score)


def _numbers(moments: Moments) -> dict[str, Any]:
    lengths = [moment.end_time - moment.start_time for moment in moments.moments]
    scores = [moment.score for moment in moments.moments if moment.score is not None]
    numbers: dict[str, Any] = {"moments_seconds": round(sum(lengths), 3)}
    if lengths:
        numbers["shortest_seconds"] = round(min(lengths), 3)
        numbers["longest_seconds"] = round(max(lengths), 3)
    if scores:
        numbers["mean_score"] = round(sum(scores) / len(scores), 2)
        numbers["best_score"] = max(scores)
    return numbers
