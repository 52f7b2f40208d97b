"""What is stored of videos, as frozen values. `moments/reading.py` reads them from the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from videomoments_dagster.moments.records import (
    Clip,
    Moment,
    SelectedConfigs,
    Source,
    Thumbnail,
    Video,
)
from videomoments_dagster.speech.transcripts import Transcript

HistoryStatus = Literal["running", "completed", "failed", "partial"]


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One row of `pipeline_history`, without its ids. Times are UTC without zone."""

    identifier: str
    pipeline_type: str
    status: HistoryStatus
    started_at: datetime
    completed_at: datetime | None
    duration_seconds: float | None
    total_moments_generated: int | None
    total_clips_created: int | None
    error_stage: str | None
    error_message: str | None


@dataclass(frozen=True, slots=True)
class RowNote:
    """When a row was written, UTC without zone, and the hash of the config behind it, if any."""

    written_at: datetime | None = None
    config_hash: str | None = None


@dataclass(frozen=True, slots=True)
class RegisteredVideo:
    """A video that was registered and never materialised."""

    source: Source
    registered_at: datetime | None = None

    @property
    def identifier(self) -> str:
        """The business identifier."""
        return self.source.identifier


@dataclass(frozen=True, slots=True)
class StoredVideo:
    """All that is stored of a video.

    Attributes:
        video: The video.
        source: Where it is registered from.
        transcript: What is said in it; None where there is none yet.
        configs: What its moments are made with; None where that was not chosen yet.
        moments: Root moments in time order.
        why_fewer: Why there are no moments or few; empty where there are enough.
        refined: Refined moments in time order.
        clips: Clips by their root moment, in time order.
        thumbnails: Thumbnails by the root moment of their clip; None for the video's own.
        runs: Its runs, newest first.
        notes: On the rows behind all this: by "source", "video", "transcript", "config" (with
            "generation" or "refinement"), "made" (with an asset), and "moment", "clip",
            "thumbnail" or "run" with an identifier (of a clip or its thumbnail, the moment's), and
            "page" with its address.
    """

    video: Video
    source: Source | None = None
    transcript: Transcript | None = None
    configs: SelectedConfigs | None = None
    moments: tuple[Moment, ...] = ()
    why_fewer: str = ""
    refined: tuple[Moment, ...] = ()
    clips: Mapping[str, Clip] = field(default_factory=dict)
    thumbnails: Mapping[str | None, Thumbnail] = field(default_factory=dict)
    runs: tuple[HistoryRow, ...] = ()
    notes: Mapping[tuple[str, str | None], RowNote] = field(default_factory=dict)

    @property
    def identifier(self) -> str:
        """The business identifier."""
        return self.video.identifier

    @property
    def refined_by_root(self) -> dict[str | None, Moment]:
        """Refined moments by the root that they refine."""
        return {one.parent_identifier: one for one in self.refined}

    @property
    def page_url(self) -> str | None:
        """Where its stored page is; None where there is none."""
        return next((name for kind, name in self.notes if kind == "page"), None)

    def note(self, kind: str, name: str | None = None) -> RowNote:
        """One of the notes; an empty one where there is none."""
        return self.notes.get((kind, name), RowNote())


@dataclass(frozen=True, slots=True)
class ListedVideo:
    """A video in a list: how much there is of it, and its last run. Times are UTC without zone.

    `state` is "registered" where nothing is stored of it yet, else "materialised".
    """

    identifier: str
    state: str
    title: str | None
    duration_seconds: float | None
    moments: int
    clips: int
    last_status: str | None
    last_pipeline_type: str | None
    last_started_at: datetime | None
    created_at: datetime
