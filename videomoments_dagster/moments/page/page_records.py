"""Reading all that a video's page shows, in one look at the database.

Belongs here: from rows to the records that assets work with. Does not belong here: where the page
finds its media, which differs from page to page.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from videomoments_dagster.moments.records import Clip, Moment, Thumbnail, Video
from videomoments_dagster.moments.storage.clip_rows import ClipRows
from videomoments_dagster.moments.storage.moment_rows import RefinedMomentRows, RootMomentRows
from videomoments_dagster.moments.storage.thumbnail_rows import ThumbnailRows
from videomoments_dagster.moments.storage.transcript_rows import TranscriptRows
from videomoments_dagster.moments.storage.video_rows import VideoRows
from videomoments_dagster.moments.system import MOMENTS
from videomoments_dagster.speech.transcript import Transcript


@dataclass(frozen=True, slots=True)
class PageRecords:
    """What is stored of a video.

    Attributes:
        video: The video.
        transcript: What is said in it, if that is known yet.
        moments: Root moments in time order.
        refined: Refined moments by their root.
        clips: Clips by their root moment, in time order.
        thumbnails: Thumbnails by the root moment of their clip; None for the video's own.
    """

    video: Video
    transcript: Transcript | None
    moments: tuple[Moment, ...]
    refined: dict[str, Moment]
    clips: dict[str, Clip]
    thumbnails: dict[str | None, Thumbnail]


def read_page_records(session: Session, *, video: str) -> PageRecords | None:
    """Read what is stored of `video`; None where it was never materialised.

    Args:
        session: A session that sees one moment of the database.
        video: The video's business identifier.
    """
    partition = MOMENTS.partition(video)
    stored = VideoRows().read(session, partition)
    if stored is None:
        return None
    moments = RootMomentRows().read(session, partition)
    refined = RefinedMomentRows().read(session, partition)
    clips = ClipRows().read(session, partition)
    thumbnails = ThumbnailRows().read(session, partition)
    return PageRecords(
        video=stored,
        transcript=TranscriptRows().read(session, partition),
        moments=moments.moments if moments else (),
        refined={one.parent_identifier or "": one for one in (refined.moments if refined else ())},
        clips={one.moment_identifier: one for one in (clips.clips if clips else ())},
        thumbnails={
            one.clip_of_moment: one for one in (thumbnails.thumbnails if thumbnails else ())
        },
    )
