"""Resources that this system's assets ask for, and the profile that a run uses by them.

No future import of annotations here: Dagster reads them when it makes the classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import dagster as dg

from videomoments_dagster.core.resources import DatabaseResource, LanguageModelsResource
from videomoments_dagster.core.run_tags import PROFILE_TAG
from videomoments_dagster.core.runs import assets_of
from videomoments_dagster.media.clip_plan import CutMethod
from videomoments_dagster.moments.engine_work import check_servers
from videomoments_dagster.moments.finding.extractive import EXTRACTIVE_MODEL
from videomoments_dagster.moments.profiles import DEFAULT_PROFILE, load_profiles, profile_named
from videomoments_dagster.moments.records import GenerationConfig, SelectedConfigs, Source
from videomoments_dagster.moments.registration import registered_source
from videomoments_dagster.moments.storage.moment_rows import is_stored
from videomoments_dagster.sources.limits import FetchLimits, inbox_of, networks_in

_GIB = 1024**3


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


class ProfilesResource(dg.ConfigurableResource[Any]):
    """The generation profiles; read anew in each run, so that an edit needs no restart.

    Reads the file VIDEOMOMENTS_PROFILES, or the one that the project ships; writes nothing. If it
    fails, the message names the profile and the field to mend.
    """

    path: str = ""
    """The file; empty for the one that the project ships."""

    def selected(self, name: str) -> SelectedConfigs:
        """The configurations of the profile `name`.

        Raises:
            SettingsRejected: If the file is invalid or has no such profile.
        """
        return profile_named(name, load_profiles(Path(self.path) if self.path else None))


class SourceRegistryResource(dg.ConfigurableResource[Any]):
    """Where registered partitions' bytes come from, and what may be fetched.

    Reads the table 'pipeline.sources'; writes a row when a video is registered. If it fails, the
    partition has no source: register one with 'videomoments add SOURCE --identifier ID'.
    """

    database: dg.ResourceDependency[DatabaseResource]
    max_download_gib: float = 64.0
    """Largest source that is downloaded, in GiB."""
    allowed_networks: str = ""
    """Networks that URLs may lead to although they are not public, separated by commas."""
    no_answer_seconds: float = 180.0
    """How long a server that does not answer is waited for, over all attempts."""
    inbox: str = ""
    """The inbox, which links may have been put into since a file of it was registered."""
    inbox_links: str = ""
    """Folders that links in it may lead into, separated by colons."""

    def fetch_limits(self, *, max_download_gib: float | None = None) -> FetchLimits:
        """The bounds on fetching a registered source.

        Args:
            max_download_gib: Largest download in GiB, if not the installation's.
        """
        return FetchLimits(
            max_bytes=int((max_download_gib or self.max_download_gib) * _GIB),
            retry_seconds=self.no_answer_seconds,
            inbox=inbox_of(self.inbox, self.inbox_links),
            allowed_networks=networks_in(self.allowed_networks),
        )

    def source_of(self, identifier: str) -> Source | None:
        """The source registered under `identifier`, or None."""
        with self.database.read() as session:
            return registered_source(session, identifier=identifier)

    def has_config(self, config: GenerationConfig) -> bool:
        """Whether a configuration is stored already, for this video or another."""
        with self.database.read() as session:
            return is_stored(session, config)


def chosen_profile(context: dg.AssetExecutionContext, registry: SourceRegistryResource) -> str:
    """Name of the profile for this run and video.

    The run config of `generation_config` decides, then the run's tag, then what the video was
    registered with, then the default.
    """
    source = registry.source_of(context.partition_key)
    return (
        _configured(context.run.run_config)
        or context.run.tags.get(PROFILE_TAG)
        or (source.profile if source else None)
        or DEFAULT_PROFILE
    )


def _configured(run_config: Mapping[str, Any]) -> str | None:
    op = (run_config.get("ops") or {}).get("generation_config") or {}
    profile = (op.get("config") or {}).get("profile")
    return profile if isinstance(profile, str) else None


def check_names(language_models: LanguageModelsResource, selected: SelectedConfigs) -> None:
    """Make sure that every model of these configs is known, and that its key is there.

    Raises:
        SettingsRejected: If one is not, or the file of models is invalid.
    """
    language_models.check_names(set(_models_of(selected)) - {EXTRACTIVE_MODEL})


def check_models_before_work(
    context: dg.AssetExecutionContext,
    registry: SourceRegistryResource,
    profiles: ProfilesResource,
    language_models: LanguageModelsResource,
) -> None:
    """Make sure that the models that this run comes to later are there.

    Called where long work is about to begin, such as a download: a run that must fail for a
    missing key does so in its first second, not after an hour of transcription.

    Raises:
        SettingsRejected: If the profile, a model's name or its key is missing.
        LanguageModelRefused: If a model's server does not answer or refuses the key.
    """
    if any(asset.name == "generation_config" for asset in assets_of(context.run)):
        selected = profiles.selected(chosen_profile(context, registry))
        check_servers(language_models, _models_of(selected))


def _models_of(selected: SelectedConfigs) -> tuple[str, ...]:
    return (selected.generation.model, selected.refinement.model, selected.scoring.model)
