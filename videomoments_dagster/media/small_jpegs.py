"""Small copies of stored thumbnails.

Belongs here: making a JPEG smaller. Does not belong here: choosing or decoding frames of videos
(`thumbnails`).
"""

from __future__ import annotations

from typing import Any

import av

from videomoments_dagster.base.failures import MediaFailed
from videomoments_dagster.media.thumbnails import encoded_jpeg

LONGEST_SIDE = 256
_QUANTISER = "6"


def small_jpeg(content: bytes, *, longest_side: int = LONGEST_SIDE) -> tuple[bytes, int, int]:
    """Make a JPEG smaller; the same bytes always give the same.

    Args:
        content: A JPEG.
        longest_side: Most pixels of the longer side; smaller pictures keep their size.

    Returns:
        A JPEG with its width and height.

    Raises:
        MediaFailed: If it is no JPEG that can be decoded.
    """
    try:
        decoder: Any = av.CodecContext.create("mjpeg", "r")
        frames = [*decoder.decode(av.Packet(content)), *decoder.decode(None)]
        share = min(1.0, longest_side / max(frames[0].width, frames[0].height))
        # The encoder's colours come in blocks of two.
        width, height = (max(2, round(side * share / 2) * 2) for side in _sides(frames[0]))
        picture = frames[0].reformat(width=width, height=height, format="yuvj420p")
        small = encoded_jpeg(picture, quantiser=_QUANTISER)
    except (av.FFmpegError, IndexError, ValueError) as error:
        raise MediaFailed(f"a stored thumbnail cannot be decoded: {error}") from error
    return small, width, height


def _sides(frame: Any) -> tuple[int, int]:
    return frame.width, frame.height
