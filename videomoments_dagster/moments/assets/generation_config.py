"""The `generation_config` asset: with which prompts and parameters moments are made."""

import dagster as dg
from pydantic import Field

from videomoments_dagster.core.asset import (
    UNCHANGED,
    Made,
    MaterialisationConfig,
    Previous,
    Unchanged,
    asset,
)
from videomoments_dagster.core.resources import LanguageModelsResource
from videomoments_dagster.core.run_tags import PROFILE_TAG
from videomoments_dagster.moments.asset_resources import (
    ProfilesResource,
    SourceRegistryResource,
    check_names,
    chosen_profile,
)
from videomoments_dagster.moments.identity import config_hash, configs_version
from videomoments_dagster.moments.metadata.materialisations import configs_metadata
from videomoments_dagster.moments.page.page_store import page_link
from videomoments_dagster.moments.profiles import DEFAULT_PROFILE
from videomoments_dagster.moments.records import SelectedConfigs, Video
from videomoments_dagster.moments.storage.moment_rows import GenerationConfigRows
from videomoments_dagster.moments.storage.video_rows import IDENTIFIER
from videomoments_dagster.moments.system import MOMENTS


class GenerationConfigConfig(MaterialisationConfig):
    """Run config of `generation_config`."""

    profile: str = Field(
        default="",
        description=f"Name of a generation profile; without it the run tag '{PROFILE_TAG}', what "
        f"the video was registered with, or '{DEFAULT_PROFILE}' decides.",
    )


@asset(
    MOMENTS,
    GenerationConfigRows(),
    code_version="1",
    kinds={"postgres", "yaml"},
    metadata=configs_metadata,
    depends_on={"video": IDENTIFIER},
    after_storing=page_link,
    # Before `transcript`, where most first runs fail: a run without a config has no row in
    # `pipeline_history`.
    priority=1,
)
def generation_config(
    context: dg.AssetExecutionContext,
    config: GenerationConfigConfig,
    video: Video,  # noqa: ARG001 - its row is what a choice is written for
    previous: Previous[SelectedConfigs],
    registry: SourceRegistryResource,
    profiles: ProfilesResource,
    language_models: LanguageModelsResource,
) -> Made[SelectedConfigs] | Unchanged:
    """The prompts and parameters that this video's moments are made with.

    Reads a named profile. Writes 'prompts' and 'generation_configs', both shared between videos and
    found again by their hashes. If it fails, the message names the profile's field to mend, or the
    model that is unknown or has no key.
    """
    name = config.profile or chosen_profile(context, registry)
    selected = profiles.selected(name)
    check_names(language_models, selected)
    if previous.is_made_from(inputs={"profile": configs_version(selected)}):
        return UNCHANGED
    generation = selected.generation
    return Made(
        value=selected,
        details={
            "profile": name,
            "model": generation.model,
            "refinement_model": selected.refinement.model,
            "scoring_model": selected.scoring.model,
            "min_moment_length_seconds": generation.min_moment_length,
            "max_moment_length_seconds": generation.max_moment_length,
            "min_moments": generation.min_moments,
            "max_moments": generation.max_moments,
            "config_hash": config_hash(generation),
            "refinement_config_hash": config_hash(selected.refinement),
            "reused": registry.has_config(generation),
        },
    )
