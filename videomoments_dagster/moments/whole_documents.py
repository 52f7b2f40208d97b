"""A video's document with its whole transcript, for exports.

Belongs here: what `video_documents` leaves out because it is long. Does not belong here: any
format.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.models.moments.transcript import Transcript
from db.models.moments.video import Video
from db.models.pipeline.materialisation import Materialisation
from videomoments_dagster.moments.video_documents import Document, video_document

_MOMENTS = "moments"


def whole_video_document(session: Session, identifier: str) -> Document | None:
    """Give all that is stored of a video, or None where nobody has heard of it.

    The document of `video_document`, and beyond it: `transcript` has `full_text`, `segments`
    (text, start, end) and `words` (word, start, end), in seconds; `moments_made` is None where
    moments were never materialised, else when, and why there are fewer than asked for.

    Args:
        session: A session that sees one moment of the database.
        identifier: The video's business identifier.
    """
    document = video_document(session, identifier)
    if document is None:
        return None
    if document["transcript"] is not None:
        row = session.execute(
            select(
                Transcript.full_text,
                Transcript.segment_timestamps.label("segments"),
                Transcript.word_timestamps.label("words"),
            )
            .join(Video, Video.id == Transcript.video_id)
            .where(Video.identifier == identifier)
        ).one()
        document["transcript"] |= row._mapping  # noqa: SLF001 - the documented way to the names
    made = session.execute(
        select(Materialisation.updated_at, Materialisation.details).where(
            Materialisation.system == "moments",
            Materialisation.partition_key == identifier,
            Materialisation.asset == _MOMENTS,
        )
    ).one_or_none()
    document["moments_made"] = made and {
        "at": f"{made.updated_at.isoformat(timespec='milliseconds')}Z",
        "why_fewer": made.details.get("why_fewer") or None,
    }
    return document
