"""Storage of the `thumbnails` asset: rows of `thumbnails`, and their JPEGs as objects."""

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
from videomoments_dagster.moments.object_keys import thumbnail_key
from videomoments_dagster.moments.records import MadeThumbnails, Thumbnail, Thumbnails
from videomoments_dagster.moments.storage.video_rows import locked_video
from videomoments_dagster.moments.versions import thumbnails_version


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
        owners = {kept.clip_of_moment for kept in made.kept}
        owners |= {new.clip_of_moment for new in made.made}
        if None not in owners:
            # The source has no picture any more. Those of clips went with their clips.
            session.execute(delete(models.Thumbnail).where(models.Thumbnail.video_id == video_id))
        for thumbnail in made.made:
            url = uploads[thumbnail.path].url
            kilobytes = kibibytes(uploads[thumbnail.path].size_bytes)
            row = models.Thumbnail(cloud_url=url, file_size_kb=kilobytes)
            if thumbnail.clip_of_moment is None:
                row.video_id = video_id
                of_same_owner = models.Thumbnail.video_id == video_id
            else:
                clip_id = clip_ids.get(thumbnail.clip_of_moment)
                if clip_id is None:
                    raise missing_result(partition, asset="clips", step=self.name)
                row.clip_id = clip_id
                of_same_owner = models.Thumbnail.clip_id == clip_id
            old = session.scalar(select(models.Thumbnail).where(of_same_owner))
            if old is None or (old.cloud_url, old.file_size_kb) != (url, kilobytes):
                session.execute(delete(models.Thumbnail).where(of_same_owner))
                session.add(row)
            note_origin(
                session,
                partition,
                url=url,
                fingerprint=thumbnail.fingerprint,
                details={"time_seconds": thumbnail.time_seconds},
            )
        session.flush()

    def read(self, session: Session, partition: Partition) -> Thumbnails | None:
        """The stored thumbnails, or None where there never were any."""
        video_row = models.Video.__table__.alias("owner")
        rows = session.execute(
            select(models.Thumbnail, models.Moment.identifier)
            .outerjoin(models.Clip, models.Clip.id == models.Thumbnail.clip_id)
            .outerjoin(models.Moment, models.Moment.id == models.Clip.moment_id)
            .join(
                video_row,
                (video_row.c.id == models.Thumbnail.video_id)
                | (video_row.c.id == models.Clip.video_id),
            )
            .where(video_row.c.identifier == partition.key)
            .order_by(
                models.Clip.start_time.asc().nulls_first(), models.Moment.identifier.nulls_first()
            )
        ).all()
        if not rows and recall(session, partition, self.name) is None:
            return None
        known = origins(session, [row.cloud_url for row, _ in rows])
        return Thumbnails(
            thumbnails=tuple(
                Thumbnail(
                    clip_of_moment=moment_identifier,
                    cloud_url=row.cloud_url,
                    file_size_kb=row.file_size_kb,
                    fingerprint=known[row.cloud_url].fingerprint if row.cloud_url in known else "",
                )
                for row, moment_identifier in rows
            )
        )

    def version(self, stored: Thumbnails) -> str:
        """Over the objects' addresses."""
        return thumbnails_version(stored)

    def object_urls(self, stored: Thumbnails) -> tuple[str, ...]:
        """One object a thumbnail."""
        return tuple(thumbnail.cloud_url for thumbnail in stored.thumbnails)
