"""How the command's results look, for people and for programs.

Titles, sentences, paths and messages come from outside: they are shown as `Text`, which has no
markup, without characters that would steer the terminal. Where output is not a terminal there is
no colour, and nothing is wrapped or cut off.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from videomoments_dagster.base.text import clock as whole_seconds
from videomoments_dagster.base.text import printable
from videomoments_dagster.core.objects.served import ServedObjects
from videomoments_dagster.moments.exports.json_document import Document, json_text

# Wider than any line, so that nothing is wrapped for a reader who isn't a terminal.
_UNBOUNDED_WIDTH = 1_000_000
_RUNS_SHOWN = 5
# As many as the UI shows.
_SHORT_ID = 8
_NUMERIC = {"time", "to", "duration", "seconds", "score", "moments", "clips"}

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
    print_table(
        (
            {
                "identifier": video["identifier"],
                "title": video["title"],
                "duration": clock(video["duration_seconds"]),
                "moments": video["moments"] if is_stored else None,
                "clips": video["clips"] if is_stored else None,
                "last run": _status(video["last_status"] or (None if is_stored else "not yet run")),
            }
            for video in videos
            for is_stored in [video["state"] == "materialised"]
        ),
        if_none="There are no videos yet. Register one with `videomoments add SOURCE`.",
    )
    if not is_all:
        line(f"There are more than these {len(videos)}: --limit shows more.")


def print_video(document: Document, served: ServedObjects) -> None:
    """Print all that is stored of one video.

    Args:
        document: What there is.
        served: Where people open its files.
    """
    title = document["title"]
    line((document["identifier"], "bold"), f"  {title}" if title else "")
    if document["source_url"]:
        line(f"  from     {document['source_url']}")
    if document["state"] == "registered":
        line()
        line("Registered, and not yet materialised.")
        line(f"Next: videomoments run {document['identifier']}")
        return
    _print_facts(document, served)
    if _title("moments", document["moments"]):
        print_table(
            {
                "time": clock(moment["start_time"]),
                "to": clock(moment["end_time"]),
                "seconds": f"{moment['end_time'] - moment['start_time']:.0f}",
                "score": moment["score"],
                "refined": _span(moment["refined"]),
                "title": moment["title"],
            }
            for moment in document["moments"]
        )
    if _title("clips", document["clips"]):
        for clip in document["clips"]:
            line(f"  {_span(clip)}  {_facts(clip['resolution'], _codecs(clip), _size(clip))}")
            _print_file(clip["cloud_url"], served)
    if _title("thumbnails", document["thumbnails"]):
        for thumbnail in document["thumbnails"]:
            _print_file(thumbnail["cloud_url"], served)
    if document["history"]:
        _print_last_runs(document["history"])


def _print_facts(document: Document, served: ServedObjects) -> None:
    rate, speech, config = (document[k] for k in ("frame_rate", "transcript", "generation_config"))
    facts = _facts(
        clock(document["duration_seconds"]),
        document["resolution"],
        f"{rate:.5g} frames a second" if rate else None,
        _codecs(document),
        _size(document),
    )
    line(f"  stored   {place(document['cloud_url'])}")
    for name, of in (("open", "cloud_url"), ("page", "page_url")):
        if opened := document[of] and served.address(document[of]):
            line(f"  {name:<8} {opened}")
    line(f"  video    {facts}")
    said = speech and (
        f"{speech['number_of_words']} words in {speech['number_of_segments']} segments, "
        f"language {speech['language']}, by {speech['transcription_service']}"
    )
    line(f"  speech   {said or 'not transcribed yet'}")
    if config is not None:
        line(f"  profile  {config['profile']} ({config['model']})")


def _print_file(url: str, served: ServedObjects) -> None:
    """Print where a stored file is, and where a browser opens it."""
    for found in filter(None, (place(url), served.address(url))):
        line(f"    {found}")


def _print_last_runs(history: Sequence[Document]) -> None:
    _title("last runs", history)
    for run in history[:_RUNS_SHOWN]:
        status, seconds, stage = (run[k] for k in ("status", "duration_seconds", "error_stage"))
        took = "" if seconds is None else f"  {seconds:.1f} s"
        styled = (status, STYLES.get(status, ""))
        line(f"  {run['started_at']}  ", styled, f"  {run['pipeline_type']}{took}")
        if run["error_message"]:
            line(f"    {stage}: " if stage else "    ", run["error_message"])
    if len(history) > _RUNS_SHOWN:
        line(f"  and {len(history) - _RUNS_SHOWN} earlier ones")


def print_hits(hits: Sequence[Document]) -> None:
    """Print where something is said: video, time and sentence."""
    print_table(
        (
            {"video": one["video"], "time": clock(one["start_seconds"]), "sentence": one["text"]}
            for one in hits
        ),
        if_none="Nothing found.",
    )


def print_history(runs: Sequence[Document]) -> None:
    """Print runs, the newest first."""
    print_table(
        (
            {
                "started": run["started_at"],
                "video": run["video"],
                "what": run["pipeline_type"],
                "status": _status(run["status"]),
                "seconds": "" if seconds is None else f"{seconds:.1f}",
                "moments": run["total_moments_generated"],
                "clips": run["total_clips_created"],
                "run": (run["run_id"] or "")[:_SHORT_ID],
                "why": run["error_message"],
            }
            for run in runs
            for seconds in [run["duration_seconds"]]
        ),
        if_none="No runs.",
    )
    if last := next((run["run_url"] for run in runs if run["run_url"]), None):
        line(f"The last one in the UI: {last}")


def print_table(rows: Iterable[Mapping[str, object]], *, if_none: str = "") -> None:
    """Print a table of rows, whose keys are its columns; or a line where there are no rows."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    for row in rows:
        if not table.columns:
            for name in row:
                right = name in _NUMERIC
                table.add_column(name, justify="right" if right else "left", overflow="fold")
        table.add_row(*(one if isinstance(one, Text) else _text(one) for one in row.values()))
    if table.columns:
        _console().print(table)
    else:
        line(if_none)


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
