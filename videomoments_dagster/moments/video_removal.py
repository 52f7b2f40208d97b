"""Removing everything that is stored of one video, and nothing of any other.

Belongs here: the rows. Does not belong here: objects, partitions, or whether it may be removed.
"""

from __future__ import annotations

from sqlalchemy import delete
from sqlalchemy.orm import Session

from db.models.moments.video import Video
from db.models.pipeline.source import Source


def remove_video(session: Session, identifier: str) -> bool:
    """Delete a video with all that belongs to it, and its registration.

    Foreign keys and a trigger take the rest along: transcript, moments, clips, thumbnails,
    history, and what the pipeline remembers. Prompts and configs stay, since others may share them.

    Returns:
        Whether there was anything of it.
    """
    video = session.execute(
        delete(Video)
        .where(Video.identifier == identifier)
        .returning(Video.id)
        .execution_options(synchronize_session=False)
    ).first()
    registration = session.execute(
        delete(Source)
        .where(Source.identifier == identifier)
        .returning(Source.identifier)
        .execution_options(synchronize_session=False)
    ).first()
    return video is not None or registration is not None
