"""Photographs with a few words: a frame of a video, and a sheet of thumbnails with their times.

Belongs here: what stands around the photographs. Does not belong here: making them
(`videomoments_dagster.media.small_pictures`).
"""

from __future__ import annotations

from collections.abc import Sequence

from videomoments_dagster.moments.pictures.svg import (
    markdown_picture,
    number,
    svg_address,
    text_content,
    webp_address,
)

_GAP = 4
_SHADE_HEIGHT = 16


def photograph(content: bytes, *, words: str) -> str:
    """Markdown that shows a WebP picture.

    Args:
        content: The file's bytes.
        words: What it shows.
    """
    return markdown_picture(webp_address(content), words=words)


def labelled_sheet(
    content: bytes, *, width: int, height: int, columns: int, labels: Sequence[str], words: str
) -> str:
    """Markdown that shows a sheet of equal tiles with a label in the corner of each.

    Labels are white on a dark strip over the photograph, so that they can be read in any theme.

    Args:
        content: The sheet as WebP.
        width: Its width in pixels.
        height: Its height in pixels.
        columns: Tiles in a row.
        labels: One for each tile, in reading order; shown as they are, whatever is in them.
        words: What the sheet shows.
    """
    rows = -(-len(labels) // columns)
    across, down = width / min(columns, len(labels)), height / max(1, rows)
    drawn = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}'>",
        f"<image width='{width}' height='{height}' href='{webp_address(content)}'/>",
        "<style>text{font:11px sans-serif;fill:#fff}rect{fill:#000;opacity:.7}</style>",
    ]
    for place, label in enumerate(labels):
        left, bottom = place % columns * across, (place // columns + 1) * down
        drawn.append(
            f"<rect x='{number(left)}' y='{number(bottom - _SHADE_HEIGHT)}' "
            f"width='{number(min(across, 7 * len(label) + 2 * _GAP))}' height='{_SHADE_HEIGHT}'/>"
            f"<text x='{number(left + _GAP)}' y='{number(bottom - _GAP)}'>"
            f"{text_content(label)}</text>"
        )
    return markdown_picture(svg_address("".join(drawn) + "</svg>"), words=words)
