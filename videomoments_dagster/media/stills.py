"""Still pictures of a video: how good a frame is as one, and frames and JPEGs made small.

Sharpness is the spread of the Laplacian: J. L. Pech-Pacheco, G. Cristobal, J. Chamorro-Martinez,
J. Fernandez-Valdivia, "Diatom autofocusing in brightfield microscopy: a comparative study", ICPR
2000. Contrast is the root mean square contrast of E. Peli, "Contrast in complex images", JOSA A
7(10), 1990.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import av.filter
import numpy as np
from numpy.typing import NDArray

from videomoments_dagster.base.failures import MediaFailed
from videomoments_dagster.media.orientation import turn_of

Luma = NDArray[np.uint8]
"""Brightness of a picture: rows of pixels, 0 (black) to 255 (white)."""

PRESENTABLE_EXPOSURE = 0.05
"""Below this a frame is as good as black, white or blank."""
_THUMBNAIL = (640, 360)
LONGEST_SMALL_SIDE = 256

_FULL_CONTRAST = 48.0
_NEARLY_BLACK = 24
_NEARLY_WHITE = 240
# A white slide with black text is all extremes and still a good picture, if a lesser one.
_COST_OF_EXTREMES = 0.8
# Numbers of ISO/IEC 23091-2, which ffmpeg's enumerations follow.
_MATRICES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020"}
_HIGH_DEFINITION_FROM_HEIGHT = 720
_WEBP_QUALITIES = (75, 60, 45, 30, 18, 8, 2)
_SMALLEST_SIDE = 24


class SmallPicture(NamedTuple):
    """A picture as a file.

    Attributes:
        content: The file's bytes.
        width: Pixels across.
        height: Pixels down.
    """

    content: bytes
    width: int
    height: int


def sharpness(luma: Luma) -> float:
    """Variance of the Laplacian: 0 for a blank picture, hundreds to thousands for a crisp one."""
    if min(luma.shape) < 3:  # noqa: PLR2004 - the operator's own size
        return 0.0
    pixels = luma.astype(np.float32)
    laplacian = (
        pixels[:-2, 1:-1] + pixels[2:, 1:-1] + pixels[1:-1, :-2] + pixels[1:-1, 2:]
    ) - 4.0 * pixels[1:-1, 1:-1]
    return float(laplacian.var(dtype=np.float64))


def exposure(luma: Luma) -> float:
    """How much of the brightness scale a picture uses: 0 (black, white or blank) to 1."""
    contrast = float(luma.std(dtype=np.float64))
    extremes = float(np.mean((luma <= _NEARLY_BLACK) | (luma >= _NEARLY_WHITE)))
    return min(1.0, contrast / _FULL_CONTRAST) * (1.0 - _COST_OF_EXTREMES * extremes)


def quality(luma: Luma) -> float:
    """Sharpness weighed by exposure, so that neither a dark nor a blurred frame ranks high."""
    return float(np.sqrt(sharpness(luma))) * exposure(luma)


def best_frame(frames: Sequence[Luma]) -> int:
    """Choose the frame that makes the best still picture.

    Args:
        frames: Brightness of the candidates, all of one size, in order of time.

    Returns:
        Index of the best; of equally good ones, the earliest.

    Raises:
        ValueError: There are no frames.
    """
    if not frames:
        raise ValueError("there are no frames to choose from")
    scores = [quality(luma) for luma in frames]
    return scores.index(max(scores))


def exposure_of(path: Path) -> float:
    """How much of the brightness scale a JPEG file uses, 0 (black, white or blank) to 1.

    Raises:
        OSError: The file cannot be read.
        MediaFailed: It is no JPEG that can be decoded.
    """
    return exposure(_decoded(path.read_bytes()).reformat(format="gray").to_ndarray())


def fitted_size(
    width: int, height: int, *, pixel_aspect: Fraction = Fraction(1)
) -> tuple[int, int]:
    """Size of the thumbnail of an upright picture.

    Args:
        width: Pixels across, as presented.
        height: Pixels down, as presented.
        pixel_aspect: Width of one pixel divided by its height, as presented.

    Returns:
        Even width and height with the picture's proportions, within 640x360, or 360x640 for a
        picture that is taller than wide; never larger than the picture is shown.
    """
    shown_width = width * pixel_aspect
    box = _THUMBNAIL[::-1] if shown_width < height else _THUMBNAIL
    scale = min(Fraction(1), box[0] / shown_width, Fraction(box[1], height))
    return _even(shown_width * scale), _even(height * scale)


def _even(length: float | Fraction) -> int:
    """The nearest size that colours in blocks of two allow."""
    return max(2, 2 * round(length / 2))


def upright(frame: Any, stream: Any, rotation: int) -> Any:
    """A decoded frame as people see it: upright, with square pixels, in a thumbnail's size.

    Args:
        frame: The frame as decoded.
        stream: The stream that it is of, still open.
        rotation: Clockwise degrees that a player turns it by.
    """
    aspect = Fraction(stream.sample_aspect_ratio or 1)
    aspect = aspect if aspect > 0 else Fraction(1)
    width, height = frame.width, frame.height
    turn = turn_of(frame, rotation)
    if turn.transposed:
        down, across = fitted_size(height, width, pixel_aspect=1 / aspect)
    else:
        across, down = fitted_size(width, height, pixel_aspect=aspect)
    guess = "bt709" if min(width, height) >= _HIGH_DEFINITION_FROM_HEIGHT else "bt601"
    graph = av.filter.Graph()
    graph.threads = 1
    nodes = [
        graph.add_buffer(
            width=width, height=height, format=frame.format, time_base=stream.time_base
        ),
        graph.add(
            "scale",
            f"w={across}:h={down}:flags=area+accurate_rnd+full_chroma_int:out_color_matrix=bt601"
            f":in_color_matrix={_MATRICES.get(int(frame.colorspace), guess)}",
        ),
        graph.add("setsar", "1"),
        *(graph.add(*step) for step in turn.filters()),
        # This format is full range; the scaler knows each frame's own.
        graph.add("format", "yuvj420p"),
        graph.add("buffersink"),
    ]
    graph.link_nodes(*nodes).configure()
    graph.push(frame)
    return graph.pull()


def encoded_jpeg(picture: Any, *, quantiser: int = 3) -> bytes:
    """A picture in the format yuvj420p as a JPEG; the same pixels always give the same bytes."""
    # Exact: without the encoder's name and version in the file.
    options = {"qmin": f"{quantiser}", "qmax": f"{quantiser}", "flags": "+bitexact"}
    return _encoded(picture, "mjpeg", "yuvj420p", options)


def _encoded(picture: Any, codec: str, pixel_format: str, options: dict[str, str]) -> bytes:
    encoder: Any = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height = picture.width, picture.height
    encoder.pix_fmt = pixel_format
    encoder.time_base = Fraction(1, 25)
    encoder.sample_aspect_ratio = Fraction(1)
    encoder.options = options
    picture.pts = 0
    picture.time_base = encoder.time_base
    return b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode(None)])


def _decoded(jpeg: bytes) -> Any:
    try:
        decoder: Any = av.CodecContext.create("mjpeg", "r")
        return [*decoder.decode(av.Packet(jpeg)), *decoder.decode(None)][0]
    except (av.error.FFmpegError, IndexError, ValueError) as error:
        raise MediaFailed(f"a stored thumbnail cannot be decoded: {error}") from error


def small_jpeg(content: bytes, *, longest_side: int = LONGEST_SMALL_SIDE) -> SmallPicture:
    """Make a JPEG smaller; the same bytes always give the same.

    Args:
        content: A JPEG.
        longest_side: Most pixels of the longer side; smaller pictures keep their size.

    Raises:
        MediaFailed: If it is no JPEG that can be decoded.
    """
    frame = _decoded(content)
    share = min(1.0, longest_side / max(frame.width, frame.height))
    width, height = _even(frame.width * share), _even(frame.height * share)
    picture = frame.reformat(width=width, height=height, format="yuvj420p")
    return SmallPicture(encoded_jpeg(picture, quantiser=6), width, height)


def small_picture(path: Path, *, side: int, at_most_bytes: int) -> SmallPicture:
    """Make a JPEG file smaller until it fits, as WebP.

    Args:
        path: A JPEG file, such as a thumbnail.
        side: Pixels of its longer side at most; fewer where the bytes leave no other way.
        at_most_bytes: Size that is not exceeded, unless the picture is as small as can be.

    Raises:
        OSError: The file cannot be read.
        MediaFailed: It is no JPEG that can be decoded.
    """
    return _fitted(_decoded(path.read_bytes()), side=side, at_most_bytes=at_most_bytes)


def contact_sheet(
    paths: Sequence[Path], *, columns: int, tile: tuple[int, int], at_most_bytes: int
) -> SmallPicture:
    """Several pictures in rows, each centred in a tile of its own, on grey, as WebP.

    Args:
        paths: JPEG files, in reading order; at least one.
        columns: Tiles in a row.
        tile: Width and height of a tile in pixels, both even.
        at_most_bytes: Size that is not exceeded, unless the sheet is as small as can be.

    Raises:
        OSError: One of the files cannot be read.
        MediaFailed: One of them is no JPEG that can be decoded.
    """
    across, down = tile
    sides = (-(-len(paths) // columns) * down, min(columns, len(paths)) * across, 3)
    sheet: NDArray[np.uint8] = np.full(sides, 128, dtype=np.uint8)
    for number, path in enumerate(paths):
        picture = _scaled(_decoded(path.read_bytes()), across, down).to_ndarray(format="rgb24")
        height, width = picture.shape[:2]
        top = number // columns * down + (down - height) // 2
        left = number % columns * across + (across - width) // 2
        sheet[top : top + height, left : left + width] = picture
    frame = av.VideoFrame.from_ndarray(sheet, format="rgb24")
    return _fitted(frame, side=max(frame.width, frame.height), at_most_bytes=at_most_bytes)


def _fitted(frame: Any, *, side: int, at_most_bytes: int) -> SmallPicture:
    while True:
        scaled = _scaled(frame, side, side)
        for grade in _WEBP_QUALITIES:
            options = {"quality": str(grade), "compression_level": "4"}
            content = _encoded(scaled, "libwebp", "yuv420p", options)
            if len(content) <= at_most_bytes:
                return SmallPicture(content, scaled.width, scaled.height)
        side = int(side * 0.8)
        if side < _SMALLEST_SIDE:
            return SmallPicture(content, scaled.width, scaled.height)


def _scaled(frame: Any, across: int, down: int) -> Any:
    scale = min(1.0, across / frame.width, down / frame.height)
    return frame.reformat(
        width=max(2, 2 * int(frame.width * scale / 2)),
        height=max(2, 2 * int(frame.height * scale / 2)),
        format="yuv420p",
        interpolation="AREA",
    )
