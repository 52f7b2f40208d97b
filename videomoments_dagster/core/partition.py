"""One partition of one system's assets."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Partition:
    """What results lie together under: one video of the system of moments, say.

    Attributes:
        system: Name of the system, such as "moments".
        key: Dagster's partition key, such as the identifier of a video.
        noun: What people call such a partition.
    """

    system: str
    key: str
    noun: str = field(default="video", compare=False)

    @property
    def subject(self) -> str:
        """How messages name it, such as "video 'talk'"."""
        return f"{self.noun} '{self.key}'"
