"""Where a model's pictures come from.

Belongs here: the interface. Does not belong here: decoding (`videomoments_dagster.media`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class FrameSource(Protocol):
    """Gives frames of one video."""

    def frames(self, times_seconds: Sequence[float]) -> tuple[bytes, ...]:
        """The frames shown at these presented times as JPEG files; fewer where some do not decode.

        Raises:
            MediaFailed: If the video cannot be opened.
        """
        ...
