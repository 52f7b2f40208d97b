"""From a system's assets to Dagster's definitions; checks and jobs are derived."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dagster as dg

from videomoments_dagster.core.housekeeping import (
    abandoned_runs,
    housekeeping,
    nightly_housekeeping,
)
from videomoments_dagster.core.io_manager import PartitionIOManager
from videomoments_dagster.core.media_files import MediaResource
from videomoments_dagster.core.resources import (
    DatabaseResource,
    GarbageResource,
    LanguageModelsResource,
    ObjectStoreResource,
    RunClaimResource,
    ScratchResource,
    StoredResultsResource,
    TranscriptionResource,
)
from videomoments_dagster.core.settings import Settings
from videomoments_dagster.core.stored_checks import check_job, stored_checks
from videomoments_dagster.core.systems import System


def system_definitions(
    system: System,
    assets: Sequence[Any],
    *,
    schedules: Sequence[Any] = (),
    sensors: Sequence[Any] = (),
) -> dg.Definitions:
    """Definitions of one system: its assets, the checks of what is stored, and its jobs.

    A system that defines no job of its own has one that materialises everything and is called as
    the system is.

    Args:
        system: The system; its assets are registered.
        assets: Dagster's definitions of them.
        schedules: What happens by the clock.
        sensors: What happens without anybody asking.
    """
    if not system.jobs:
        system.asset_job(system.name, f"Everything of one {system.noun}.")
    checks = stored_checks(system)
    jobs = [job.definition() for job in system.jobs.values()]
    return dg.Definitions(
        assets=assets,
        asset_checks=checks,
        jobs=[*jobs, check_job(system)] if checks else jobs,
        schedules=schedules,
        sensors=sensors,
    )


def core_definitions(settings: Settings) -> dg.Definitions:
    """What there is once, whatever systems there are."""
    return dg.Definitions(
        jobs=[housekeeping],
        schedules=[nightly_housekeeping(settings.housekeeping_cron)],
        sensors=[abandoned_runs],
        # A run is a process of its own already; a process a step took 24 s where this takes 2.4.
        executor=dg.in_process_executor,
    )


def shared_resources(settings: Settings, systems: Sequence[System]) -> dict[str, Any]:
    """The resources that assets of every system may ask for, by their names."""
    database = DatabaseResource()
    object_store = ObjectStoreResource(
        root=settings.object_store_root,
        gcp_project=settings.gcp_project or "",
        wait_seconds=settings.no_answer_seconds,
        ui_url=settings.ui_url,
    )
    scratch = ScratchResource(root=str(settings.scratch_folder))
    return {
        "io_manager": PartitionIOManager(database=database, object_store=object_store),
        "database": database,
        "object_store": object_store,
        "scratch": scratch,
        "media": MediaResource(object_store=object_store, scratch=scratch),
        "results": StoredResultsResource(
            database=database,
            object_store=object_store,
            claim=RunClaimResource(database=database, wait_minutes=settings.busy_wait_minutes),
        ),
        "garbage": GarbageResource(
            database=database,
            object_store=object_store,
            systems=[system.name for system in systems],
            grace_hours=settings.gc_grace_hours,
        ),
        "language_models": LanguageModelsResource(
            database=database,
            object_store=object_store,
            scratch=scratch,
            path=str(settings.models or ""),
            log_days=settings.model_log_days,
        ),
        "transcription": TranscriptionResource(
            default_engine=settings.transcription_engine,
            models_folder=str(settings.models_folder),
            whisper_model=settings.whisper_model,
            device=settings.whisper_device,
            compute_type=settings.whisper_compute_type,
            vad=settings.whisper_vad,
            batch_size=settings.whisper_batch_size,
            threads=settings.whisper_threads,
            language=settings.language,
        ),
    }
