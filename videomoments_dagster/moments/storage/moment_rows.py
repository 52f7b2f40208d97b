"""Storage of `moments` and `refined_moments`: rows of `moments`, written as a difference.

A moment's identifier is derived from what it is, so the difference between two materialisations
is one between two sets of identifiers: new ones are inserted, the same ones stay (with their
clip and thumbnail), and those that are gone are deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session, aliased

from db import models
from videomoments_dagster.core.partition import Partition
from videomoments_dagster.core.storage import AssetStorage, Uploads, missing_result, recall
from videomoments_dagster.core.text_columns import TITLE_CHARACTERS, fitted
from videomoments_dagster.moments.records import Moment, Moments
from videomoments_dagster.moments.storage.video_rows import locked_video
from videomoments_dagster.moments.versions import moments_version


class _MomentRows(AssetStorage[Moments, Moments]):
    is_refined: ClassVar[bool]

    def write(
        self,
        session: Session,
        partition: Partition,
        made: Moments,
        uploads: Uploads,  # noqa: ARG002
    ) -> None:
        """Insert what is new, keep what is the same, delete what is gone.

        Raises:
            ResultMissing: If the video's config, or the root of a refined moment, is not stored.
        """
        video_id = locked_video(session, partition, step=self.name)
        choice = session.get(models.SelectedConfig, video_id)
        if choice is None:
            raise missing_result(partition, asset="generation_config", step=self.name)
        of_video = {
            row.identifier: row
            for row in session.scalars(
                select(models.Moment).where(models.Moment.video_id == video_id)
            )
        }
        roots = {key: row.id for key, row in of_video.items() if not row.is_refined}
        if self.is_refined and any(one.parent_identifier not in roots for one in made.moments):
            raise missing_result(partition, asset="moments", step=self.name)
        wanted = {moment.identifier: moment for moment in made.moments}
        stored = {key: row for key, row in of_video.items() if row.is_refined == self.is_refined}
        gone = [row.id for key, row in stored.items() if key not in wanted]
        if gone:
            # The foreign key would only set the parent of a deleted root's children to NULL, and a
            # refined moment without a parent means nothing to anybody.
            session.execute(
                delete(models.Moment).where(
                    models.Moment.parent_id.in_(gone), models.Moment.is_refined.is_(True)
                )
            )
            session.execute(delete(models.Moment).where(models.Moment.id.in_(gone)))
        new = []
        for key, moment in wanted.items():
            values = _values(moment, roots if self.is_refined else {})
            if key in stored:
                # The identifier stands for the times, but somebody may have changed them by SQL;
                # and a DELETE of a root that is back by now has set its children's parent to NULL.
                for name, value in values.items():
                    setattr(stored[key], name, value)
            else:
                new.append({**values, "identifier": key})
        session.flush()
        if new:
            config = choice.refinement_config_id if self.is_refined else choice.generation_config_id
            of_all = {
                "video_id": video_id,
                "is_refined": self.is_refined,
                "generation_config_id": config,
            }
            session.execute(insert(models.Moment), [{**one, **of_all} for one in new])

    def read(self, session: Session, partition: Partition) -> Moments | None:
        """The stored moments, or None where there never were any."""
        note = recall(session, partition, self.name)
        parent = aliased(models.Moment)
        rows = session.execute(
            select(models.Moment, parent.identifier)
            .join(models.Video, models.Video.id == models.Moment.video_id)
            .outerjoin(parent, parent.id == models.Moment.parent_id)
            .where(
                models.Video.identifier == partition.key,
                models.Moment.is_refined.is_(self.is_refined),
            )
            .order_by(models.Moment.start_time, models.Moment.end_time, models.Moment.identifier)
        )
        moments = tuple(_moment(row, parent_identifier) for row, parent_identifier in rows)
        if note is None and not moments:
            return None
        return Moments(moments, why_fewer=str(note.details.get("why_fewer", "")) if note else "")

    def version(self, stored: Moments) -> str:
        """Over identifiers, titles and scores."""
        return moments_version(stored)


class RootMomentRows(_MomentRows):
    """Moments as generated; clips belong to these."""

    name = "moments"
    is_refined = False


class RefinedMomentRows(_MomentRows):
    """One child per root moment, with mended boundaries."""

    name = "refined_moments"
    is_refined = True


def _values(moment: Moment, roots: Mapping[str, int]) -> dict[str, Any]:
    """What the row of a moment says, but for what its identifier stands for."""
    return {
        "start_time": moment.start_time,
        "end_time": moment.end_time,
        "title": fitted(moment.title, TITLE_CHARACTERS),
        "parent_id": roots.get(moment.parent_identifier or ""),
        "generation_model": moment.generation_model,
        "score": moment.score,
        "scoring_model": moment.scoring_model,
        "scored_at": moment.scored_at,
    }


def _moment(row: models.Moment, parent_identifier: str | None) -> Moment:
    return Moment(
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
