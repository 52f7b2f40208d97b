"""Dagster's definitions of this system: its jobs, and what comes with its assets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from videomoments_dagster.core.assembly import system_definitions
from videomoments_dagster.core.settings import Settings
from videomoments_dagster.moments import assets
from videomoments_dagster.moments.asset_resources import (
    ClipSettingsResource,
    ProfilesResource,
    SourceRegistryResource,
)
from videomoments_dagster.moments.assets.clips import clips, clips_from
from videomoments_dagster.moments.assets.generation_config import generation_config
from videomoments_dagster.moments.assets.moments import moments
from videomoments_dagster.moments.assets.refined_moments import refined_moments
from videomoments_dagster.moments.assets.thumbnails import thumbnails
from videomoments_dagster.moments.automation import inbox, unfinished_videos_schedule
from videomoments_dagster.moments.backlog import BacklogResource
from videomoments_dagster.moments.history.sensor import pipeline_history
from videomoments_dagster.moments.intake.intake import InboxResource
from videomoments_dagster.moments.system import MOMENTS

# Loaded here, so that whoever imports the jobs finds all assets registered.
_ASSETS = dg.load_assets_from_package_module(assets)
_WHATEVER_IS_SET = [
    one for one in _ASSETS if not (isinstance(one, dg.AssetsDefinition) and one.key == clips.key)
]
_FINDING = [generation_config, moments, refined_moments]

MOMENTS.asset_job(
    "full",
    """Everything, from the source to the thumbnails.

Reads the registered source of the video, and writes the rows and files of all seven assets. What
has not changed is kept: a second run takes seconds, and reads and writes no file. If it fails, the
failed step says what mends it; run it again, and it goes on where it was.""",
)
MOMENTS.asset_job(
    "moments_only",
    """New moments from the stored transcript, with another profile, say.

Reads the stored transcript and a profile; writes the rows of 'generation_configs' and 'moments',
and removes moments that are no more, with their clips. Run 'clips_only' after it to cut clips of
the new ones. If it fails, a model's server or a stored result is missing; the message says which,
and answers that a model gave are kept for the next run.""",
    assets=_FINDING,
)
# It selects what `moments_only` does, and finds nothing again.
MOMENTS.asset_job(
    "scores_only",
    """New scores of the stored moments, with other criteria, say.

Reads the stored moments and transcript; writes scores into the rows of 'moments'. Nothing is found
again unless something else has changed. If it fails, the model that scores is missing or away; the
old scores stay.""",
    assets=_FINDING,
    config={
        "ops": {one.op.name: {"config": {"rescore": True}} for one in (moments, refined_moments)}
    },
)
MOMENTS.asset_job(
    "clips_only",
    """Clips and thumbnails of the stored moments; only what is missing is made.

Reads the stored video and moments; writes MP4 and JPEG files, and rows of 'clips' and 'thumbnails'.
If it fails, or is partial, the run's log says which clip and why; run it again, and only that one
is tried.""",
    assets=[clips, thumbnails],
)


def moments_definitions(settings: Settings) -> dg.Definitions:
    """Assets, jobs, checks, schedules and sensors, without resources."""
    return system_definitions(
        MOMENTS,
        [*_WHATEVER_IS_SET, clips_from(settings.clip_boundaries)],
        schedules=[unfinished_videos_schedule(settings.backlog_cron)],
        sensors=[pipeline_history, inbox],
    )


def moments_resources(settings: Settings, shared: Mapping[str, Any]) -> dict[str, Any]:
    """The resources of this system, by the names that assets ask for them.

    Args:
        settings: The installation's settings.
        shared: Resources of `core`, by name.
    """
    database, object_store = shared["database"], shared["object_store"]
    return {
        "backlog": BacklogResource(
            database=database,
            most=settings.backlog_runs,
            retry_hours=settings.backlog_retry_hours,
        ),
        "inbox": InboxResource(
            database=database,
            object_store=object_store,
            root=settings.inbox_root,
            required=bool(settings.inbox),
            manifest=settings.inbox_manifest,
            settle_seconds=settings.inbox_settle_seconds,
            links=settings.inbox_links,
        ),
        "registry": SourceRegistryResource(
            database=database,
            max_download_gib=settings.max_source_gib,
            allowed_networks=settings.allowed_networks,
            no_answer_seconds=settings.no_answer_seconds,
            inbox=settings.inbox_root,
            inbox_links=settings.inbox_links,
        ),
        "profiles": ProfilesResource(path=str(settings.profiles or "")),
        "clip_settings": ClipSettingsResource(
            padding_left=settings.clip_padding_left,
            padding_right=settings.clip_padding_right,
            method=settings.clip_method,
        ),
    }
