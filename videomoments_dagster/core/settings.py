"""Every setting of the project in one typed class, read from the environment.

Belongs here: a field for each thing that an installation may want otherwise, with its default
and its unit. Does not belong here: what changes from run to run (run config) or from video to
video (`records.Source`), nor the parameters of moment finding (`profiles.yaml`).

Example:
    `VIDEOMOMENTS_OBJECT_STORE=gs://archive/moments videomoments run talk`
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import SettingsConfigDict

from db.settings import DatabaseSettings
from videomoments_dagster.base.failures import SettingsRejected
from videomoments_dagster.sources.limits import networks_in

_CRON_FIELDS = 5


class Settings(DatabaseSettings):
    """The six database settings, and ours under the prefix `VIDEOMOMENTS_`.

    Raises:
        pydantic.ValidationError: If a variable holds something else than its field allows;
            `load_settings` turns that into a sentence.
    """

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    home: Annotated[Path, Field(validation_alias="VIDEOMOMENTS_HOME")] = Path(".videomoments")
    """Folder for everything embedded: database, objects, models, scratch, Dagster's instance."""

    object_store: Annotated[str, Field(validation_alias="VIDEOMOMENTS_OBJECT_STORE")] = ""
    """Root of the object store: `gs://bucket[/prefix]` or a folder; empty is `<home>/objects`."""

    gcp_project: Annotated[str | None, Field(validation_alias="VIDEOMOMENTS_GCP_PROJECT")] = None
    """Google Cloud project to bill; unset leaves it to the credentials."""

    dagster_database_url: Annotated[
        str | None, Field(validation_alias="VIDEOMOMENTS_DAGSTER_DATABASE_URL")
    ] = None
    """Database for Dagster's own storage; unset is `<our database>_dagster` on the same server."""

    scratch: Annotated[Path | None, Field(validation_alias="VIDEOMOMENTS_SCRATCH")] = None
    """Folder for temporary files; unset is `<home>/scratch`."""

    inbox: Annotated[str, Field(validation_alias="VIDEOMOMENTS_INBOX")] = ""
    """Where new videos come in: a folder or `gs://bucket/prefix`; empty is `<home>/inbox`."""

    inbox_manifest: Annotated[str, Field(validation_alias="VIDEOMOMENTS_INBOX_MANIFEST")] = ""
    """CSV or JSONL file of sources, a path or `gs://` URL; empty is none."""

    inbox_settle_seconds: Annotated[
        float, Field(validation_alias="VIDEOMOMENTS_INBOX_SETTLE_SECONDS", ge=0, le=86_400)
    ] = 10.0
    """Seconds for which nobody has written to a file in the inbox before it is taken in."""

    backlog_cron: Annotated[str, Field(validation_alias="VIDEOMOMENTS_BACKLOG_CRON")] = "0 * * * *"
    """When the schedule `unfinished_videos` requests runs, UTC."""

    backlog_runs: Annotated[
        int, Field(validation_alias="VIDEOMOMENTS_BACKLOG_RUNS", ge=1, le=1000)
    ] = 25
    """Most runs that one tick of `unfinished_videos` requests."""

    backlog_retry_hours: Annotated[
        float, Field(validation_alias="VIDEOMOMENTS_BACKLOG_RETRY_HOURS", ge=0, le=10_000)
    ] = 20.0
    """Hours after which a video whose run failed or was cancelled is tried again."""

    housekeeping_cron: Annotated[str, Field(validation_alias="VIDEOMOMENTS_HOUSEKEEPING_CRON")] = (
        "30 4 * * *"
    )
    """When the schedule `nightly_housekeeping` runs, UTC."""

    profiles: Annotated[Path | None, Field(validation_alias="VIDEOMOMENTS_PROFILES")] = None
    """File of generation profiles; unset is the one that the project ships."""

    models: Annotated[Path | None, Field(validation_alias="VIDEOMOMENTS_MODELS")] = None
    """File of language models; unset is the one that the project ships."""

    model_log_days: Annotated[
        float, Field(validation_alias="VIDEOMOMENTS_MODEL_LOG_DAYS", gt=0, le=36_500)
    ] = 30.0
    """Days after which records of model calls, and answers kept for resuming, are removed."""

    gc_grace_hours: Annotated[
        float, Field(validation_alias="VIDEOMOMENTS_GC_GRACE_HOURS", ge=1, le=100_000)
    ] = 24.0
    """Hours for which an object stays that no row refers to; longer than any run takes."""

    busy_wait_minutes: Annotated[
        float, Field(validation_alias="VIDEOMOMENTS_BUSY_WAIT_MINUTES", ge=0, le=10_000)
    ] = 10.0
    """Minutes that a run waits for another run of its video, before it fails."""

    transcription_engine: Annotated[
        str, Field(validation_alias="VIDEOMOMENTS_TRANSCRIPTION_ENGINE")
    ] = "faster-whisper"
    """Engine for videos that name none: `faster-whisper`, `captions` or `pocketsphinx`."""

    whisper_model: Annotated[str, Field(validation_alias="VIDEOMOMENTS_WHISPER_MODEL")] = "small"
    """Name of a Whisper model, or the folder that holds one."""

    whisper_device: Annotated[
        Literal["auto", "cpu", "cuda"], Field(validation_alias="VIDEOMOMENTS_WHISPER_DEVICE")
    ] = "auto"
    """Where the model runs."""

    whisper_compute_type: Annotated[
        str, Field(validation_alias="VIDEOMOMENTS_WHISPER_COMPUTE_TYPE")
    ] = "default"
    """CTranslate2's compute type, such as `int8` or `float16`."""

    whisper_vad: Annotated[bool, Field(validation_alias="VIDEOMOMENTS_WHISPER_VAD")] = True
    """Whether silence is cut out before the model sees the audio."""

    whisper_batch_size: Annotated[
        int, Field(validation_alias="VIDEOMOMENTS_WHISPER_BATCH_SIZE", ge=0, le=256)
    ] = 0
    """Stretches of speech decoded at once; 0 decodes one after the other."""

    language: Annotated[str | None, Field(validation_alias="VIDEOMOMENTS_LANGUAGE")] = None
    """ISO 639-1 code of the speech; unset lets the engine find out."""

    clip_padding_left: Annotated[
        float, Field(validation_alias="VIDEOMOMENTS_CLIP_PADDING_LEFT", ge=0, le=3600)
    ] = 15.0
    """Seconds shown before a moment."""

    clip_padding_right: Annotated[
        float, Field(validation_alias="VIDEOMOMENTS_CLIP_PADDING_RIGHT", ge=0, le=3600)
    ] = 30.0
    """Seconds shown after a moment."""

    clip_method: Annotated[
        Literal["auto", "copy", "encode"], Field(validation_alias="VIDEOMOMENTS_CLIP_METHOD")
    ] = "auto"
    """`copy` cuts without re-encoding, `encode` always re-encodes, `auto` copies where it can."""

    max_source_gib: Annotated[
        float, Field(validation_alias="VIDEOMOMENTS_MAX_SOURCE_GIB", gt=0)
    ] = 64.0
    """Largest source that is downloaded, in GiB."""

    allowed_networks: Annotated[str, Field(validation_alias="VIDEOMOMENTS_ALLOWED_NETWORKS")] = ""
    """Networks that URLs may lead to although they are not public, such as `10.0.0.0/8,::1/128`."""

    @field_validator("backlog_cron", "housekeeping_cron")
    @classmethod
    def _is_cron(cls, value: str) -> str:
        # Dagster's own rule; importing Dagster for it would cost `--help` a second.
        if len(value.split()) != _CRON_FIELDS and not value.startswith("@"):
            raise ValueError("it is no cron expression such as '30 4 * * *'")
        return value

    @field_validator("allowed_networks")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        networks_in(value)
        return value

    @field_validator("scratch", "profiles", "models", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @property
    def home_folder(self) -> Path:
        """`home` as an absolute path; relative ones are relative to the working directory."""
        return self.home.expanduser().absolute()

    @property
    def scratch_folder(self) -> Path:
        """Where temporary files go, absolute."""
        return (self.scratch or self.home_folder / "scratch").expanduser().absolute()

    @property
    def object_store_root(self) -> str:
        """The object store's root as a URL or an absolute path."""
        return self.object_store or str(self.home_folder / "objects")

    @property
    def inbox_root(self) -> str:
        """The inbox as a URL or an absolute path."""
        if self.inbox.lower().startswith("gs://"):
            return self.inbox
        return str(Path(self.inbox or self.home_folder / "inbox").expanduser().absolute())

    @property
    def models_folder(self) -> Path:
        """Where Whisper models are looked for, absolute."""
        return self.home_folder / "models" / "whisper"

    @property
    def dagster_home(self) -> Path:
        """Dagster's instance folder: `DAGSTER_HOME` if set, else a folder of ours."""
        return Path(os.environ.get("DAGSTER_HOME") or self.home_folder / "dagster").absolute()


def load_settings() -> Settings:
    """Read the settings from the environment; the same object while nothing there changes.

    Raises:
        SettingsRejected: If a variable holds something that its setting does not allow; the
            reason names the variable.
    """
    try:
        return _settings_of(frozenset(os.environ.items()))
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0])
        raise SettingsRejected(
            f"the setting {field.upper()} is invalid: {first['msg'].removeprefix('Value error, ')}",
            remedy=f"Set or unset the environment variable {field.upper()}",
        ) from None


@lru_cache(maxsize=1)
def _settings_of(_environment: frozenset[tuple[str, str]]) -> Settings:
    # Reading fifty variables takes milliseconds, and each resource of a run wants them.
    return Settings()
