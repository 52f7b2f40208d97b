"""Storage of the `clips` asset: a row of `clips` per root moment, and its MP4 as an object."""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db import models
from videomoments_dagster.base.files import content_hash, kibibytes
from videomoments_dagster.core.partition import Partition
from videomoments_dagster.core.storage import (
    AssetStorage,
    FileToStore,
    Uploads,
    missing_result,
    note_origin,
    origins,
    recall,
)
from videomoments_dagster.core.text_columns import CODEC_CHARACTERS, fitted
from videomoments_dagster.moments.object_keys import clip_key
from videomoments_dagster.moments.records import Clip, ClipFile, Clips, CutClips
from videomoments_dagster.moments.storage.video_rows import locked_video
from videomoments_dagster.moments.versions import clips_version

CLIP_FORMAT = "mp4"


class ClipRows(AssetStorage[CutClips, Clips]):
    """Rows for new cuts; rows of kept clips are not touched."""

    name = "clips"
    addresses = (models.Clip.cloud_url, models.StoredPage.cloud_url)

    def files(self, partition: Partition, made: CutClips) -> list[FileToStore]:
        """The new cuts, under keys with their hashes."""
        return [
            FileToStore(
                clip.path,
                clip_key(partition.key, clip.moment_identifier, content_hash(clip.path)),
                "video/mp4",
            )
            for clip in made.cut
        ]

    def write(
        self, session: Session, partition: Partition, made: CutClips, uploads: Uploads
    ) -> None:
        """Replace the rows of the moments that were cut again.

        A replaced row takes its thumbnail with it, since that shows the old cut. A cut that came
        out as what is stored already replaces nothing.

        Raises:
            ResultMissing: If a moment is no longer stored, because another run replaced it.
        """
        video_id = locked_video(session, partition, step=self.name)
        moment_ids = dict(
            session.execute(
                select(models.Moment.identifier, models.Moment.id).where(
                    models.Moment.video_id == video_id, models.Moment.is_refined.is_(False)
                )
            ).all()
        )
        stored = {
            clip.moment_id: clip
            for clip in session.scalars(select(models.Clip).where(models.Clip.video_id == video_id))
        }
        for clip in made.cut:
            moment_id = moment_ids.get(clip.moment_identifier)
            if moment_id is None:
                raise missing_result(partition, asset="moments", step=self.name)
            url = uploads[clip.path].url
            values = _values(clip, url=url)
            old = stored.get(moment_id)
            if old is None or any(getattr(old, name) != value for name, value in values.items()):
                session.execute(delete(models.Clip).where(models.Clip.moment_id == moment_id))
                session.add(models.Clip(video_id=video_id, moment_id=moment_id, **values))
            note_origin(
                session,
                partition,
                url=url,
                fingerprint=clip.fingerprint,
                details={"method": clip.method},
            )
        session.flush()

    def read(self, session: Session, partition: Partition) -> Clips | None:
        """The stored clips, or None where there never were any."""
        rows = session.execute(
            select(models.Clip, models.Moment.identifier)
            .join(models.Moment, models.Moment.id == models.Clip.moment_id)
            .join(models.Video, models.Video.id == models.Clip.video_id)
            .where(models.Video.identifier == partition.key)
            .order_by(models.Clip.start_time, models.Moment.identifier)
        ).all()
        if not rows and recall(session, partition, self.name) is None:
            return None
        known = origins(session, [row.cloud_url for row, _ in rows])
        return Clips(
            clips=tuple(
                Clip(
                    moment_identifier=moment_identifier,
                    cloud_url=row.cloud_url,
                    start_time=row.start_time,
                    end_time=row.end_time,
                    padding_left=row.padding_left,
                    padding_right=row.padding_right,
                    file_size_kb=row.file_size_kb,
                    format=row.format,
                    video_codec=row.video_codec,
                    audio_codec=row.audio_codec,
                    resolution=row.resolution,
                    fingerprint=origin.fingerprint if origin else "",
                    method=str(origin.details.get("method", "")) if origin else "",
                )
                for row, moment_identifier in rows
                for origin in (known.get(row.cloud_url),)
            )
        )

    def version(self, stored: Clips) -> str:
        """Over the objects' addresses."""
        return clips_version(stored)

    def object_urls(self, stored: Clips) -> tuple[str, ...]:
        """One object a clip."""
        return tuple(clip.cloud_url for clip in stored.clips)


def _values(clip: ClipFile, *, url: str) -> dict[str, object]:
    facts = clip.facts
    return {
        "cloud_url": url,
        "start_time": clip.start_time,
        "end_time": clip.end_time,
        "padding_left": clip.padding_left,
        "padding_right": clip.padding_right,
        "file_size_kb": kibibytes(facts.size_bytes),
        "format": CLIP_FORMAT,
        "video_codec": fitted(facts.video.codec, CODEC_CHARACTERS) if facts.video else None,
        "audio_codec": fitted(facts.audio.codec, CODEC_CHARACTERS) if facts.audio else None,
        "resolution": facts.video.resolution if facts.video else None,
    }
