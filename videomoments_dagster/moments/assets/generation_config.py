"""The `generation_config` asset: with which prompts and parameters moments are made."""

from typing import Any

import dagster as dg
from pydantic import Field

from videomoments_dagster.core.asset import (
    GROUP,
    OWNERS,
    Computation,
    MaterialisationConfig,
    materialise,
)
from videomoments_dagster.core.dagster_failures import RETRY_OUTSIDE, failures_reported
from videomoments_dagster.core.partition import Partition
from videomoments_dagster.core.resources.language_models_resource import LanguageModelsResource
from videomoments_dagster.core.resources.stored_results_resource import StoredResultsResource
from videomoments_dagster.core.run_tags import PROFILE_TAG
from videomoments_dagster.moments.identity import config_hash
from videomoments_dagster.moments.metadata.moments_metadata import configs_metadata
from videomoments_dagster.moments.partitions import VIDEOS
from videomoments_dagster.moments.profile_choice import chosen_profile, models_of
from videomoments_dagster.moments.profiles import DEFAULT_PROFILE
from videomoments_dagster.moments.records import SelectedConfigs
from videomoments_dagster.moments.resources.profiles_resource import ProfilesResource
from videomoments_dagster.moments.resources.registry_resource import SourceRegistryResource
from videomoments_dagster.moments.versions import configs_version, transcript_version
from videomoments_dagster.speech.transcript import Transcript

CODE_VERSION = "1"


class GenerationConfigConfig(MaterialisationConfig):
    """Run config of `generation_config`."""

    profile: str | None = Field(
        default=None,
        description=f"Name of a generation profile; without it the run tag `{PROFILE_TAG}`, what "
        f"the video was registered with, or `{DEFAULT_PROFILE}` decides.",
    )


@dg.asset(
    partitions_def=VIDEOS,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"postgres", "yaml"},
    code_version=CODE_VERSION,
    retry_policy=RETRY_OUTSIDE,
    description="""The prompts and parameters that this video's moments are made with.

Reads a named profile. Writes `prompts` and `generation_configs`, both shared between videos and
found again by their hashes. If it fails, the message names the profile's field to mend, or the
model that is unknown or has no key.""",
)
def generation_config(
    context: dg.AssetExecutionContext,
    config: GenerationConfigConfig,
    transcript: Transcript,
    results: StoredResultsResource,
    registry: SourceRegistryResource,
    profiles: ProfilesResource,
    language_models: LanguageModelsResource,
) -> dg.MaterializeResult[Any]:
    """Choose the profile and turn it into configurations."""
    video = context.partition_key
    with failures_reported(Partition("moments", video), step="generation_config"):
        name = config.profile or chosen_profile(context, registry)
        selected = profiles.selected(name)
        language_models.check_names(models_of(selected))

        def compute() -> Computation[SelectedConfigs]:
            generation = selected.generation
            return Computation(
                value=selected,
                data_version=configs_version(selected),
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
                    "reused": results.has_config(generation),
                },
            )

        return materialise(
            context,
            results,
            code_version=CODE_VERSION,
            inputs={
                "profile": configs_version(selected),
                "transcript": transcript_version(transcript),
            },
            settings={},
            force=config.force,
            compute=compute,
            told=lambda stored, _: configs_metadata(stored),
        )
