"""Tables, links and Markdown for the metadata of materialisations, as Dagster's UI shows them.

Dagster's own tables are used where they do: text in them is only text. In Markdown, text from
outside is escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import dagster as dg

from videomoments_dagster.base.text import folded
from videomoments_dagster.core.objects.served import ServedObjects
from videomoments_dagster.sources.locations import path_of_file_url

MAX_ROWS = 50
"""The event log keeps metadata for good; longer tables end with a count."""

LONGEST_CELL = 120

Cell = str | int | float

_GOOGLE_CLOUD = "https://storage.cloud.google.com/"
_ESCAPES = str.maketrans(
    {**{character: f"\\{character}" for character in "\\`*_[]>|#!~"}, "<": "&lt;", "&": "&amp;"}
)


def markdown_text(text: object, *, longest: int | None = None) -> str:
    """Text from anywhere as Markdown that shows just it, on one line.

    Args:
        text: Anything; its `str`.
        longest: Most characters that are shown; None for any number.
    """
    return folded(text, longest=longest).translate(_ESCAPES)


def table(
    columns: Mapping[str, tuple[str, Callable[[Any], Cell | None]]], items: Sequence[Any]
) -> dg.TableMetadataValue:
    """A table of Dagster's own, with a row for each item.

    Args:
        columns: By name, the type ("string", "int" or "float"), and what gives an item's cell;
            None leaves it empty.
        items: What the rows are about.
    """
    rows = [
        {name: _cell(cell(item)) for name, (_, cell) in columns.items()}
        for item in items[:MAX_ROWS]
    ]
    if len(items) > MAX_ROWS:
        more = f"and {len(items) - MAX_ROWS} more"
        rows.append({**dict.fromkeys(columns, ""), next(iter(columns)): more})
    return dg.MetadataValue.table(
        [dg.TableRecord(row) for row in rows],
        schema=dg.TableSchema([dg.TableColumn(name, kind) for name, (kind, _) in columns.items()]),
    )


def _cell(value: Cell | None) -> Cell:
    if value is None:
        return ""
    return folded(value, longest=LONGEST_CELL) if isinstance(value, str) else value


def browsable(url: str) -> str | None:
    """An address that a browser can open, for whoever has the rights; None for a local file.

    A page of the UI may not lead to local files.
    """
    parts = urlsplit(url)
    if parts.scheme == "gs":
        return _GOOGLE_CLOUD + quote(url.removeprefix("gs://"))
    return url if parts.scheme in ("http", "https") else None


def opened_at(url: str, served: ServedObjects) -> str | None:
    """Where a page of the UI can lead for a stored file; None for a local one of another store."""
    return served.path(url) or browsable(url)


def link(url: str, served: ServedObjects) -> dg.UrlMetadataValue | dg.PathMetadataValue:
    """A link to a stored file, or its path to copy where nothing leads there."""
    opened = opened_at(url, served)
    if opened is not None:
        return dg.MetadataValue.url(opened)
    return dg.MetadataValue.path(local_path(url))


def local_path(url: str) -> str:
    """The path of a `file://` address; any other address as it is."""
    return path_of_file_url(url) or url
