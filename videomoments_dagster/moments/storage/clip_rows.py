"""Storage of `clips` and `thumbnails`: a row and an object for each clip and each picture."""

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
from videomoments_dagster.moments.identity import clips_version, thumbnails_version
from videomoments_dagster.moments.object_keys import clip_key, thumbnail_key
from videomoments_dagster.moments.records import (
    Clip,
    Clips,
    CutClips,
    MadeThumbnails,
    Thumbnail,
    ThumbnailFile,
    Thumbnails,
    of_row,
)
from videomoments_dagster.moments.storage.video_rows import file_columns, locked_video


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
            values = {
                "cloud_url": url,
                "start_time": clip.start_time,
                "end_time": clip.end_time,
                "padding_left": clip.padding_left,
                "padding_right": clip.padding_right,
                "format": "mp4",
                **file_columns(clip.facts),
            }
            old = stored.get(moment_id)
            if old is None or any(getattr(old, name) != value for name, value in values.items()):
                session.execute(delete(models.Clip).where(models.Clip.moment_id == moment_id))
                session.add(models.Clip(video_id=video_id, moment_id=moment_id, **values))
            details = {"method": clip.method}
            note_origin(session, partition, url=url, fingerprint=clip.fingerprint, details=details)
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
        clips = []
        for row, moment in rows:
            made = known.get(row.cloud_url)
            fingerprint, details = (made.fingerprint, made.details) if made else ("", {})
            method = str(details.get("method", ""))
            clips.append(
                of_row(Clip, row, moment_identifier=moment, fingerprint=fingerprint, method=method)
            )
        return Clips(tuple(clips))

    def version(self, stored: Clips) -> str:
        """Over the objects' addresses."""
        return clips_version(stored)

    def object_urls(self, stored: Clips) -> tuple[str, ...]:
        """One object a clip."""
        return tuple(clip.cloud_url for clip in stored.clips)


class ThumbnailRows(AssetStorage[MadeThumbnails, Thumbnails]):
    """One row for the video itself and one for each clip."""

    name = "thumbnails"
    addresses = (models.Thumbnail.cloud_url,)

    def files(self, partition: Partition, made: MadeThumbnails) -> list[FileToStore]:
        """The new pictures, under keys with their hashes."""
        return [
            FileToStore(
                one.path,
                thumbnail_key(partition.key, one.clip_of_moment, content_hash(one.path)),
                "image/jpeg",
            )
            for one in made.made
        ]

    def write(
        self, session: Session, partition: Partition, made: MadeThumbnails, uploads: Uploads
    ) -> None:
        """Replace the rows whose pictures were made again and came out differently.

        Raises:
            ResultMissing: If a clip is no longer stored, because another run replaced it.
        """
        video_id = locked_video(session, partition, step=self.name)
        clip_ids = dict(
            session.execute(
                select(models.Moment.identifier, models.Clip.id)
                .join(models.Clip, models.Clip.moment_id == models.Moment.id)
                .where(models.Clip.video_id == video_id)
            ).all()
        )
        row = models.Thumbnail
        every: tuple[Thumbnail | ThumbnailFile, ...] = (*made.kept, *made.made)
        if all(one.clip_of_moment is not None for one in every):
            # The source has no picture any more, or not one that can be decoded. Those of clips
            # went with their clips.
            session.execute(delete(row).where(row.video_id == video_id))
        for thumbnail in made.made:
            uploaded = uploads[thumbnail.path]
            values = {"cloud_url": uploaded.url, "file_size_kb": kibibytes(uploaded.size_bytes)}
            moment = thumbnail.clip_of_moment
            owner = {"video_id": video_id} if moment is None else {"clip_id": clip_ids.get(moment)}
            if None in owner.values():
                raise missing_result(partition, asset="clips", step=self.name)
            old = session.scalar(select(row).filter_by(**owner))
            if old is None or (old.cloud_url, old.file_size_kb) != tuple(values.values()):
                session.execute(delete(row).filter_by(**owner))
                session.add(row(**owner, **values))
            note_origin(
                session,
                partition,
                url=uploaded.url,
                fingerprint=thumbnail.fingerprint,
                details={"time_seconds": thumbnail.time_seconds},
            )
        session.flush()

    def read(self, session: Session, partition: Partition) -> Thumbnails | None:
        """The stored thumbnails, or None where there never were any."""
        video, clip, row = models.Video, models.Clip, models.Thumbnail
        rows = session.execute(
            select(row, models.Moment.identifier)
            .outerjoin(clip, clip.id == row.clip_id)
            .outerjoin(models.Moment, models.Moment.id == clip.moment_id)
            .join(video, (video.id == row.video_id) | (video.id == clip.video_id))
            .where(video.identifier == partition.key)
            .order_by(clip.start_time.asc().nulls_first(), models.Moment.identifier.nulls_first())
        ).all()
        if not rows and recall(session, partition, self.name) is None:
            return None
        known = origins(session, [found.cloud_url for found, _ in rows])
        thumbnails = []
        for found, moment in rows:
            made = known.get(found.cloud_url)
            fingerprint = made.fingerprint if made else ""
            thumbnails.append(
                of_row(Thumbnail, found, clip_of_moment=moment, fingerprint=fingerprint)
            )
        return Thumbnails(tuple(thumbnails))

    def version(self, stored: Thumbnails) -> str:
        """Over the objects' addresses."""
        return thumbnails_version(stored)

    def object_urls(self, stored: Thumbnails) -> tuple[str, ...]:
        """One object a thumbnail."""
        return tuple(thumbnail.cloud_url for thumbnail in stored.thumbnails)
