"""Pictures small enough to be kept in an event log.

Belongs here: making a JPEG smaller until it fits a number of bytes, several pictures on one sheet,
and how bright a picture is. Does not belong here: choosing frames (`thumbnails`), or what is drawn
around the pictures (`videomoments_dagster.moments.metadata.pictures`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from videomoments_dagster.media.frame_quality import exposure

_QUALITIES = (75, 60, 45, 30, 18, 8, 2)
_SMALLER_EACH_TIME = 0.8
_SMALLEST_SIDE = 24
_NO_COLOUR = 128


@dataclass(frozen=True, slots=True)
class SmallPicture:
    """A picture as WebP.

    Attributes:
        content: The file's bytes.
        width: Pixels across.
        height: Pixels down.
    """

    content: bytes
    width: int
    height: int


def exposure_of(path: Path) -> float:
    """How much of the brightness scale a picture file uses, 0 (black, white or blank) to 1.

    Raises:
        OSError: If the file is no picture that can be decoded.
    """
    frame = _decoded(path)
    return exposure(frame.reformat(format="gray").to_ndarray())


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of a picture file in pixels.

    Raises:
        OSError: If the file is no picture that can be decoded.
    """
    frame = _decoded(path)
    return frame.width, frame.height


def small_picture(path: Path, *, side: int, at_most_bytes: int) -> SmallPicture:
    """Make a picture smaller until it fits.

    Args:
        path: A picture file, such as a thumbnail.
        side: Pixels of its longer side at most; fewer where the bytes leave no other way.
        at_most_bytes: Size that is not exceeded, unless the picture is as small as can be.

    Raises:
        OSError: If the file is no picture that can be decoded.
    """
    return _fitted(_decoded(path), side=side, at_most_bytes=at_most_bytes)


def contact_sheet(
    paths: Sequence[Path], *, columns: int, tile: tuple[int, int], at_most_bytes: int
) -> SmallPicture:
    """Several pictures in rows, each centred in a tile of its own, on grey.

    Args:
        paths: Picture files, in reading order.
        columns: Tiles in a row.
        tile: Width and height of a tile in pixels, both even.
        at_most_bytes: Size that is not exceeded, unless the sheet is as small as can be.

    Raises:
        ValueError: There are no pictures.
        OSError: If one of the files is no picture that can be decoded.
    """
    if not paths:
        raise ValueError("a contact sheet needs a picture")
    across, down = tile
    rows = -(-len(paths) // columns)
    sheet: NDArray[np.uint8] = np.full(
        (rows * down, min(columns, len(paths)) * across, 3), _NO_COLOUR, dtype=np.uint8
    )
    for number, path in enumerate(paths):
        picture = _scaled(_decoded(path), across, down).to_ndarray(format="rgb24")
        height, width = picture.shape[:2]
        top = number // columns * down + (down - height) // 2
        left = number % columns * across + (across - width) // 2
        sheet[top : top + height, left : left + width] = picture
    frame = av.VideoFrame.from_ndarray(sheet, format="rgb24")
    return _fitted(frame, side=max(frame.width, frame.height), at_most_bytes=at_most_bytes)


def _fitted(frame: Any, *, side: int, at_most_bytes: int) -> SmallPicture:
    while True:
        scaled = _scaled(frame, side, side)
        for quality in _QUALITIES:
            content = _webp(scaled, quality)
            if len(content) <= at_most_bytes:
                return SmallPicture(content, scaled.width, scaled.height)
        side = int(side * _SMALLER_EACH_TIME)
        if side < _SMALLEST_SIDE:
            return SmallPicture(content, scaled.width, scaled.height)


def _decoded(path: Path) -> Any:
    try:
        with av.open(str(path), format="image2", options={"pattern_type": "none"}) as container:
            return next(container.decode(video=0))
    except (av.error.FFmpegError, StopIteration, IndexError) as error:
        raise OSError(f"{path.name} is no picture that can be decoded") from error


def _scaled(frame: Any, across: int, down: int) -> Any:
    scale = min(1.0, across / frame.width, down / frame.height)
    return frame.reformat(
        width=max(2, 2 * int(frame.width * scale / 2)),
        height=max(2, 2 * int(frame.height * scale / 2)),
        format="yuv420p",
        interpolation="AREA",
    )


def _webp(frame: Any, quality: int) -> bytes:
    encoder: Any = av.CodecContext.create("libwebp", "w")
    encoder.width, encoder.height = frame.width, frame.height
    encoder.pix_fmt = "yuv420p"
    encoder.time_base = Fraction(1, 25)
    encoder.options = {"quality": str(quality), "compression_level": "4"}
    frame.pts = 0
    frame.time_base = encoder.time_base
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
