"""Which generation profile a run uses for a video, and whether its models are to be had.

Belongs here: the order in which run config, run tag and registration decide, and the check that
comes before any work. Does not belong here: profiles or models themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg

from videomoments_dagster.core.resources.language_models_resource import LanguageModelsResource
from videomoments_dagster.core.run_tags import PROFILE_TAG
from videomoments_dagster.moments.profiles import DEFAULT_PROFILE
from videomoments_dagster.moments.records import SelectedConfigs
from videomoments_dagster.moments.resources.profiles_resource import ProfilesResource
from videomoments_dagster.moments.resources.registry_resource import SourceRegistryResource


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


def models_of(selected: SelectedConfigs) -> tuple[str, ...]:
    """Names of the engines and models that these configs need."""
    return (selected.generation.model, selected.refinement.model, selected.scoring.model)


def check_models_before_work(
    context: dg.AssetExecutionContext,
    *,
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
    if "generation_config" not in _assets_of_run(context):
        return
    selected = profiles.selected(chosen_profile(context, registry))
    language_models.check_servers(models_of(selected))


def _assets_of_run(context: dg.AssetExecutionContext) -> Iterable[str]:
    return {key.path[-1] for key in context.job_def.asset_layer.selected_asset_keys}
