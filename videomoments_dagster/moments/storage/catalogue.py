"""Which storage belongs to which asset. A new asset is added here."""

from __future__ import annotations

from typing import Any

from videomoments_dagster.core.storage import StoredAsset
from videomoments_dagster.moments.storage.clip_rows import ClipRows
from videomoments_dagster.moments.storage.generation_config_rows import GenerationConfigRows
from videomoments_dagster.moments.storage.moment_rows import RefinedMomentRows, RootMomentRows
from videomoments_dagster.moments.storage.thumbnail_rows import ThumbnailRows
from videomoments_dagster.moments.storage.transcript_rows import TranscriptRows
from videomoments_dagster.moments.storage.video_rows import VideoRows

STORED_ASSETS: dict[str, StoredAsset[Any, Any]] = {
    asset.name: asset
    for asset in (
        VideoRows(),
        TranscriptRows(),
        GenerationConfigRows(),
        RootMomentRows(),
        RefinedMomentRows(),
        ClipRows(),
        ThumbnailRows(),
    )
}
