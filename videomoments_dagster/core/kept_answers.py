"""Answers of language models, kept so that a run that died asks only for what is missing.

Belongs here: the rows of `pipeline.kept_answers`. Does not belong here: what a key is made of or
what an answer means.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from db.models.moments.video import Video
from db.models.pipeline.kept_answer import KeptAnswer


def kept_answers(
    session: Session, *, video: str, keys: Collection[str], since: datetime | None = None
) -> dict[str, Any]:
    """The answers that are kept for a video under some of these keys.

    Args:
        session: A session.
        video: Identifier of the video.
        keys: Keys to look for.
        since: Only answers from then on, UTC without zone; None for any age.
    """
    wanted = (
        select(KeptAnswer.key, KeptAnswer.answer)
        .join(Video, Video.id == KeptAnswer.video_id)
        .where(Video.identifier == video, KeptAnswer.key.in_(keys))
    )
    if since is not None:
        wanted = wanted.where(KeptAnswer.created_at >= since)
    return dict(session.execute(wanted).all())


def keep_answer(session: Session, *, video: str, key: str, answer: Any, at: datetime) -> None:
    """Keep an answer, in place of one that is there; of a video that is gone, nothing is kept."""
    session.execute(
        insert(KeptAnswer)
        .from_select(
            ["video_id", "key", "answer", "created_at"],
            select(
                Video.id,
                literal(key),
                literal(answer, KeptAnswer.answer.type),
                literal(at, KeptAnswer.created_at.type),
            ).where(Video.identifier == video),
        )
        .on_conflict_do_update(
            index_elements=[KeptAnswer.video_id, KeptAnswer.key],
            set_={"answer": answer, "created_at": at},
        )
    )


def forget_answers(session: Session, *, before: datetime, at_most: int = 10_000) -> int:
    """Delete answers that came before a time, UTC without zone, `at_most` at a time.

    Returns:
        How many were deleted.
    """
    old = (
        select(KeptAnswer.video_id, KeptAnswer.key)
        .where(KeptAnswer.created_at < before)
        .order_by(KeptAnswer.created_at)
        .limit(at_most)
        .subquery()
    )
    gone = (
        delete(KeptAnswer)
        .where(KeptAnswer.video_id == old.c.video_id, KeptAnswer.key == old.c.key)
        .returning(literal(1))
        .cte("gone")
    )
    return session.scalar(select(func.count()).select_from(gone)) or 0
