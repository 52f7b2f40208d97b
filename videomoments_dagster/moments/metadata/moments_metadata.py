"""What the UI shows of `generation_config`, `moments` and `refined_moments`.

Parameters side by side and prompts to read; tables, time lines and numbers of moments.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import dagster as dg

from videomoments_dagster.base.text import clock, clock_with_tenths
from videomoments_dagster.core.metadata_values import LONGEST_CELL, markdown_text, table
from videomoments_dagster.moments.metadata.pictures import Timeline, large_timeline, small_timeline
from videomoments_dagster.moments.records import (
    GenerationConfig,
    Moment,
    Moments,
    Prompt,
    ScoringConfig,
    SelectedConfigs,
)
from videomoments_dagster.moments.soundness import largest_shift
from videomoments_dagster.speech.transcripts import Transcript, speech_density, spoken_stretches

_LONGEST_PROMPT = 3_000
_LINE = 70
_SAMPLING = ("temperature", "top_p", "top_k")
_LIMITS = (
    ("shortest moment, seconds", "min_moment_length"),
    ("longest moment, seconds", "max_moment_length"),
    ("moments at least", "min_moments"),
    ("moments at most", "max_moments"),
)


def configs_metadata(configs: SelectedConfigs) -> dict[str, Any]:
    """A table of parameters, and the texts that a model is given."""
    three: tuple[GenerationConfig | ScoringConfig, ...] = (
        configs.generation,
        configs.refinement,
        configs.scoring,
    )
    rows = [
        ("model", *(one.model for one in three)),
        *((name, *(_number(getattr(one, name)) for one in three)) for name in _SAMPLING),
        *(
            (name, *(_number(getattr(one, field)) for one in three[:2]), "")
            for name, field in _LIMITS
        ),
        ("boundaries move at most, seconds", "", _number(configs.max_shift_seconds), ""),
    ]
    prompts = [
        f"### {name}\n\n**System prompt**\n\n{_block(one.prompt.system_prompt)}\n\n"
        f"**User prompt**\n\n{_block(one.prompt.user_prompt)}"
        for name, one in zip(("Finding", "Refining", "Scoring"), three, strict=True)
        if one.prompt != Prompt("", "")
    ]
    columns = ("parameter", "finding", "refining", "scoring")
    return {
        "parameters": table(
            {name: ("string", itemgetter(at)) for at, name in enumerate(columns)},
            [row for row in rows if any(row[1:])],
        ),
        "max_shift_seconds": configs.max_shift_seconds,
        "prompts": dg.MetadataValue.md("\n\n".join(prompts) or "There are no prompts."),
    }


def moments_metadata(
    moments: Moments,
    *,
    transcript: Transcript,
    duration_seconds: float,
    roots: Moments | None = None,
) -> dict[str, Any]:
    """Start, end, length, score and title of each, where they lie, and what they come to.

    Args:
        moments: The moments.
        transcript: What is said.
        duration_seconds: Length of the video.
        roots: For refined moments, those that they refine: how far boundaries were moved is
            shown too.
    """
    before = roots.moments if roots else ()
    parents = {root.identifier: root for root in before}
    pairs = [(one, parents.get(one.parent_identifier or "")) for one in moments.moments]
    columns: dict[str, tuple[str, Callable[[Any], Any]]] = {
        "start": ("string", lambda pair: clock_with_tenths(pair[0].start_time)),
        "start moved": ("float", lambda pair: _moved(pair, "start_time")),
        "end": ("string", lambda pair: clock_with_tenths(pair[0].end_time)),
        "end moved": ("float", lambda pair: _moved(pair, "end_time")),
        "seconds": ("float", lambda pair: round(pair[0].end_time - pair[0].start_time, 1)),
        "score": ("int", lambda pair: pair[0].score),
        "title": ("string", lambda pair: pair[0].title),
    }
    if roots is None:
        del columns["start moved"], columns["end moved"]
    stretches = spoken_stretches(transcript.words, duration_seconds=duration_seconds)
    timeline = Timeline(
        duration_seconds=duration_seconds,
        density=lambda parts: speech_density(
            stretches, duration_seconds=duration_seconds, parts=parts
        ),
        moments=moments.moments,
        before=before,
    )
    pictures = {"timeline": small_timeline(timeline), "timeline_large": large_timeline(timeline)}
    shifts = [largest_shift(one, parent) for one, parent in pairs if parent is not None]
    return {
        "summary": dg.MetadataValue.md(_summary(moments, duration_seconds, refines=bool(before))),
        **{name: dg.MetadataValue.md(text) for name, text in pictures.items() if text},
        "table": table(columns, pairs),
        **_numbers(moments.moments, shifts),
    }


def _moved(pair: tuple[Moment, Moment | None], boundary: str) -> float | None:
    moment, root = pair
    return round(getattr(moment, boundary) - getattr(root, boundary), 2) if root else None


def _summary(moments: Moments, duration_seconds: float, *, refines: bool) -> str:
    """What there is in a sentence, the best of it, and how to read the time line."""
    found, length = moments.moments, clock(duration_seconds)
    if not found:
        return f"No moments in {length} of video. {markdown_text(moments.why_fewer)}".strip()
    together = clock(sum(one.end_time - one.start_time for one in found))
    lines = [f"**{len(found)} moment{'s' * (len(found) > 1)}**, together {together} of {length}."]
    scored = [one for one in found if one.score is not None]
    if scored:
        best = max(scored, key=lambda one: one.score or 0)
        times = f"{clock(best.start_time)} to {clock(best.end_time)}"
        title = f", *{markdown_text(best.title, longest=LONGEST_CELL)}*" if best.title else ""
        lines.append(f"The best, with a score of {best.score} of 10, is {times}{title}.")
    read = "In the timeline, blue is a moment" + ", with its score above it" * bool(scored)
    under = "; the line under it is where it was before its boundaries were moved" * refines
    lines.append(f"{read}{under}; grey is how much is said.")
    return "  \n".join(lines)


def _numbers(moments: Sequence[Moment], shifts: Sequence[float]) -> dict[str, float]:
    lengths = [one.end_time - one.start_time for one in moments]
    scores = [one.score for one in moments if one.score is not None]
    numbers: dict[str, float] = {"moments_seconds": round(sum(lengths), 3)}
    if lengths:
        numbers["shortest_seconds"] = round(min(lengths), 3)
        numbers["longest_seconds"] = round(max(lengths), 3)
    if scores:
        numbers["mean_score"] = round(sum(scores) / len(scores), 2)
        numbers["best_score"] = max(scores)
    if shifts:
        numbers["largest_shift_seconds"] = round(max(shifts), 3)
        numbers["mean_shift_seconds"] = round(sum(shifts) / len(shifts), 3)
    return numbers


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _block(text: str) -> str:
    """Text as it is, whatever it holds: the fence is longer than any in it."""
    if len(text) > _LONGEST_PROMPT:
        text = f"{text[:_LONGEST_PROMPT]}\n… and {len(text) - _LONGEST_PROMPT} characters more"
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    # The UI does not wrap lines in a block.
    lines = [textwrap.fill(line, _LINE) for line in text.strip().splitlines()]
    return "\n".join([f"{fence}text", *lines, fence])
