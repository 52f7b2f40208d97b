"""A table of moments as CSV (RFC 4180), for spreadsheets and scripts.

Spreadsheets run a cell that begins like a formula. Titles come from speech and models, so a text
cell that begins with `=`, `+`, `-`, `@` (or their wide forms), a tab or a line break gets an
apostrophe in front, which they hide and show as text.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping

from videomoments_dagster.moments.exports.material import ExportedMoment, Material, required_moments

_CELLS: Mapping[str, Callable[[ExportedMoment], object]] = {
    "moment": lambda one: one.root.identifier,
    "start_seconds": lambda one: one.root.start_time,
    "end_seconds": lambda one: one.root.end_time,
    "length_seconds": lambda one: round(one.root.end_time - one.root.start_time, 6),
    "title": lambda one: one.title,
    "score": lambda one: one.root.score,
    "scoring_model": lambda one: one.root.scoring_model,
    "generation_model": lambda one: one.root.generation_model,
    "refined_start_seconds": lambda one: one.refined and one.refined.start_time,
    "refined_end_seconds": lambda one: one.refined and one.refined.end_time,
    "refined_score": lambda one: one.refined and one.refined.score,
    "clip_start_seconds": lambda one: one.clip and one.clip.start_time,
    "clip_end_seconds": lambda one: one.clip and one.clip.end_time,
    "clip_url": lambda one: one.clip and one.clip.cloud_url,
    "thumbnail_url": lambda one: one.clip and one.thumbnail and one.thumbnail.cloud_url,
}
COLUMNS = ("video", *_CELLS)

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def csv_table(material: Material) -> str:
    """Write a row for each moment, in time order; no value is an empty cell.

    Raises:
        ResultMissing: There are no moments yet.
    """
    written = io.StringIO(newline="")
    rows = csv.writer(written, lineterminator="\r\n")
    rows.writerow(COLUMNS)
    for moment in required_moments(material):
        cells = (cell(moment) for cell in _CELLS.values())
        rows.writerow([_harmless(cell) for cell in (material.identifier, *cells)])
    return written.getvalue()


def _harmless(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
