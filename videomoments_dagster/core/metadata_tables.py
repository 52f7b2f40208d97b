"""Results as tables, for the metadata of materialisations.

Belongs here: what a person reads in the UI. Dagster's own tables are used where they do: text in
them is only text. In Markdown, text from outside is escaped. Does not belong here: anything that
decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import dagster as dg

MAX_ROWS = 50
"""The event log keeps metadata for good; longer tables end with a count."""

_LONGEST_CELL = 120

Cell = str | int | float | bool


def cut_off(text: str, longest: int = _LONGEST_CELL) -> str:
    """Text on one line, no longer than it may be."""
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def markdown_text(text: object) -> str:
    """Text from anywhere as Markdown that shows just it."""
    return " ".join(str(text).split()).translate(_SHOWN_AS)


_SHOWN_AS = str.maketrans(
    {**{character: f"\\{character}" for character in "\\`*_[]>|#!~"}, "<": "&lt;", "&": "&amp;"}
)


def table(
    columns: Mapping[str, str], rows: Iterable[Sequence[Cell | None]]
) -> dg.TableMetadataValue:
    """A table of Dagster's own.

    Args:
        columns: Types of the columns by name: "string", "int" or "float".
        rows: The cells of each row; None leaves one empty.
    """
    body = list(rows)
    records = [
        dg.TableRecord(
            {
                name: cut_off(cell) if isinstance(cell, str) else "" if cell is None else cell
                for name, cell in zip(columns, row, strict=True)
            }
        )
        for row in body[:MAX_ROWS]
    ]
    if len(body) > MAX_ROWS:
        last = [f"and {len(body) - MAX_ROWS} more", *([""] * (len(columns) - 1))]
        records.append(dg.TableRecord(dict(zip(columns, last, strict=True))))
    return dg.MetadataValue.table(
        records,
        schema=dg.TableSchema([dg.TableColumn(name, kind) for name, kind in columns.items()]),
    )
