"""Storage of `moments` and `refined_moments`: rows of `moments`, written as a difference.

A moment's identifier is derived from what it is, so the difference between two materialisations
is one between two sets of identifiers: new ones are inserted, the same ones stay (with their
clip and thumbnail), and those that are gone are deleted.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db import models
from videomoments_dagster.io_managers.stored_asset import (
    StoredAsset,
    Uploads,
    locked_video,
    missing_result,
    recall,
)
from videomoments_dagster.io_managers.text_columns import TITLE_CHARACTERS, fitted
from videomoments_dagster.records import Moment, Moments
from videomoments_dagster.versions import moments_version


def _stored_moments(session: Session, *, video: str, refined: bool) -> list[Moment]:
    parent = models.Moment.__table__.alias("parent")
    rows = session.execute(
        select(models.Moment, parent.c.identifier)
        .join(models.Video, models.Video.id == models.Moment.video_id)
        .outerjoin(parent, parent.c.id == models.Moment.parent_id)
        .where(models.Video.identifier == video, models.Moment.is_refined.is_(refined))
        .order_by(models.Moment.start_time, models.Moment.end_time, models.Moment.identifier)
    )
    return [
        Moment(
            identifier=row.identifier,
            start_time=row.start_time,
            end_time=row.end_time,
            title=row.title,
            generation_model=row.generation_model or "",
            parent_identifier=parent_identifier,
            score=row.score,
            scoring_model=row.scoring_model,
            scored_at=row.scored_at,
        )
        for row, parent_identifier in rows
    ]


def _delete_missing(
    session: Session, *, video_id: int, refined: bool, wanted: Sequence[Moment]
) -> None:
    """Delete moments that are no longer wanted, and the refined children of deleted roots.

    The foreign key would only set the children's parent to NULL, and a refined moment without
    a parent means nothing to anybody.
    """
    gone = select(models.Moment.id).where(
        models.Moment.video_id == video_id,
        models.Moment.is_refined.is_(refined),
        models.Moment.identifier.not_in([moment.identifier for moment in wanted]),
    )
    session.execute(
        delete(models.Moment)
        .where(models.Moment.parent_id.in_(gone), models.Moment.is_refined.is_(True))
        .execution_options(synchronize_session=False)
    )
    session.execute(
        delete(models.Moment)
        .where(models.Moment.id.in_(gone))
        .execution_options(synchronize_session=False)
    )


def _insert_or_keep(
    session: Session,
    *,
    video_id: int,
    config_id: int,
    wanted: Sequence[Moment],
    parent_ids: dict[str, int],
) -> None:
    existing = {
        row.identifier: row
        for row in session.scalars(
            select(models.Moment).where(
                models.Moment.video_id == video_id,
                models.Moment.identifier.in_([moment.identifier for moment in wanted]),
            )
        )
    }
    for moment in wanted:
        title = fitted(moment.title, TITLE_CHARACTERS)
        parent_id = parent_ids.get(moment.parent_identifier or "")
        row = existing.get(moment.identifier)
        if row is None:
            session.add(
                models.Moment(
                    identifier=moment.identifier,
                    video_id=video_id,
                    start_time=moment.start_time,
                    end_time=moment.end_time,
                    title=title,
                    is_refined=moment.parent_identifier is not None,
                    parent_id=parent_id,
                    generation_model=moment.generation_model,
                    generation_config_id=config_id,
                    score=moment.score,
                    scoring_model=moment.scoring_model,
                    scored_at=moment.scored_at,
                )
            )
            continue
        # Its identifier stands for the times; somebody may have changed the row by SQL.
        row.start_time = moment.start_time
        row.end_time = moment.end_time
        row.title = title
        # Somebody's DELETE of the root by SQL has set it to null; the root is back by now.
        row.parent_id = parent_id
        row.score = moment.score
        row.scoring_model = moment.scoring_model
        row.scored_at = moment.scored_at
    session.flush()


def _selected_config_ids(session: Session, *, video: str, step: str) -> tuple[int, int]:
    choice = session.scalar(
        select(models.SelectedConfig)
        .join(models.Video, models.Video.id == models.SelectedConfig.video_id)
        .where(models.Video.identifier == video)
    )
    if choice is None:
        raise missing_result(video=video, asset="generation_config", step=step)
    return choice.generation_config_id, choice.refinement_config_id


class _MomentRows(StoredAsset[Moments, Moments]):
    refined: bool

    def read(self, session: Session, *, video: str) -> Moments | None:
        """The stored moments, or None where there never were any."""
        result = recall(session, video=video, asset=self.name)
        moments = _stored_moments(session, video=video, refined=self.refined)
        if result is None and not moments:
            return None
        why = str(result.details.get("why_fewer", "")) if result is not None else ""
        return Moments(moments=tuple(moments), why_fewer=why)

    def version(self, stored: Moments) -> str:
        """Over identifiers, titles and scores."""
        return moments_version(stored)


class RootMomentRows(_MomentRows):
    """Moments as generated; clips belong to these."""

    name = "moments"
    refined = False

    def write(
        self,
        session: Session,
        *,
        video: str,
        made: Moments,
        uploads: Uploads,  # noqa: ARG002
    ) -> None:
        """Insert what is new, keep what is the same, delete what is gone."""
        video_id = locked_video(session, video=video, step=self.name).id
        generation_id, _ = _selected_config_ids(session, video=video, step=self.name)
        _delete_missing(session, video_id=video_id, refined=False, wanted=made.moments)
        _insert_or_keep(
            session,
            video_id=video_id,
            config_id=generation_id,
            wanted=made.moments,
            parent_ids={},
        )


class RefinedMomentRows(_MomentRows):
    """One child per root moment, with mended boundaries."""

    name = "refined_moments"
    refined = True

    def write(
        self,
        session: Session,
        *,
        video: str,
        made: Moments,
        uploads: Uploads,  # noqa: ARG002
    ) -> None:
        """Likewise; a child whose root has gone meanwhile is refused.

        Raises:
            ResultMissing: If a root moment is no longer stored.
        """
        video_id = locked_video(session, video=video, step=self.name).id
        _, refinement_id = _selected_config_ids(session, video=video, step=self.name)
        parent_ids = dict(
            session.execute(
                select(models.Moment.identifier, models.Moment.id).where(
                    models.Moment.video_id == video_id, models.Moment.is_refined.is_(False)
                )
            ).all()
        )
        if any(moment.parent_identifier not in parent_ids for moment in made.moments):
            raise missing_result(video=video, asset="moments", step=self.name)
        _delete_missing(session, video_id=video_id, refined=True, wanted=made.moments)
        _insert_or_keep(
            session,
            video_id=video_id,
            config_id=refinement_id,
            wanted=made.moments,
            parent_ids=parent_ids,
        )
