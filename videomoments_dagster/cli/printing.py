"""How the command's results look, for people and for programs.

Belongs here: tables, lines and colours on standard output. Does not belong here: what is in the
documents (`documents`), or the progress of a run (`progress`).

Titles, sentences, paths and messages come from outside: they are shown as `Text`, which has no
markup, without characters that would steer the terminal. Where output is not a terminal there is
no colour, and nothing is wrapped or cut off.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from videomoments_dagster.base.text import clock as whole_seconds
from videomoments_dagster.base.text import printable
from videomoments_dagster.cli.doctor import Finding
from videomoments_dagster.moments.exports.json_document import Document, json_text

# Wider than any line, so that nothing is wrapped for a reader who isn't a terminal.
_UNBOUNDED_WIDTH = 1_000_000
_RUNS_SHOWN = 5
_KIBIBYTES_PER_MEBIBYTE = 1024

_STYLES = {
    "completed": "green",
    "running": "cyan",
    "partial": "yellow",
    "failed": "red",
    "ok": "green",
    "optional": "yellow",
    "problem": "red",
}


def print_list_json(videos: Sequence[Document]) -> None:
    """Print the videos as one JSON document."""
    _print_json(videos)


def print_list(videos: Sequence[Document], *, is_all: bool) -> None:
    """Print a line for each video, and whether there are more."""
    if not videos:
        _console().print("There are no videos yet. Register one with `videomoments add SOURCE`.")
        return
    _print_table(
        ["identifier", "title", "duration", "moments", "clips", "last run"],
        (
            [
                video["identifier"],
                video["title"],
                clock(video["duration_seconds"]),
                *_list_counts(video),
                _list_status(video),
            ]
            for video in videos
        ),
        numeric={"duration", "moments", "clips"},
    )
    if not is_all:
        _line(f"There are more than these {len(videos)}: --limit shows more.")


def print_video(document: Document, *, as_json: bool) -> None:
    """Print all that is stored of one video."""
    if as_json:
        _print_json(document)
        return
    _print_heading(document)
    if document["state"] == "registered":
        _line()
        _line("Registered, and not yet materialised.")
        _line(f"Next: videomoments run {document['identifier']}")
        return
    _print_facts(document)
    _print_moments(document)
    _print_clips(document["clips"])
    _print_thumbnails(document["thumbnails"])
    _print_runs(document["history"])


def print_hits(hits: Sequence[Document], *, as_json: bool) -> None:
    """Print where something is said: video, time and sentence."""
    if as_json:
        _print_json(hits)
        return
    if not hits:
        _console().print("Nothing found.")
        return
    _print_table(
        ["video", "time", "sentence"],
        ([hit["video"], clock(hit["start_seconds"]), hit["text"]] for hit in hits),
        numeric={"time"},
    )


def print_findings(findings: Sequence[Finding], *, as_json: bool) -> None:
    """Print what was found out about the installation, and what to do about it."""
    if as_json:
        _print_json([asdict(finding) for finding in findings])
        return
    width = max((len(finding.name) for finding in findings), default=0)
    for finding in findings:
        _line(
            (f"{finding.level:<8}", _STYLES[finding.level]),
            f"  {finding.name:<{width}}  {finding.detail}",
        )
        if finding.remedy:
            _line(" " * (width + 12), f"{finding.remedy}")


def clock(seconds: float | None) -> str:
    """Write seconds as m:ss, or h:mm:ss from an hour on; "-" for None."""
    return "-" if seconds is None else whole_seconds(seconds)


def place(url: str) -> str:
    """Give a plain path for a `file://` URL, and any other URL as it is."""
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        return url
    return os.fsdecode(unquote_to_bytes(parts.path))


def _console() -> Console:
    if sys.stdout.isatty():
        return Console(highlight=False, markup=False)
    return Console(highlight=False, markup=False, no_color=True, width=_UNBOUNDED_WIDTH)


def _print_json(document: Any) -> None:
    sys.stdout.write(json_text(document) + "\n")


def _encodable(text: str) -> str:
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)


def _text(value: object, style: str = "") -> Text:
    return Text(_encodable(printable(value)), style=style)


def _line(*parts: str | tuple[str, str]) -> None:
    """Print one line, which only the terminal itself wraps: a path can be copied from it."""
    pieces = [(part, "") if isinstance(part, str) else part for part in parts]
    line = Text.assemble(*(_text(text, style) for text, style in pieces))
    _console().print(line, soft_wrap=True)


def _title(text: str) -> None:
    _line()
    _line((text, "bold"))


def _print_table(
    header: Sequence[str], rows: Iterable[Sequence[object]], *, numeric: Iterable[str] = ()
) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    for name in header:
        table.add_column(
            name, justify="right" if name in numeric else "left", overflow="fold", no_wrap=False
        )
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else _text(cell) for cell in row))
    _console().print(table)


def _status(status: str) -> Text:
    return _text(status, _STYLES.get(status, ""))


def _list_counts(video: Document) -> tuple[int | None, int | None]:
    stored = video["state"] == "materialised"
    return (video["moments"], video["clips"]) if stored else (None, None)


def _list_status(video: Document) -> Text:
    if video["last_status"] is None:
        return _text("not yet run" if video["state"] == "registered" else None)
    return _status(video["last_status"])


def _print_heading(document: Document) -> None:
    title = document["title"]
    _line((document["identifier"], "bold"), f"  {title}" if title else "")
    if document["source_url"]:
        _line(f"  from     {document['source_url']}")


def _print_facts(document: Document) -> None:
    _line(f"  stored   {place(document['cloud_url'])}")
    rate = document["frame_rate"]
    facts = [
        clock(document["duration_seconds"]),
        document["resolution"],
        f"{rate:.5g} frames a second" if rate else None,
        "/".join(filter(None, (document["video_codec"], document["audio_codec"]))),
        _size(document["file_size_kb"]),
    ]
    _line(f"  video    {', '.join(fact for fact in facts if fact)}")
    transcript = document["transcript"]
    if transcript is None:
        _line("  speech   not transcribed yet")
    else:
        _line(
            f"  speech   {transcript['number_of_words']} words in"
            f" {transcript['number_of_segments']} segments, language {transcript['language']},"
            f" by {transcript['transcription_service']}"
        )
    config = document["generation_config"]
    if config is not None:
        _line(f"  profile  {config['profile']} ({config['model']})")


def _print_moments(document: Document) -> None:
    if not document["moments"]:
        _title("No moments")
        return
    _title("Moments")
    _print_table(
        ["time", "to", "seconds", "score", "refined", "title"],
        (
            [
                clock(moment["start_time"]),
                clock(moment["end_time"]),
                f"{moment['end_time'] - moment['start_time']:.0f}",
                moment["score"],
                _refined(moment["refined"]),
                moment["title"],
            ]
            for moment in document["moments"]
        ),
        numeric={"time", "to", "seconds", "score"},
    )


def _refined(refined: Document | None) -> str:
    if refined is None:
        return "-"
    return f"{clock(refined['start_time'])} to {clock(refined['end_time'])}"


def _print_clips(clips: Sequence[Document]) -> None:
    if not clips:
        _title("No clips")
        return
    _title("Clips")
    for clip in clips:
        codecs = "/".join(filter(None, (clip["video_codec"], clip["audio_codec"])))
        facts = (clip["resolution"], codecs, _size(clip["file_size_kb"]))
        span = f"{clock(clip['start_time'])} to {clock(clip['end_time'])}"
        _line(f"  {span}  {', '.join(fact for fact in facts if fact)}")
        _line(f"    {place(clip['cloud_url'])}")


def _print_thumbnails(thumbnails: Sequence[Document]) -> None:
    if not thumbnails:
        _title("No thumbnails")
        return
    _title("Thumbnails")
    for thumbnail in thumbnails:
        _line(f"    {place(thumbnail['cloud_url'])}")


def _print_runs(history: Sequence[Document]) -> None:
    if not history:
        return
    _title("Last runs")
    for run in history[:_RUNS_SHOWN]:
        took = run["duration_seconds"]
        _line(
            f"  {run['started_at']}  ",
            (run["status"], _STYLES.get(run["status"], "")),
            f"  {run['pipeline_type']}",
            "" if took is None else f"  {took:.1f} s",
        )
        if run["error_message"]:
            stage = run["error_stage"]
            _line(f"    {stage}: " if stage else "    ", run["error_message"])
    if len(history) > _RUNS_SHOWN:
        _line(f"  and {len(history) - _RUNS_SHOWN} earlier ones")


def print_history(runs: Sequence[Document], *, as_json: bool) -> None:
    """Print runs, the newest first, as a table or as JSON."""
    if as_json:
        _print_json(list(runs))
        return
    if not runs:
        _line("No runs.")
        return
    _print_table(
        ["started", "video", "what", "status", "seconds", "moments", "clips", "why"],
        (
            [
                run["started_at"],
                run["video"],
                run["pipeline_type"],
                _status(run["status"]),
                "" if run["duration_seconds"] is None else f"{run['duration_seconds']:.1f}",
                run["total_moments_generated"],
                run["total_clips_created"],
                run["error_message"],
            ]
            for run in runs
        ),
        numeric={"seconds", "moments", "clips"},
    )


def _size(kibibytes: int | None) -> str | None:
    if kibibytes is None:
        return None
    if kibibytes < _KIBIBYTES_PER_MEBIBYTE:
        return f"{kibibytes} KiB"
    return f"{kibibytes / _KIBIBYTES_PER_MEBIBYTE:.1f} MiB"
