"""Results as Markdown tables, for the metadata of materialisations.

Belongs here: what a person reads in the UI. Text from outside is escaped. Does not belong here:
anything that decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import dagster as dg

from videomoments_dagster.records import ClipFailure, Clips, Moments

MAX_ROWS = 50
"""The event log keeps metadata for good; longer tables end with a count."""


def clock(seconds: float) -> str:
    """Seconds as `m:ss.s`, or `h:mm:ss.s` from an hour on."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    shown = f"{rest / 10:04.1f}"
    return f"{hours}:{minutes:02d}:{shown}" if hours else f"{minutes}:{shown}"


def _cell(text: object) -> str:
    plain = " ".join(str(text).split())
    for character in "\\`*_[]<>|":
        plain = plain.replace(character, f"\\{character}" if character != "<" else "&lt;")
    return plain


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> dg.MarkdownMetadataValue:
    body = [[_cell(value) for value in row] for row in rows]
    lines = [header, ["---"] * len(header), *body[:MAX_ROWS]]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    if len(body) > MAX_ROWS:
        text += f"\n\nand {len(body) - MAX_ROWS} more"
    return dg.MetadataValue.md(text)


def moments_table(moments: Moments) -> dg.MarkdownMetadataValue:
    """Start, end, length in seconds, score and title of each moment."""
    return _table(
        ["start", "end", "seconds", "score", "title"],
        (
            (
                clock(moment.start_time),
                clock(moment.end_time),
                f"{moment.end_time - moment.start_time:.1f}",
                "" if moment.score is None else moment.score,
                moment.title,
            )
            for moment in moments.moments
        ),
    )


def clips_table(clips: Clips) -> dg.MarkdownMetadataValue:
    """Start, end, size in kB and address of each clip."""
    return _table(
        ["moment", "start", "end", "kB", "where"],
        (
            (
                clip.moment_identifier,
                clock(clip.start_time),
                clock(clip.end_time),
                clip.file_size_kb or "",
                clip.cloud_url,
            )
            for clip in clips.clips
        ),
    )


def failures_table(failures: Sequence[ClipFailure]) -> dg.MarkdownMetadataValue:
    """Moment and reason of each clip that could not be cut."""
    return _table(
        ["moment", "why there is no clip"],
        ((failure.moment_identifier, failure.reason) for failure in failures),
    )
