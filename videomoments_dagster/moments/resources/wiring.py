"""Which resources the assets get, from the settings."""

from __future__ import annotations

from typing import Any

from videomoments_dagster.core.io_manager import PartitionIOManager
from videomoments_dagster.core.resources.database_resource import DatabaseResource
from videomoments_dagster.core.resources.garbage_resource import GarbageResource
from videomoments_dagster.core.resources.language_models_resource import LanguageModelsResource
from videomoments_dagster.core.resources.media_resource import MediaResource
from videomoments_dagster.core.resources.object_store_resource import ObjectStoreResource
from videomoments_dagster.core.resources.run_claim_resource import RunClaimResource
from videomoments_dagster.core.resources.scratch_resource import ScratchResource
from videomoments_dagster.core.resources.stored_results_resource import StoredResultsResource
from videomoments_dagster.core.resources.transcription_resource import TranscriptionResource
from videomoments_dagster.core.settings import Settings
from videomoments_dagster.moments.resources.backlog_resource import BacklogResource
from videomoments_dagster.moments.resources.clip_settings_resource import ClipSettingsResource
from videomoments_dagster.moments.resources.inbox_resource import InboxResource
from videomoments_dagster.moments.resources.profiles_resource import ProfilesResource
from videomoments_dagster.moments.resources.registry_resource import SourceRegistryResource


def resources_for(settings: Settings) -> dict[str, Any]:
    """The resources by the names that assets ask for them."""
    database = DatabaseResource()
    object_store = ObjectStoreResource(
        root=settings.object_store_root, gcp_project=settings.gcp_project or ""
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
            claim=RunClaimResource(
                database=database, system="moments", wait_minutes=settings.busy_wait_minutes
            ),
        ),
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
        ),
        "garbage": GarbageResource(
            database=database, object_store=object_store, grace_hours=settings.gc_grace_hours
        ),
        "registry": SourceRegistryResource(
            database=database,
            max_download_gib=settings.max_source_gib,
            allowed_networks=settings.allowed_networks,
        ),
        "profiles": ProfilesResource(path=str(settings.profiles or "")),
        "language_models": LanguageModelsResource(
            database=database,
            object_store=object_store,
            scratch=scratch,
            path=str(settings.models or ""),
            log_days=settings.model_log_days,
        ),
        "clip_settings": ClipSettingsResource(
            padding_left=settings.clip_padding_left,
            padding_right=settings.clip_padding_right,
            method=settings.clip_method,
        ),
        "transcription": TranscriptionResource(
            default_engine=settings.transcription_engine,
            models_folder=str(settings.models_folder),
            whisper_model=settings.whisper_model,
            device=settings.whisper_device,
            compute_type=settings.whisper_compute_type,
            vad=settings.whisper_vad,
            batch_size=settings.whisper_batch_size,
            language=settings.language,
        ),
    }
