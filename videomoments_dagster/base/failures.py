"""Every failure that a user may see: what went wrong, with what, in which step, and what mends it.

`videomoments_dagster.core.dagster_failures` turns them into Dagster's.
"""

# ruff: noqa: PLC0414  mypy takes an import for an export only where it is renamed to itself

from __future__ import annotations

from db.errors import DatabaseBusy as DatabaseBusy
from db.errors import DatabaseProblem as DatabaseProblem
from db.errors import DatabaseRefused as DatabaseRefused
from db.errors import DatabaseUnreachable as DatabaseUnreachable
from db.errors import EmbeddedServerFailed as EmbeddedServerFailed
from db.errors import MigrationFailed as MigrationFailed
from db.errors import SchemaOutdated as SchemaOutdated
from db.errors import UrlRejected as UrlRejected
from db.errors import VideoMomentsError as VideoMomentsError


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
    """A model's server takes no request at all: a wrong key, an unknown model, no server there."""


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


class ObjectStoreUnavailable(VideoMomentsError):
    """The object store failed in a way that may pass: a time limit, a 5xx, a dropped transfer."""

    retryable = True


class ObjectStoreRefused(VideoMomentsError):
    """The bucket or folder is missing, or access to it is forbidden."""


class ObjectMissing(VideoMomentsError):
    """A stored object that a row refers to is not in the object store."""


class ObjectConflict(VideoMomentsError):
    """Other bytes are already stored under the key; they are never overwritten."""
