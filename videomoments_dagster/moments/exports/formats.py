"""The formats there are. A new one is a module beside this, and an entry here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from videomoments_dagster.moments.exports.edit_decisions import edl, otio
from videomoments_dagster.moments.exports.json_document import json_document
from videomoments_dagster.moments.exports.material import Material
from videomoments_dagster.moments.exports.moment_lists import chapters_text, csv_table
from videomoments_dagster.moments.exports.subtitles import subrip, webvtt


@dataclass(frozen=True, slots=True)
class Format:
    """A format.

    Attributes:
        write: Gives a video in this format. May raise `ResultMissing` and `ExportRefused`.
        what: What it is for, in a few words.
        has_boundaries: Whether it is cut by boundaries that one may choose.
        counts_frames: Whether it counts frames of a media file.
    """

    write: Callable[[Material], str]
    what: str
    has_boundaries: bool = False
    counts_frames: bool = False


FORMATS: Mapping[str, Format] = {
    "json": Format(json_document, "everything that is stored"),
    "csv": Format(csv_table, "a row a moment, for spreadsheets"),
    "edl": Format(edl, "CMX 3600, for editors", has_boundaries=True, counts_frames=True),
    "otio": Format(otio, "OpenTimelineIO, for editors", has_boundaries=True, counts_frames=True),
    "vtt": Format(webvtt, "captions for the web"),
    "srt": Format(subrip, "captions for players and editors"),
    "chapters": Format(chapters_text, "chapters for YouTube", has_boundaries=True),
}
