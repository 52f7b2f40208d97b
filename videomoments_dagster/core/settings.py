"""Every setting of the project in one typed class, read from the environment.

What changes from run to run is run config; what changes from video to video is registered with it.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import AliasGenerator, Field, ValidationError, field_validator
from pydantic_settings import SettingsConfigDict

from db.settings import DatabaseSettings
from videomoments_dagster.base.failures import SettingsRejected
from videomoments_dagster.media.ffmpeg import MOST_MEGAPIXELS
from videomoments_dagster.sources.limits import networks_in

_CRON_FIELDS = 5


def _variable(field: str) -> str:
    """The environment variable of a field; the documented six have no prefix."""
    return field.upper() if field.startswith("database_") else f"VIDEOMOMENTS_{field.upper()}"


class Settings(DatabaseSettings):
    """The six database settings, and ours under the prefix `VIDEOMOMENTS_`.

    A field for each thing that an installation may want otherwise, with its default and its unit.

    Raises:
        pydantic.ValidationError: If a variable holds something else than its field allows;
            `load_settings` turns that into a sentence.
    """

    model_config = SettingsConfigDict(
        frozen=True, alias_generator=AliasGenerator(validation_alias=_variable)
    )

    home: Path = Path(".videomoments")
    """Folder for everything embedded: database, objects, models, scratch, Dagster's instance."""

    object_store: str = ""
    """Root of the object store: `gs://bucket[/prefix]` or a folder; empty is `<home>/objects`."""

    gcp_project: str | None = None
    """Google Cloud project to bill; unset leaves it to the credentials."""

    dagster_database_url: str | None = None
    """Database for Dagster's own storage; unset is `<our database>_dagster` on the same server."""

    scratch: Path | None = None
    """Folder for temporary files; unset is `<home>/scratch`."""

    inbox: str = ""
    """Where new videos come in: a folder or `gs://bucket/prefix`; empty is `<home>/inbox`."""

    inbox_manifest: str = ""
    """CSV or JSONL file of sources, a path or `gs://` URL; empty is none."""

    inbox_settle_seconds: float = Field(10.0, ge=0, le=86_400)
    """Seconds for which nobody has written to a file in the inbox before it is taken in."""

    inbox_links: str = ""
    """Folders that links in the inbox may lead into, separated by colons; empty is none."""

    backlog_cron: str = "0 * * * *"
    """When the schedule `unfinished_videos` requests runs, UTC."""

    backlog_runs: int = Field(25, ge=1, le=1000)
    """Most runs that one tick of `unfinished_videos` requests."""

    backlog_retry_hours: float = Field(20.0, ge=0, le=10_000)
    """Hours after which a video whose run failed or was cancelled is tried again."""

    housekeeping_cron: str = "30 4 * * *"
    """When the schedule `nightly_housekeeping` runs, UTC."""

    profiles: Path | None = None
    """File of generation profiles; unset is the one that the project ships."""

    models: Path | None = None
    """File of language models; unset is the one that the project ships."""

    model_log_days: float = Field(30.0, gt=0, le=36_500)
    """Days after which records of model calls, and answers kept for resuming, are removed."""

    gc_grace_hours: float = Field(24.0, ge=1, le=100_000)
    """Hours for which an object stays that no row refers to; longer than any run takes."""

    busy_wait_minutes: float = Field(10.0, ge=0, le=10_000)
    """Minutes that a run waits for another run of its video, before it fails."""

    transcription_engine: str = "faster-whisper"
    """Engine for videos that name none: `faster-whisper` or `captions`."""

    whisper_model: str = ""
    """Name of a Whisper model, or the folder that holds one; empty is `small` where it was placed,
    else the English one that comes in a wheel."""

    whisper_device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the model runs."""

    whisper_compute_type: str = "auto"
    """CTranslate2's compute type, such as `int8` or `float16`; `auto` is int8 on CPU, and on CUDA
    the type that the model is stored in."""

    whisper_threads: int = Field(0, ge=0, le=256)
    """Threads on CPU; 0 is one a core, at most four."""

    whisper_vad: bool = True
    """Whether silence is cut out before the model sees the audio."""

    whisper_batch_size: int = Field(0, ge=0, le=256)
    """Stretches of speech decoded at once; 0 decodes one after the other."""

    language: str | None = None
    """ISO 639-1 code of the speech; unset lets the engine find out."""

    clip_padding_left: float = Field(15.0, ge=0, le=3600)
    """Seconds shown before a moment."""

    clip_padding_right: float = Field(30.0, ge=0, le=3600)
    """Seconds shown after a moment."""

    clip_method: Literal["auto", "copy", "encode"] = "auto"
    """`copy` cuts without re-encoding, `encode` always re-encodes, `auto` copies where it can."""

    clip_boundaries: Literal["root", "refined"] = "root"
    """Whether clips are cut from moments as they were found, or as they were refined."""

    max_picture_megapixels: float = Field(MOST_MEGAPIXELS, gt=0, le=2000)
    """Largest picture that is decoded, in millions of pixels; 8K video has 33."""

    max_source_gib: float = Field(64.0, gt=0)
    """Largest source that is downloaded, in GiB."""

    no_answer_seconds: float = Field(180.0, ge=1, le=86_400)
    """Seconds for which a bucket, or a source's server, that does not answer is waited for, all
    attempts together."""

    ui_url: str = "http://127.0.0.1:3000"
    """Where people open the UI, for links to it."""

    allowed_networks: str = ""
    """Networks that URLs may lead to although they are not public, such as `10.0.0.0/8,::1/128`."""

    ui_hosts: str = ""
    """Names, beside this machine's own, under which people open the UI: `ui.example.org`."""

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
        name, why = first["loc"][0], first["msg"].removeprefix("Value error, ")
        raise SettingsRejected(
            f"the setting {name} is invalid: {why}",
            remedy=f"Set or unset the environment variable {name}",
        ) from None


@lru_cache(maxsize=1)
def _settings_of(_environment: frozenset[tuple[str, str]]) -> Settings:
    # Reading fifty variables takes milliseconds, and each resource of a run wants them.
    return Settings()
