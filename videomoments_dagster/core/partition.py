"""What a result belongs to: a system and a partition key of it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition of one system: whose results lie together.

    Attributes:
        system: Name of the system: "moments", "lecture", "studio" or "catalog".
        key: Dagster's partition key, such as a video's identifier.
        noun: What people call such a partition in messages.
    """

    system: str
    key: str
    noun: str = field(default="video", compare=False)

    @property
    def subject(self) -> str:
        """The partition as messages name it, such as "video 'talk'"."""
        return f"{self.noun} '{self.key}'"
