"""Assembles the Dagster definitions from the folder `defs`.

Belongs here: the one function that puts assets, jobs, sensors and resources together. Does not
belong here: any of those.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import dagster as dg

from videomoments_dagster.defs.abandoned_runs import abandoned_runs
from videomoments_dagster.defs.assets.clips import clips
from videomoments_dagster.defs.assets.generation_config import generation_config
from videomoments_dagster.defs.assets.moments import moments
from videomoments_dagster.defs.assets.refined_moments import refined_moments
from videomoments_dagster.defs.assets.thumbnails import thumbnails
from videomoments_dagster.defs.assets.transcript import transcript
from videomoments_dagster.defs.assets.video import video
from videomoments_dagster.defs.checks.stored import CHECK_STORED_RESULTS, STORED_CHECKS
from videomoments_dagster.defs.housekeeping import HOUSEKEEPING
from videomoments_dagster.defs.inbox import inbox
from videomoments_dagster.defs.jobs import JOBS
from videomoments_dagster.defs.resources import resources_for
from videomoments_dagster.defs.schedules import schedules_for
from videomoments_dagster.defs.sensors import SENSORS
from videomoments_dagster.settings import Settings, load_settings

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

# Code servers and processes of runs keep what they have imported by now: their collections of
# garbage need not look through it each time.
gc.freeze()
