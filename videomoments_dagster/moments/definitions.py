"""Dagster's definitions of this system."""

from __future__ import annotations

import dagster as dg

from videomoments_dagster.core.assembly import system_definitions
from videomoments_dagster.core.settings import Settings
from videomoments_dagster.moments import assets, jobs  # noqa: F401 - jobs register themselves
from videomoments_dagster.moments.automation import inbox, unfinished_videos_schedule
from videomoments_dagster.moments.history.sensor import pipeline_history
from videomoments_dagster.moments.system import MOMENTS


def moments_definitions(settings: Settings) -> dg.Definitions:
    """Assets, jobs, checks, schedules and sensors, without resources."""
    return system_definitions(
        MOMENTS,
        dg.load_assets_from_package_module(assets),
        schedules=[unfinished_videos_schedule(settings.backlog_cron)],
        sensors=[pipeline_history, inbox],
    )
