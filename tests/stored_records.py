"""Records made by hand, and the storage that they go through, without any media.

Belongs here: a real database and a real folder behind the real IO manager. Does not belong here:
runs (`pipeline`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import text

from db.session import Database
from videomoments_dagster.base.files import content_hash
from videomoments_dagster.base.fingerprints import digest
from videomoments_dagster.core.io_manager import PartitionIOManager
from videomoments_dagster.core.resources import DatabaseResource, ObjectStoreResource
from videomoments_dagster.core.storage import Computed
from videomoments_dagster.definitions import build_definitions  # noqa: F401 - registers all assets
from videomoments_dagster.media.facts import AudioStream, MediaFacts, SubtitleStream, VideoStream
from videomoments_dagster.moments.identity import moment_identifier
from videomoments_dagster.moments.records import (
    ClipFile,
    CutClips,
    FetchedVideo,
    GenerationConfig,
    MadeThumbnails,
    Moment,
    Moments,
    Prompt,
    ScoringConfig,
    SelectedConfigs,
    ThumbnailFile,
)
from videomoments_dagster.moments.system import MOMENTS
from videomoments_dagster.speech.transcripts import Segment, Transcript, Word

FACTS = MediaFacts(
    container="mov,mp4,m4a,3gp,3g2,mj2",
    duration_seconds=61.123456789012345,
    size_bytes=1025,
    video=VideoStream(
        index=0,
        codec="h264",
        width=1080,
        height=1920,
        rotation=90,
        frame_rate=30000 / 1001,
        start_seconds=0.08,
        time_base=90000,
    ),
    audio=AudioStream(index=1, codec="aac", sample_rate=48000, channels=2, start_seconds=0.0213),
    subtitles=(SubtitleStream(index=2, codec="mov_text", language="de"),),
    ignore_edit_list=True,
    silent_streams=(1,),
)

TRANSCRIPT = Transcript(
    full_text="Grüße & <b>多</b> 🎬.",
    words=(Word("Grüße", 0.1, 0.30000000000000004), Word("& <b>多</b> 🎬.", 0.5, 1e-3 + 1)),
    segments=(Segment("Grüße & <b>多</b> 🎬.", 0.1, 1.001),),
    language="de",
    transcription_service="captions",
    processing_time_seconds=0.123456789,
)

SILENCE = Transcript(
    full_text="",
    words=(),
    segments=(),
    language="en",
    transcription_service="captions",
    processing_time_seconds=0.0,
)


def configs(name: str = "default", *, model: str = "extractive") -> SelectedConfigs:
    return SelectedConfigs(
        profile=name,
        generation=GenerationConfig(
            prompt=Prompt("find", "you find"),
            model=model,
            operation_type="generation",
            temperature=0.1 + 0.2,
            top_p=0.9,
            top_k=40,
            min_moment_length=6,
            max_moment_length=15.5,
            min_moments=1,
            max_moments=9,
        ),
        refinement=GenerationConfig(
            prompt=Prompt("mend", "you mend"), model=model, operation_type="refinement"
        ),
        scoring=ScoringConfig(
            prompt=Prompt("judge", "you judge"), model=model, temperature=0.0, top_k=40
        ),
        max_shift_seconds=2.5,
    )


def moment(video: str, start: float, end: float, **fields: Any) -> Moment:
    made = Moment(
        identifier=moment_identifier(
            video=video,
            config=configs().generation,
            start_time=start,
            end_time=end,
            parent=fields.get("parent_identifier"),
        ),
        start_time=start,
        end_time=end,
        title=f"From {start} to {end}",
        generation_model="extractive",
        score=7,
        scoring_model="centrality",
        scored_at=datetime(2026, 1, 2, 3, 4, 5, 678901),  # noqa: DTZ001  stored without zone
    )
    return replace(made, **fields)


def refined(video: str, root: Moment, *, shift: float = 0.5) -> Moment:
    return moment(
        video, root.start_time + shift, root.end_time + shift, parent_identifier=root.identifier
    )


STORAGES = {name: asset.storage for name, asset in MOMENTS.assets.items()}


@cache
def _no_resources() -> Any:
    """Given to contexts, since each would otherwise make a Dagster instance for 0.1 s."""
    with dg.build_resources({}) as resources:
        return resources


@dataclass
class Storage:
    """The IO manager over one database and one folder of objects."""

    manager: PartitionIOManager
    database: Database
    folder: Path

    def store(self, asset: str, video: str, value: Any, *, fingerprint: str = "f" * 64) -> None:
        computed = Computed(
            value=value,
            fingerprint=fingerprint,
            data_version=digest(fingerprint),
            details={"why_fewer": getattr(value, "why_fewer", "")},
        )
        self.give(asset, video, computed)

    def give(self, asset: str, video: str, output: object) -> None:
        """Hand the IO manager what an asset returned."""
        context = dg.OutputContext(
            asset_key=dg.AssetKey(asset),
            partition_key=video,
            step_key=asset,
            resources=_no_resources(),
        )
        self.manager.handle_output(context, output)

    def load(self, asset: str, video: str) -> Any:
        return self.manager.load_input(
            dg.InputContext(
                asset_key=dg.AssetKey(asset), partition_key=video, resources=_no_resources()
            )
        )

    def rows(self, query: str, **parameters: Any) -> list[Any]:
        with self.database.engine.begin() as connection:
            result = connection.execute(text(query), parameters)
            return [tuple(row) for row in result] if result.returns_rows else []

    def one(self, query: str, **parameters: Any) -> Any:
        [[value]] = self.rows(query, **parameters)
        return value

    def asset_rows(self) -> dict[str, list[Any]]:
        """Every row of the tables that assets write, ids and times of creation included."""
        tables = (
            "videos",
            "transcripts",
            "prompts",
            "generation_configs",
            "moments",
            "clips",
            "thumbnails",
            "pipeline.sources",
            "pipeline.selected_configs",
            "pipeline.video_files",
            "pipeline.object_origins",
            "pipeline.pages",
        )
        return {
            table: self.rows(f"SELECT row_to_json(t)::text FROM {table} t ORDER BY 1")  # noqa: S608
            for table in tables
        }

    def objects(self) -> dict[str, int]:
        root = self.folder / "objects"
        return {
            str(path.relative_to(root)): path.stat().st_mtime_ns
            for path in root.rglob("*")
            if path.is_file()
        }

    def file(self, content: str, *, suffix: str = ".mp4") -> Path:
        path = self.folder / f"{digest(content)[:12]}{suffix}"
        path.write_text(content)
        return path

    def video(self, identifier: str, **fields: Any) -> FetchedVideo:
        path = self.file(f"bytes of {identifier}")
        made = FetchedVideo(
            identifier=identifier,
            source_url=f"/films/{identifier}.mp4",
            path=path,
            content_hash=content_hash(path),
            facts=FACTS,
            title=f"Film “{identifier}”",
        )
        return replace(made, **fields)

    def cut(self, shown: Moment, *, content: str = "cut", padding: float = 1.0) -> ClipFile:
        return ClipFile(
            moment_identifier=shown.identifier,
            path=self.file(f"{content} {shown.identifier}"),
            start_time=shown.start_time - padding,
            end_time=shown.end_time + padding,
            padding_left=padding,
            padding_right=padding,
            method="copy",
            facts=FACTS,
            fingerprint=digest([content, padding]),
        )

    def picture(self, owner: Moment | None, *, content: str = "picture") -> ThumbnailFile:
        name = None if owner is None else owner.identifier
        return ThumbnailFile(
            clip_of_moment=name,
            path=self.file(f"{content} {name}", suffix=".jpg"),
            fingerprint=digest(content),
            time_seconds=1.5,
        )

    def store_until_moments(self, video: str, *starts: float) -> tuple[Moment, ...]:
        """Store a video, its transcript and config, and moments of ten seconds."""
        self.store("video", video, self.video(video))
        self.store("transcript", video, TRANSCRIPT)
        self.store("generation_config", video, configs())
        moments = tuple(moment(video, start, start + 10) for start in starts)
        self.store("moments", video, Moments(moments))
        return moments

    def store_everything(self, video: str, *starts: float) -> tuple[Moment, ...]:
        moments = self.store_until_moments(video, *starts)
        self.store("refined_moments", video, Moments(tuple(refined(video, m) for m in moments)))
        self.store("clips", video, CutClips(kept=(), cut=tuple(map(self.cut, moments))))
        self.store(
            "thumbnails",
            video,
            MadeThumbnails(kept=(), made=tuple(map(self.picture, (None, *moments)))),
        )
        return moments


@pytest.fixture
def storage(database_url: str, tmp_path: Path) -> Iterator[Storage]:
    """Storage with nothing in it."""
    database = Database(database_url, pool_size=8)
    resource = DatabaseResource(url=database_url)
    resource._database = database
    manager = PartitionIOManager(
        database=resource, object_store=ObjectStoreResource(root=str(tmp_path / "objects"))
    )
    yield Storage(manager=manager, database=database, folder=tmp_path)
    database.dispose()
