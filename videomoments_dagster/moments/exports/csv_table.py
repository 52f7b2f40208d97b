"""A table of moments as CSV (RFC 4180), for spreadsheets and scripts.

Spreadsheets run a cell that begins like a formula. Titles come from speech and models, so a text
cell that begins with `=`, `+`, `-`, `@` (or their wide forms), a tab or a line break gets an
apostrophe in front, which they hide and show as text.
"""

from __future__ import annotations

import csv
import io

from videomoments_dagster.moments.exports.material import Material, required_moments

COLUMNS = (
    "video",
    "moment",
    "start_seconds",
    "end_seconds",
    "length_seconds",
    "title",
    "score",
    "scoring_model",
    "generation_model",
    "refined_start_seconds",
    "refined_end_seconds",
    "refined_score",
    "clip_start_seconds",
    "clip_end_seconds",
    "clip_url",
    "thumbnail_url",
)

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
        root, refined, clip = moment.root, moment.refined, moment.clip
        thumbnail = material.stored.thumbnails.get(root.identifier) if clip else None
        cells = (
            material.identifier,
            root.identifier,
            root.start_time,
            root.end_time,
            round(root.end_time - root.start_time, 6),
            moment.title,
            root.score,
            root.scoring_model,
            root.generation_model,
            *(getattr(refined, name, None) for name in ("start_time", "end_time", "score")),
            *(getattr(clip, name, None) for name in ("start_time", "end_time", "cloud_url")),
            thumbnail and thumbnail.cloud_url,
        )
        rows.writerow([_harmless(cell) for cell in cells])
    return written.getvalue()


def _harmless(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
