"""How well a frame serves as a still picture of its video.

Belongs here: measures over one frame's brightness, and the choice among several frames. Does not
belong here: getting frames out of a file (`thumbnails`).

Sharpness is the spread of the Laplacian: J. L. Pech-Pacheco, G. Cristobal, J. Chamorro-Martinez,
J. Fernandez-Valdivia, "Diatom autofocusing in brightfield microscopy: a comparative study", ICPR
2000. Contrast is the root mean square contrast of E. Peli, "Contrast in complex images", JOSA A
7(10), 1990.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Luma = NDArray[np.uint8]
"""Brightness of a picture: rows of pixels, 0 (black) to 255 (white)."""

PRESENTABLE_EXPOSURE = 0.05
"""Below this a frame is as good as black, white or blank."""

_FULL_CONTRAST = 48.0
_NEARLY_BLACK = 24
_NEARLY_WHITE = 240
# A white slide with black text is all extremes and still a good picture, if a lesser one.
_COST_OF_EXTREMES = 0.8


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
