"""Which storage belongs to which asset. A new asset is added here."""

from __future__ import annotations

from typing import Any

from videomoments_dagster.io_managers.clip_rows import ClipRows
from videomoments_dagster.io_managers.generation_config_rows import GenerationConfigRows
from videomoments_dagster.io_managers.moment_rows import RefinedMomentRows, RootMomentRows
from videomoments_dagster.io_managers.stored_asset import StoredAsset
from videomoments_dagster.io_managers.thumbnail_rows import ThumbnailRows
from videomoments_dagster.io_managers.transcript_rows import TranscriptRows
from videomoments_dagster.io_managers.video_rows import VideoRows

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
