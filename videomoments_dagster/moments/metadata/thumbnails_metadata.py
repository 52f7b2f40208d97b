"""What the UI tells about `thumbnails`: a contact sheet."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from videomoments_dagster.media.small_pictures import contact_sheet
from videomoments_dagster.moments.pictures.photographs import labelled_sheet
from videomoments_dagster.moments.records import Thumbnails

SHEET = "stored_sheet"
"""Name, in what is remembered of a result, of its contact sheet."""

MOST_TILES = 16
_COLUMNS = (4, 5, 3)
_LANDSCAPE, _PORTRAIT = (160, 90), (90, 160)
_SHEET_BYTES = 11_000


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
    except OSError:
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
    told: dict[str, Any] = {}
    sheet = details.get(SHEET)
    if sheet:
        labels = [str(label) for label in sheet["labels"]]
        more = f" of {sheet['of']}" if sheet["of"] > len(labels) else ""
        told["contact_sheet"] = dg.MetadataValue.md(
            labelled_sheet(
                b64decode(sheet["picture"]),
                width=sheet["width"],
                height=sheet["height"],
                columns=sheet["columns"],
                labels=labels,
                words=f"{len(labels)}{more} thumbnails: {', '.join(labels)}",
            )
        )
    if thumbnails.thumbnails:
        told["thumbnails_size_kib"] = sum(one.file_size_kb or 0 for one in thumbnails.thumbnails)
    return told
