"""What the UI tells about `clips`: a table, links, and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dagster as dg

from videomoments_dagster.base.text import clock_with_tenths
from videomoments_dagster.core.metadata_tables import MAX_ROWS, markdown_text, table
from videomoments_dagster.moments.metadata.links import browsable, local_path
from videomoments_dagster.moments.records import Clip, ClipFailure, Clips, Moments

_WAYS = {"copy": "copied", "encode": "encoded"}


def clips_metadata(clips: Clips, *, moments: Moments) -> dict[str, Any]:
    """Where each clip begins and ends, its padding, size and way of cutting, and its link.

    Args:
        clips: The clips.
        moments: The moments that they show, for their titles.
    """
    titles = {moment.identifier: moment.title for moment in moments.moments}
    if not clips.clips:
        return {}
    shown = [clip.end_time - clip.start_time for clip in clips.clips]
    return {
        "table": table(
            {
                "start": "string",
                "end": "string",
                "seconds": "float",
                "before": "float",
                "after": "float",
                "KiB": "int",
                "cut by": "string",
                "codecs": "string",
                "shows": "string",
            },
            (
                (
                    clock_with_tenths(clip.start_time),
                    clock_with_tenths(clip.end_time),
                    round(clip.end_time - clip.start_time, 2),
                    round(clip.padding_left, 2),
                    round(clip.padding_right, 2),
                    clip.file_size_kb,
                    _WAYS.get(clip.method, ""),
                    "/".join(filter(None, (clip.video_codec, clip.audio_codec))),
                    titles.get(clip.moment_identifier, ""),
                )
                for clip in clips.clips
            ),
        ),
        "links": dg.MetadataValue.md(_links(clips)),
        "clips_seconds": round(sum(shown), 3),
        "clips_size_mib": round(sum(clip.file_size_kb or 0 for clip in clips.clips) / 1024, 2),
        "copied": sum(clip.method == "copy" for clip in clips.clips),
        "encoded": sum(clip.method == "encode" for clip in clips.clips),
    }


def _links(clips: Clips) -> str:
    lines = [f"- {_link(clip)}" for clip in clips.clips[:MAX_ROWS]]
    if len(clips.clips) > MAX_ROWS:
        lines.append(f"- and {len(clips.clips) - MAX_ROWS} more")
    return "\n".join(lines)


def _link(clip: Clip) -> str:
    times = f"{clock_with_tenths(clip.start_time)} to {clock_with_tenths(clip.end_time)}"
    opened = browsable(clip.cloud_url)
    if opened is not None:
        return f"[{times}](<{opened}>)"
    return f"{times}: {markdown_text(local_path(clip.cloud_url))}"


def failures_table(failures: Sequence[ClipFailure]) -> dg.TableMetadataValue:
    """Moment and reason of each clip that could not be cut."""
    return table(
        {"moment": "string", "why there is no clip": "string"},
        ((failure.moment_identifier, failure.reason) for failure in failures),
    )
