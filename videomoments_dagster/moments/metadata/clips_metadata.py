"""What the UI shows of `clips` and `thumbnails`: a table, links, and a contact sheet."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import dagster as dg

from videomoments_dagster.base.failures import MediaFailed
from videomoments_dagster.base.text import clock_with_tenths
from videomoments_dagster.core.metadata_values import (
    MAX_ROWS,
    browsable,
    local_path,
    markdown_text,
    table,
)
from videomoments_dagster.media.stills import contact_sheet
from videomoments_dagster.moments.metadata.pictures import labelled_sheet
from videomoments_dagster.moments.records import Clip, ClipFailure, Clips, Moments, Thumbnails

SHEET = "stored_sheet"
"""Name, in what is remembered of a result, of its contact sheet."""

MOST_TILES = 16
_COLUMNS = (4, 5, 3)
_LANDSCAPE, _PORTRAIT = (160, 90), (90, 160)
_SHEET_BYTES = 11_000
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
    links = [f"- {_link(clip)}" for clip in clips.clips[:MAX_ROWS]]
    if len(clips.clips) > MAX_ROWS:
        links.append(f"- and {len(clips.clips) - MAX_ROWS} more")
    return {
        "table": table(
            {
                "start": ("string", lambda clip: clock_with_tenths(clip.start_time)),
                "end": ("string", lambda clip: clock_with_tenths(clip.end_time)),
                "seconds": ("float", lambda clip: round(clip.end_time - clip.start_time, 2)),
                "before": ("float", lambda clip: round(clip.padding_left, 2)),
                "after": ("float", lambda clip: round(clip.padding_right, 2)),
                "KiB": ("int", lambda clip: clip.file_size_kb),
                "cut by": ("string", lambda clip: _WAYS.get(clip.method)),
                "codecs": ("string", _codecs),
                "shows": ("string", lambda clip: titles.get(clip.moment_identifier)),
            },
            clips.clips,
        ),
        "links": dg.MetadataValue.md("\n".join(links)),
        "clips_seconds": round(sum(clip.end_time - clip.start_time for clip in clips.clips), 3),
        "clips_size_mib": round(sum(clip.file_size_kb or 0 for clip in clips.clips) / 1024, 2),
        "copied": sum(clip.method == "copy" for clip in clips.clips),
        "encoded": sum(clip.method == "encode" for clip in clips.clips),
    }


def failures_table(failures: Sequence[ClipFailure]) -> dg.TableMetadataValue:
    """Moment and reason of each clip that could not be cut."""
    columns = {"moment": "moment_identifier", "why there is no clip": "reason"}
    return table({name: ("string", attrgetter(of)) for name, of in columns.items()}, failures)


def remembered_sheet(
    pictures: Sequence[tuple[str, Path]], *, upright: bool, of: int
) -> dict[str, Any]:
    """A contact sheet, small enough to be remembered with the thumbnails.

    Args:
        pictures: A label and a picture file for each tile, at most `MOST_TILES`.
        upright: Whether the pictures are taller than wide.
        of: How many thumbnails there are.

    Returns:
        The sheet as JSON values; nothing where there are no pictures or one is unreadable.
    """
    if not pictures:
        return {}
    # The number of columns that leaves the fewest places empty.
    columns = min(_COLUMNS, key=lambda number: -len(pictures) % number)
    try:
        sheet = contact_sheet(
            [path for _, path in pictures],
            columns=columns,
            tile=_PORTRAIT if upright else _LANDSCAPE,
            at_most_bytes=_SHEET_BYTES,
        )
    except (MediaFailed, OSError):
        # The sheet is for looking at; the check of the stored pictures names the broken one.
        return {}
    return {
        "picture": b64encode(sheet.content).decode(),
        "width": sheet.width,
        "height": sheet.height,
        "columns": columns,
        "labels": [label for label, _ in pictures],
        "of": of,
    }


def thumbnails_metadata(thumbnails: Thumbnails, details: Mapping[str, Any]) -> dict[str, Any]:
    """The contact sheet, and how much the pictures take."""
    shown: dict[str, Any] = {}
    if details.get(SHEET):
        shown["contact_sheet"] = dg.MetadataValue.md(labelled_sheet(**details[SHEET]))
    if thumbnails.thumbnails:
        shown["thumbnails_size_kib"] = sum(one.file_size_kb or 0 for one in thumbnails.thumbnails)
    return shown


def _codecs(clip: Clip) -> str:
    return "/".join(filter(None, (clip.video_codec, clip.audio_codec)))


def _link(clip: Clip) -> str:
    times = f"{clock_with_tenths(clip.start_time)} to {clock_with_tenths(clip.end_time)}"
    opened = browsable(clip.cloud_url)
    if opened is not None:
        return f"[{times}](<{opened}>)"
    return f"{times}: {markdown_text(local_path(clip.cloud_url))}"
