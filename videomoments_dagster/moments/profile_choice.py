"""Which generation profile a run uses for a video, and whether its models are to be had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from videomoments_dagster.core.resources import LanguageModelsResource
from videomoments_dagster.core.run_tags import PROFILE_TAG
from videomoments_dagster.core.runs import assets_of
from videomoments_dagster.moments.engine_work import check_servers
from videomoments_dagster.moments.finding.extractive import EXTRACTIVE_MODEL
from videomoments_dagster.moments.profiles import DEFAULT_PROFILE
from videomoments_dagster.moments.records import SelectedConfigs
from videomoments_dagster.moments.resources import ProfilesResource, SourceRegistryResource


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
