"""Storage of `moments` and `refined_moments`: rows of `moments`, written as a difference.

A moment's identifier is derived from what it is, so the difference between two materialisations
is one between two sets of identifiers: new ones are inserted, the same ones stay (with their
clip and thumbnail), and those that are gone are deleted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Row, delete, func, select, text, update
from sqlalchemy.orm import Session

from db import models
from db.base import Base
from videomoments_dagster.core.storage import StoredAsset, Uploads, missing_result, recall
from videomoments_dagster.core.text_columns import TITLE_CHARACTERS, fitted
from videomoments_dagster.moments.records import Moment, Moments
from videomoments_dagster.moments.versions import moments_version

_TABLE = Base.metadata.tables["moments"]
_SHOWN = (
    "identifier",
    "start_time",
    "end_time",
    "title",
    "generation_model",
    "score",
    "scoring_model",
    "scored_at",
)
# Statements are made once: SQLAlchemy takes longer to make one than PostgreSQL to run it.
#
# Two in one message, which saves the way there and back. They cannot be one: the second has to see
# what was written by whoever held the lock. Rows of `pipeline_history` may still be written
# meanwhile, so it is not FOR UPDATE.
_LOCKED = text(
    """
    SELECT FROM videos WHERE identifier = :identifier FOR NO KEY UPDATE;
    SELECT videos.id AS video_id, chosen.generation_config_id, chosen.refinement_config_id,
           moments.id, moments.parent_id, moments.is_refined, moments.identifier,
           moments.start_time, moments.end_time, moments.title, moments.generation_model,
           moments.score, moments.scoring_model, moments.scored_at
    FROM videos
    LEFT JOIN pipeline.selected_configs AS chosen ON chosen.video_id = videos.id
    LEFT JOIN moments ON moments.video_id = videos.id
    WHERE videos.identifier = :identifier
    """
)
# The rows as one array a column: a statement that is the same for any number of them.
_NEW = (
    "identifier",
    "start_time",
    "end_time",
    "title",
    "parent_id",
    "generation_model",
    "score",
    "scoring_model",
    "scored_at",
)
_INSERT = text(
    """
    INSERT INTO moments (identifier, start_time, end_time, title, parent_id, generation_model,
                         score, scoring_model, scored_at,
                         video_id, is_refined, generation_config_id)
    SELECT new.*, :video_id, :is_refined, :generation_config_id
    FROM unnest(CAST(:identifier AS text[]), CAST(:start_time AS float8[]),
                CAST(:end_time AS float8[]), CAST(:title AS text[]), CAST(:parent_id AS int[]),
                CAST(:generation_model AS text[]), CAST(:score AS int[]),
                CAST(:scoring_model AS text[]), CAST(:scored_at AS timestamp[])) AS new
    """
)


def _stored_moments(session: Session, *, video: str, refined: bool) -> list[Moment]:
    parent = _TABLE.alias("parent")
    rows = session.execute(
        select(parent.c.identifier.label("parent"), *(_TABLE.c[name] for name in _SHOWN))
        .select_from(_TABLE)
        .join(models.Video, models.Video.id == _TABLE.c.video_id)
        .outerjoin(parent, parent.c.id == _TABLE.c.parent_id)
        .where(models.Video.identifier == video, _TABLE.c.is_refined.is_(refined))
        .order_by(_TABLE.c.start_time, _TABLE.c.end_time, _TABLE.c.identifier)
    )
    return [_moment(row, parent=row.parent) for row in rows]


def _moment(row: Row[Any], *, parent: str | None) -> Moment:
    return Moment(
        identifier=row.identifier,
        start_time=row.start_time,
        end_time=row.end_time,
        title=row.title,
        generation_model=row.generation_model or "",
        parent_identifier=parent,
        score=row.score,
        scoring_model=row.scoring_model,
        scored_at=row.scored_at,
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where moments go: the rows of their video and of its configs, and the moments there."""

    video_id: int
    generation_config_id: int
    refinement_config_id: int
    roots: Mapping[str, Row[Any]]
    refined: Mapping[str, Row[Any]]


def _locked_place(session: Session, *, video: str, step: str) -> _Place:
    """The video's row, locked until the transaction ends, with what hangs on it."""
    # Past the ORM, which takes longer to run a statement than PostgreSQL.
    rows = session.connection().execute(_LOCKED, {"identifier": video}).all()
    if not rows:
        raise missing_result(video=video, asset="video", step=step)
    first = rows[0]
    if first.generation_config_id is None:
        raise missing_result(video=video, asset="generation_config", step=step)
    there = [row for row in rows if row.id is not None]
    return _Place(
        first.video_id,
        first.generation_config_id,
        first.refinement_config_id,
        roots={row.identifier: row for row in there if row.is_refined is False},
        refined={row.identifier: row for row in there if row.is_refined is True},
    )


def _delete(session: Session, gone: Sequence[int]) -> None:
    """Delete moments, and the refined children of deleted roots.

    The foreign key would only set the children's parent to NULL, and a refined moment without
    a parent means nothing to anybody.
    """
    session.execute(delete(_TABLE).where(_TABLE.c.parent_id.in_(gone), _TABLE.c.is_refined))
    session.execute(delete(_TABLE).where(_TABLE.c.id.in_(gone)))


def _replace(
    session: Session,
    place: _Place,
    *,
    wanted: Sequence[Moment],
    refined: bool,
    parent_ids: Mapping[str, int],
) -> list[Moment]:
    """Insert, keep and delete moments; give those that are stored then, in order of time."""
    existing = place.refined if refined else place.roots
    identifiers = {moment.identifier for moment in wanted}
    gone = [row.id for row in existing.values() if row.identifier not in identifiers]
    if gone:
        _delete(session, gone)
    stored: list[Moment] = []
    new: list[dict[str, Any]] = []
    for moment in wanted:
        # What may differ in a row of the same identifier. That stands for the times, but somebody
        # may have changed them by SQL; and their DELETE of a root, which is back by now, has set
        # its children's parent to null.
        title = fitted(moment.title, TITLE_CHARACTERS)
        values = {
            "start_time": moment.start_time,
            "end_time": moment.end_time,
            "title": title,
            "parent_id": parent_ids.get(moment.parent_identifier or ""),
            "score": moment.score,
            "scoring_model": moment.scoring_model,
            "scored_at": moment.scored_at,
        }
        row = existing.get(moment.identifier)
        if row is None:
            new.append(
                {
                    **values,
                    "identifier": moment.identifier,
                    "generation_model": moment.generation_model,
                }
            )
            # As it will be read: nothing but the title is fitted to its column.
            stored.append(replace(moment, title=title))
            continue
        if any(getattr(row, name) != value for name, value in values.items()):
            row = session.execute(
                update(_TABLE)
                .where(_TABLE.c.id == row.id)
                .values(**values, updated_at=func.now())
                .returning(*(_TABLE.c[name] for name in _SHOWN))
            ).one()
        stored.append(_moment(row, parent=moment.parent_identifier))
    if new:
        session.connection().execute(
            _INSERT,
            {
                **{name: [values[name] for values in new] for name in _NEW},
                "video_id": place.video_id,
                "is_refined": refined,
                "generation_config_id": place.refinement_config_id
                if refined
                else place.generation_config_id,
            },
        )
    return sorted(
        stored, key=lambda moment: (moment.start_time, moment.end_time, moment.identifier)
    )


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
    ) -> Moments:
        """Insert what is new, keep what is the same, delete what is gone."""
        place = _locked_place(session, video=video, step=self.name)
        stored = _replace(
            session,
            place,
            wanted=made.moments,
            refined=False,
            parent_ids={},
        )
        return Moments(moments=tuple(stored), why_fewer=made.why_fewer)


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
    ) -> Moments:
        """Likewise; a child whose root has gone meanwhile is refused.

        Raises:
            ResultMissing: If a root moment is no longer stored.
        """
        place = _locked_place(session, video=video, step=self.name)
        parent_ids = {root.identifier: root.id for root in place.roots.values()}
        if any(moment.parent_identifier not in parent_ids for moment in made.moments):
            raise missing_result(video=video, asset="moments", step=self.name)
        stored = _replace(
            session,
            place,
            wanted=made.moments,
            refined=True,
            parent_ids=parent_ids,
        )
        return Moments(moments=tuple(stored), why_fewer=made.why_fewer)
