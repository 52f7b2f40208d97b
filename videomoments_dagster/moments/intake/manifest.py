"""A manifest: a file that lists sources, one a line, as CSV or JSON Lines.

Belongs here: reading its text. Does not belong here: where the file is.

Example:
    source,identifier,title,profile
    https://example.org/talk.webm,talk-2026,A talk,highlights
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from videomoments_dagster.base.failures import VideoMomentsError
from videomoments_dagster.moments.intake.arrivals import Arrival
from videomoments_dagster.sources.locations import normalise_location

FIELDS = ("source", "identifier", "title", "profile", "captions")
_MAX_LINES = 100_000


def read_manifest(text: str, *, name: str, folder: Path) -> list[Arrival]:
    """Read a manifest; a line that cannot be read becomes an arrival with a problem.

    A line counts as new when its source is new, or when what the line says of it has changed.

    Args:
        text: The file's text.
        name: Its path or URL; `.jsonl` and `.ndjson` are JSON Lines, all else is CSV whose first
            line names the columns.
        folder: What relative paths in it are relative to.
    """
    as_json = name.lower().endswith((".jsonl", ".ndjson"))
    lines = _json_lines(text) if as_json else _csv_lines(text)
    found: dict[str, Arrival] = {}
    for number, line in lines:
        arrival = _arrival(line, number=number, name=name, folder=folder)
        # The last line of a source wins, as with settings.
        found[arrival.location] = arrival
        if len(found) >= _MAX_LINES:
            break
    return list(found.values())


def _csv_lines(text: str) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    lines = io.StringIO(text.removeprefix("\ufeff"), newline=None)
    reader = csv.DictReader(lines, skipinitialspace=True)
    try:
        names = [(name or "").strip().lower() for name in reader.fieldnames or []]
        if text.strip() and "source" not in names:
            yield 1, f"its first line names no column 'source'; known are {', '.join(FIELDS)}"
            return
        reader.fieldnames = names
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        yield reader.line_num, f"it is no valid CSV from here on: {error}"


def _json_lines(text: str) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            yield number, "it is no valid JSON"
            continue
        yield number, row if isinstance(row, dict) else "it is no JSON object"


def _arrival(line: Mapping[str, Any] | str, *, number: int, name: str, folder: Path) -> Arrival:
    where = f"{name}#line {number}"
    if isinstance(line, str):
        return Arrival(location=where, state=_hashed(line), problem=line)
    given = {field: line.get(field) for field in FIELDS}
    values = {
        field: str(value).strip() for field, value in given.items() if value not in (None, "")
    }
    state = _hashed(json.dumps(values, sort_keys=True))
    if "source" not in values:
        return Arrival(location=where, state=state, problem="it names no source")
    try:
        return Arrival(
            location=normalise_location(values["source"], cwd=folder),
            state=state,
            captions=(
                normalise_location(values["captions"], cwd=folder) if "captions" in values else None
            ),
            identifier=values.get("identifier"),
            title=values.get("title"),
            profile=values.get("profile"),
        )
    except VideoMomentsError as error:
        return Arrival(location=where, state=state, problem=str(error))


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
