"""How the command's results look, for people and for programs.

Titles, sentences, paths and messages come from outside: they are shown as `Text`, which has no
markup, without characters that would steer the terminal. Where output is not a terminal there is
no colour, and nothing is wrapped or cut off.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from videomoments_dagster.base.text import clock as whole_seconds
from videomoments_dagster.base.text import printable
from videomoments_dagster.moments.exports.json_document import Document, json_text

# Wider than any line, so that nothing is wrapped for a reader who isn't a terminal.
_UNBOUNDED_WIDTH = 1_000_000
_RUNS_SHOWN = 5

STYLES = {
    "completed": "green",
    "running": "cyan",
    "partial": "yellow",
    "failed": "red",
    "ok": "green",
    "optional": "yellow",
    "problem": "red",
}


def print_json(document: Any) -> None:
    """Print one JSON document."""
    sys.stdout.write(json_text(document) + "\n")


def print_list(videos: Sequence[Document], *, is_all: bool) -> None:
    """Print a line for each video, and whether there are more."""
    if not videos:
        line("There are no videos yet. Register one with `videomoments add SOURCE`.")
        return
    print_table(
        ["identifier", "title", "duration", "moments", "clips", "last run"],
        (
            [
                video["identifier"],
                video["title"],
                clock(video["duration_seconds"]),
                *((video["moments"], video["clips"]) if is_stored else (None, None)),
                _status(video["last_status"] or (None if is_stored else "not yet run")),
            ]
            for video in videos
            for is_stored in [video["state"] == "materialised"]
        ),
        numeric={"duration", "moments", "clips"},
    )
    if not is_all:
        line(f"There are more than these {len(videos)}: --limit shows more.")


def print_video(document: Document, *, as_json: bool) -> None:
    """Print all that is stored of one video."""
    if as_json:
        print_json(document)
        return
    title = document["title"]
    line((document["identifier"], "bold"), f"  {title}" if title else "")
    if document["source_url"]:
        line(f"  from     {document['source_url']}")
    if document["state"] == "registered":
        line()
        line("Registered, and not yet materialised.")
        line(f"Next: videomoments run {document['identifier']}")
        return
    _print_facts(document)
    if _title("moments", document["moments"]):
        print_table(
            ["time", "to", "seconds", "score", "refined", "title"],
            (
                [
                    clock(moment["start_time"]),
                    clock(moment["end_time"]),
                    f"{moment['end_time'] - moment['start_time']:.0f}",
                    moment["score"],
                    _span(moment["refined"]),
                    moment["title"],
                ]
                for moment in document["moments"]
            ),
            numeric={"time", "to", "seconds", "score"},
        )
    if _title("clips", document["clips"]):
        for clip in document["clips"]:
            line(f"  {_span(clip)}  {_facts(clip['resolution'], _codecs(clip), _size(clip))}")
            line(f"    {place(clip['cloud_url'])}")
    if _title("thumbnails", document["thumbnails"]):
        for thumbnail in document["thumbnails"]:
            line(f"    {place(thumbnail['cloud_url'])}")
    _print_last_runs(document["history"])


def _print_facts(document: Document) -> None:
    rate, speech, config = (document[k] for k in ("frame_rate", "transcript", "generation_config"))
    facts = _facts(
        clock(document["duration_seconds"]),
        document["resolution"],
        f"{rate:.5g} frames a second" if rate else None,
        _codecs(document),
        _size(document),
    )
    line(f"  stored   {place(document['cloud_url'])}")
    line(f"  video    {facts}")
    line(
        "  speech   not transcribed yet"
        if speech is None
        else f"  speech   {speech['number_of_words']} words in {speech['number_of_segments']}"
        f" segments, language {speech['language']}, by {speech['transcription_service']}"
    )
    if config is not None:
        line(f"  profile  {config['profile']} ({config['model']})")


def _print_last_runs(history: Sequence[Document]) -> None:
    if not history:
        return
    _title("last runs", history)
    for run in history[:_RUNS_SHOWN]:
        took = run["duration_seconds"]
        line(
            f"  {run['started_at']}  ",
            (run["status"], STYLES.get(run["status"], "")),
            f"  {run['pipeline_type']}",
            "" if took is None else f"  {took:.1f} s",
        )
        if run["error_message"]:
            stage = run["error_stage"]
            line(f"    {stage}: " if stage else "    ", run["error_message"])
    if len(history) > _RUNS_SHOWN:
        line(f"  and {len(history) - _RUNS_SHOWN} earlier ones")


def print_hits(hits: Sequence[Document], *, as_json: bool) -> None:
    """Print where something is said: video, time and sentence."""
    if as_json:
        print_json(hits)
    elif not hits:
        line("Nothing found.")
    else:
        rows = ([hit["video"], clock(hit["start_seconds"]), hit["text"]] for hit in hits)
        print_table(["video", "time", "sentence"], rows, numeric={"time"})


def print_history(runs: Sequence[Document], *, as_json: bool) -> None:
    """Print runs, the newest first, as a table or as JSON."""
    if as_json:
        print_json(runs)
    elif not runs:
        line("No runs.")
    else:
        print_table(
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


def print_table(
    header: Sequence[str], rows: Iterable[Sequence[object]], *, numeric: Collection[str]
) -> None:
    """Print a table, the `numeric` columns to the right."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    for name in header:
        table.add_column(name, justify="right" if name in numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else _text(cell) for cell in row))
    _console().print(table)


def line(*parts: str | tuple[str, str]) -> None:
    """Print one line, of texts and of (text, style).

    Only the terminal itself wraps it: a path can be copied from it.
    """
    pieces = [(part, "") if isinstance(part, str) else part for part in parts]
    _console().print(Text.assemble(*(_text(*piece) for piece in pieces)), soft_wrap=True)


def clock(seconds: float | None) -> str:
    """Write seconds as m:ss, or h:mm:ss from an hour on; "-" for None."""
    return "-" if seconds is None else whole_seconds(seconds)


def mebibytes(size_bytes: int) -> str:
    """Write a size, whatever it is, in MiB."""
    return f"{size_bytes / 1024**2:.1f} MiB"


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


def _text(value: object, style: str = "") -> Text:
    encoding = sys.stdout.encoding or "utf-8"
    return Text(printable(value).encode(encoding, "replace").decode(encoding), style=style)


def _title(name: str, things: Sequence[Document]) -> bool:
    """Print a heading for some things, and say whether there are any."""
    line()
    line((name.capitalize() if things else f"No {name}", "bold"))
    return bool(things)


def _status(status: str | None) -> Text:
    return _text(status, STYLES.get(status or "", ""))


def _span(cut: Document | None) -> str:
    return "-" if cut is None else f"{clock(cut['start_time'])} to {clock(cut['end_time'])}"


def _codecs(media: Document) -> str:
    return "/".join(filter(None, (media["video_codec"], media["audio_codec"])))


def _size(media: Document) -> str | None:
    kibibytes = media["file_size_kb"]
    if kibibytes is None:
        return None
    return f"{kibibytes} KiB" if kibibytes < 1024 else mebibytes(kibibytes * 1024)  # noqa: PLR2004 - a mebibyte


def _facts(*facts: str | None) -> str:
    return ", ".join(fact for fact in facts if fact)
