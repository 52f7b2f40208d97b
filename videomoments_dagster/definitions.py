"""Assembles the Dagster definitions from the folder `defs`.

Belongs here: the one function that puts assets, jobs, sensors and resources together. Does not
belong here: any of those.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import dagster as dg

from videomoments_dagster.core.settings import Settings, load_settings
from videomoments_dagster.moments.assets.clips import clips
from videomoments_dagster.moments.assets.generation_config import generation_config
from videomoments_dagster.moments.assets.moments import moments
from videomoments_dagster.moments.assets.refined_moments import refined_moments
from videomoments_dagster.moments.assets.thumbnails import thumbnails
from videomoments_dagster.moments.assets.transcript import transcript
from videomoments_dagster.moments.assets.video import video
from videomoments_dagster.moments.automation.abandoned_run_sensor import abandoned_runs
from videomoments_dagster.moments.automation.housekeeping import HOUSEKEEPING
from videomoments_dagster.moments.automation.inbox_sensor import inbox
from videomoments_dagster.moments.automation.jobs import JOBS
from videomoments_dagster.moments.automation.schedules import schedules_for
from videomoments_dagster.moments.automation.sensors import SENSORS
from videomoments_dagster.moments.checks.stored_checks import CHECK_STORED_RESULTS, STORED_CHECKS
from videomoments_dagster.moments.resources.wiring import resources_for

ASSETS = [video, transcript, generation_config, moments, refined_moments, clips, thumbnails]


def build_definitions(
    settings: Settings | None = None, *, resources: Mapping[str, Any] | None = None
) -> dg.Definitions:
    """All definitions, with some resources replaced where a test wants that.

    Args:
        settings: Settings to take resources from; None reads the environment.
        resources: Resources by name that take the place of the usual ones.
    """
    settings = settings or load_settings()
    return dg.Definitions(
        assets=ASSETS,
        asset_checks=STORED_CHECKS,
        jobs=[*JOBS, CHECK_STORED_RESULTS, HOUSEKEEPING],
        schedules=schedules_for(settings),
        sensors=[*SENSORS, abandoned_runs, inbox],
        resources={**resources_for(settings), **(resources or {})},
        # A run is a process of its own already; a process a step took 24 s where this takes 2.4.
        executor=dg.in_process_executor,
    )


@lru_cache(maxsize=1)
def _definitions_of(settings: Settings) -> dg.Definitions:
    return build_definitions(settings)


def current_definitions() -> dg.Definitions:
    """Definitions of the settings as they are now; the same ones while those stay."""
    return _definitions_of(load_settings())


defs = current_definitions()
