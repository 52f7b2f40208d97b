"""Typed failures: what went wrong, for which video, in which step, and what mends it.

Belongs here: every failure that a user may see, as an exception that knows its sentence, its
remedy and whether trying again can help. Does not belong here: anything of Dagster (the
translation into `dagster.Failure` is in `videomoments_dagster.core.dagster_failures`).
"""

from __future__ import annotations

from typing import ClassVar


class VideoMomentsError(Exception):
    """Something that a user can understand and mostly mend.

    Attributes:
        reason: One sentence without a full stop, naming the thing that failed.
        remedy: What the user does about it, as a sentence without a full stop; may be empty.
        video: Identifier of the video, when one is known.
        step: Name of the asset or command that failed, when one is known.
        retryable: Whether the same call may succeed later without anybody doing anything.
    """

    retryable: ClassVar[bool] = False

    def __init__(
        self, reason: str, *, remedy: str = "", video: str | None = None, step: str | None = None
    ) -> None:
        super().__init__(reason, remedy)
        self.reason = reason.rstrip(".")
        self.remedy = remedy.rstrip(".")
        self.video = video
        self.step = step

    def located(self, *, video: str, step: str) -> VideoMomentsError:
        """Fill in the video and the step where the raiser did not know them."""
        self.video = self.video or video
        self.step = self.step or step
        return self

    def __str__(self) -> str:
        where = ", ".join(
            part
            for part in (
                f"video '{self.video}'" if self.video else "",
                f"step {self.step}" if self.step else "",
            )
            if part
        )
        sentences = [f"{self.reason}."] + ([f"{self.remedy}."] if self.remedy else [])
        return (f"{where}: " if where else "") + " ".join(sentences)


class IdentifierRejected(VideoMomentsError):
    """A video identifier breaks the rule for identifiers."""


class SettingsRejected(VideoMomentsError):
    """A setting, run config or profile is invalid; the reason names the field."""


class SourceRejected(VideoMomentsError):
    """The source exists but is not a video or audio file that can be worked on, or is absent."""


class SourceUnavailable(VideoMomentsError):
    """The source could not be read just now: a time limit, a dropped connection, a 5xx."""

    retryable = True


class ResultMissing(VideoMomentsError):
    """An asset's stored rows or objects are needed and not there."""


class ResultUnsound(VideoMomentsError):
    """An asset's stored rows break a rule that the step rests on; somebody changed them, say."""


class VideoBusy(VideoMomentsError):
    """A run of the video is waiting or under way, and what was asked for has to wait for it."""


class EngineUnavailable(VideoMomentsError):
    """An engine, its package or its model is not installed where it is needed."""


class TranscriptionFailed(VideoMomentsError):
    """An engine ran and gave no usable transcript."""


class LanguageModelRefused(VideoMomentsError):
    """A model's server wants no question at all: a wrong key, an unknown model, nobody there."""


class LanguageModelUnavailable(VideoMomentsError):
    """A model's server failed in a way that may pass: a time limit, a 429, a 5xx."""

    retryable = True


class LanguageModelFailed(VideoMomentsError):
    """A model answered, and none of its answers can be used."""


class MediaFailed(VideoMomentsError):
    """ffmpeg could not do what was asked of it, or its result did not pass the proof."""


class ExportRefused(VideoMomentsError):
    """A format cannot hold what there is, or the file that it was to go to cannot be written."""


class ScratchExhausted(VideoMomentsError):
    """The scratch folder's disk is full or not writable."""


class DatabaseUnavailable(VideoMomentsError):
    """The database cannot be reached or refused the connection."""

    retryable = True


class DatabaseRefused(VideoMomentsError):
    """The database said no: a wrong URL, password or right; waiting does not help."""


class DatabaseOutdated(VideoMomentsError):
    """The database's schema is not the one that this code needs."""


class ObjectStoreUnavailable(VideoMomentsError):
    """The object store failed in a way that may pass: a time limit, a 5xx, a dropped transfer."""

    retryable = True


class ObjectStoreRefused(VideoMomentsError):
    """The bucket or folder is missing, or access to it is forbidden."""


class ObjectMissing(VideoMomentsError):
    """A stored object that a row refers to is not in the object store."""


class ObjectConflict(VideoMomentsError):
    """Other bytes are already stored under the key; they are never overwritten."""
