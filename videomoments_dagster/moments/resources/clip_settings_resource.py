"""How clips are cut in this installation, as a Dagster resource."""

from dataclasses import dataclass
from typing import Any, Literal, cast

import dagster as dg

CutMethod = Literal["auto", "copy", "encode"]


@dataclass(frozen=True, slots=True)
class ClipSettings:
    """What one materialisation of `clips` uses.

    Attributes:
        padding_left: Seconds shown before a moment.
        padding_right: Seconds shown after a moment.
        method: Whether to copy, to re-encode, or to copy where that is exact.
    """

    padding_left: float
    padding_right: float
    method: CutMethod


class ClipSettingsResource(dg.ConfigurableResource[Any]):
    """Padding and way of cutting, where run config does not say otherwise.

    Reads the settings VIDEOMOMENTS_CLIP_PADDING_LEFT, VIDEOMOMENTS_CLIP_PADDING_RIGHT and
    VIDEOMOMENTS_CLIP_METHOD; writes nothing. If it fails, the message names the value that is out
    of its range.
    """

    padding_left: float = 15.0
    padding_right: float = 30.0
    method: str = "auto"

    def chosen(
        self, *, padding_left: float | None, padding_right: float | None, method: str | None
    ) -> ClipSettings:
        """The run's wishes, filled up with the installation's settings."""
        return ClipSettings(
            padding_left=self.padding_left if padding_left is None else padding_left,
            padding_right=self.padding_right if padding_right is None else padding_right,
            method=cast("CutMethod", method or self.method),
        )
