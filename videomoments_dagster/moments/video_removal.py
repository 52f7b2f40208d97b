"""Removing everything that is stored of one video, and nothing of any other.

Belongs here: the rows. Does not belong here: objects, partitions, or whether it may be removed.
"""

from __future__ import annotations

from sqlalchemy import delete, select, union_all
from sqlalchemy.orm import Session

from db.models.moments.clip import Clip
from db.models.moments.moment import Moment
from db.models.moments.thumbnail import Thumbnail
from db.models.moments.video import Video
from db.models.pipeline.object_origin import ObjectOrigin
from db.models.pipeline.source import Source


def remove_video(session: Session, identifier: str) -> bool:
    """Delete a video with all that belongs to it, and its registration.

    The foreign keys take the rest along: transcript, moments, clips, thumbnails, history, and
    what the pipeline remembers. Prompts and configs stay, since others may share them.

    Returns:
        Whether there was anything of it.
    """
    video_id = session.scalar(
        select(Video.id).where(Video.identifier == identifier).with_for_update()
    )
    if video_id is not None:
        clips = select(Clip.id).join(Moment, Moment.id == Clip.moment_id)
        clips = clips.where(Moment.video_id == video_id)
        urls = union_all(
            select(Clip.cloud_url).where(Clip.id.in_(clips)),
            select(Thumbnail.cloud_url).where(
                (Thumbnail.video_id == video_id) | Thumbnail.clip_id.in_(clips)
            ),
        )
        session.execute(
            delete(ObjectOrigin)
            .where(ObjectOrigin.url.in_(urls))
            .execution_options(synchronize_session=False)
        )
        session.execute(
            delete(Video).where(Video.id == video_id).execution_options(synchronize_session=False)
        )
    registration = session.execute(
        delete(Source)
        .where(Source.identifier == identifier)
        .returning(Source.identifier)
        .execution_options(synchronize_session=False)
    ).first()
    return video_id is not None or registration is not None
