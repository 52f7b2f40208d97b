"""How a player turns and mirrors the pictures of a file, by the matrix that comes with each."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from av.sidedata.sidedata import Type
from numpy.typing import NDArray

_MATRIX_NUMBERS = 9


class Turn(NamedTuple):
    """What a player does to a picture, in this order.

    Attributes:
        transposed: Rows become columns.
        left_right: Left and right change places.
        up_down: Top and bottom change places.
    """

    transposed: bool = False
    left_right: bool = False
    up_down: bool = False

    def applied(self, picture: NDArray[np.float64]) -> NDArray[np.float64]:
        """A picture of rows of pixels as it is shown."""
        shown = picture.T if self.transposed else picture
        return shown[:: -1 if self.up_down else 1, :: -1 if self.left_right else 1]

    def filters(self) -> list[tuple[str, str]]:
        """The same as ffmpeg's filters and their arguments."""
        steps = ("transpose", "cclock_flip"), ("hflip", ""), ("vflip", "")
        return [step for step, done in zip(steps, self, strict=True) if done]


_BY_ROTATION = {
    0: Turn(),
    90: Turn(transposed=True, left_right=True),
    180: Turn(left_right=True, up_down=True),
    270: Turn(transposed=True, up_down=True),
}


def turn_of(frame: Any, rotation: int) -> Turn:
    """How a decoded frame is shown.

    Args:
        frame: The frame.
        rotation: Clockwise degrees by which its stream is turned, for frames that do not tell.
    """
    for data in frame.side_data:
        if data.type == Type.DISPLAYMATRIX:
            # Right and down are (a, b) and (c, d) of the shown picture; fixed point, whose size
            # does not matter (ISO/IEC 14496-12, 8.3.2).
            a, b, _, c, d = np.frombuffer(bytes(data), np.int32, count=_MATRIX_NUMBERS)[:5]
            if abs(b) > abs(a):
                return Turn(transposed=True, left_right=bool(c < 0), up_down=bool(b < 0))
            return Turn(left_right=bool(a < 0), up_down=bool(d < 0))
    return _BY_ROTATION[rotation]
