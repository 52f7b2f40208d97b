"""Storage of `generation_config`, `moments` and `refined_moments`.

`prompts` and `generation_configs` are shared by all videos and found by their hashes; the row of
`pipeline.selected_configs` says which two a video uses.

A moment's identifier is derived from what it is, so the difference between two materialisations
is one between two sets of identifiers: new ones are inserted, the same ones stay (with their
clip and thumbnail), and those that are gone are deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from operator import attrgetter
from typing import Any, ClassVar

from sqlalchemy import delete, insert, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session, aliased

from db import models
from videomoments_dagster.base.fingerprints import digest
from videomoments_dagster.core.partition import Partition
from videomoments_dagster.core.storage import (
    WHOLE,
    AssetStorage,
    Uploads,
    missing_result,
    recall,
)
from videomoments_dagster.core.text_columns import TITLE_CHARACTERS, fitted
from videomoments_dagster.moments.identity import (
    config_hash,
    configs_version,
    moments_version,
    prompt_hash,
    scoring_version,
)
from videomoments_dagster.moments.records import (
    GenerationConfig,
    Moment,
    Moments,
    Prompt,
    ScoringConfig,
    SelectedConfigs,
    of_row,
)
from videomoments_dagster.moments.storage.video_rows import locked_video

FINDING, REFINING = "finding", "refining"
"""Parts of the configs that others are made from."""

PLACES, TITLES = "places", "titles"
"""Parts of moments that others are made from."""


def prompt_id(session: Session, prompt: Prompt) -> int:
    """The id of the row for `prompt`, inserted if there is none yet; race-free."""
    row, hashed = models.Prompt, prompt_hash(prompt)
    session.execute(
        postgresql.insert(row)
        .values(**asdict(prompt), prompt_hash=hashed)
        .on_conflict_do_nothing(index_elements=[row.prompt_hash])
    )
    return session.scalars(select(row.id).where(row.prompt_hash == hashed)).one()


def is_stored(session: Session, config: GenerationConfig) -> bool:
    """Whether there is a row for `config`."""
    row = models.GenerationConfig
    known = select(row.id).where(row.config_hash == config_hash(config))
    return session.scalar(known) is not None


def config_id(session: Session, config: GenerationConfig, *, transcript_id: int | None) -> int:
    """The id of the row for `config`, inserted if there is none yet; race-free.

    A row that names no transcript is given `transcript_id`; one that names another video's
    keeps it, since the config is shared.
    """
    row, values = models.GenerationConfig, asdict(config)
    del values["prompt"]
    same = row.config_hash == config_hash(config)
    session.execute(
        postgresql.insert(row)
        .values(
            **values,
            prompt_id=prompt_id(session, config.prompt),
            transcript_id=transcript_id,
            config_hash=config_hash(config),
        )
        .on_conflict_do_nothing(index_elements=[row.config_hash])
    )
    without = update(row).where(same, row.transcript_id.is_(None))
    session.execute(without.values(transcript_id=transcript_id))
    return session.scalars(select(row.id).where(same)).one()


class GenerationConfigRows(AssetStorage[SelectedConfigs, SelectedConfigs]):
    """Two shared configs, and the video's choice of them."""

    name = "generation_config"

    def write(
        self,
        session: Session,
        partition: Partition,
        made: SelectedConfigs,
        uploads: Uploads,  # noqa: ARG002
    ) -> None:
        """Get or create both configs, and note that this video uses them."""
        video_id = locked_video(session, partition, step=self.name)
        transcript_id = session.scalar(
            select(models.Transcript.id).where(models.Transcript.video_id == video_id)
        )
        # All videos take shared rows in the order of their hashes, prompts first, so that two that
        # write at once never wait for each other.
        both = sorted((made.generation, made.refinement), key=config_hash)
        for prompt in sorted((config.prompt for config in both), key=prompt_hash):
            prompt_id(session, prompt)
        ids = {one: config_id(session, one, transcript_id=transcript_id) for one in both}
        values = {
            "generation_config_id": ids[made.generation],
            "refinement_config_id": ids[made.refinement],
            "profile": made.profile,
            "max_shift_seconds": made.max_shift_seconds,
            "scoring": asdict(made.scoring),
        }
        session.execute(
            postgresql.insert(models.SelectedConfig)
            .values(video_id=video_id, **values)
            .on_conflict_do_update(index_elements=[models.SelectedConfig.video_id], set_=values)
        )

    def read(self, session: Session, partition: Partition) -> SelectedConfigs | None:
        """The video's choice, or None."""
        choice = session.scalar(
            select(models.SelectedConfig)
            .join(models.Video, models.Video.id == models.SelectedConfig.video_id)
            .where(models.Video.identifier == partition.key)
        )
        if choice is None:
            return None
        return SelectedConfigs(
            profile=choice.profile,
            generation=_config(session, choice.generation_config_id),
            refinement=_config(session, choice.refinement_config_id),
            scoring=_scoring(choice),
            max_shift_seconds=choice.max_shift_seconds,
        )

    def version(self, stored: SelectedConfigs) -> str:
        """Over both configs and the shift."""
        return configs_version(stored)

    def parts(self, stored: SelectedConfigs) -> dict[str, str]:
        """What moments are found with, and what they are refined with; both are scored."""
        scoring = scoring_version(stored.scoring)
        return {
            WHOLE: configs_version(stored),
            FINDING: digest([config_hash(stored.generation), scoring]),
            REFINING: digest([config_hash(stored.refinement), scoring, stored.max_shift_seconds]),
        }


def _scoring(choice: models.SelectedConfig) -> ScoringConfig:
    if choice.scoring is None:
        # Stored by a release that scored without a model and without a choice.
        return ScoringConfig(prompt=Prompt(user_prompt="", system_prompt=""), model="extractive")
    return ScoringConfig(**{**choice.scoring, "prompt": Prompt(**choice.scoring["prompt"])})


def _config(session: Session, identity: int) -> GenerationConfig:
    row, prompt = session.execute(
        select(models.GenerationConfig, models.Prompt)
        .join(models.Prompt, models.Prompt.id == models.GenerationConfig.prompt_id)
        .where(models.GenerationConfig.id == identity)
    ).one()
    return of_row(GenerationConfig, row, prompt=of_row(Prompt, prompt))


class _MomentRows(AssetStorage[Moments, Moments]):
    is_refined: ClassVar[bool]

    def write(
        self,
        session: Session,
        partition: Partition,
        made: Moments,
        uploads: Uploads,  # noqa: ARG002
    ) -> Moments:
        """Insert what is new, keep what is the same, delete what is gone.

        Raises:
            ResultMissing: If the video's config, or the root of a refined moment, is not stored.
        """
        video_id = locked_video(session, partition, step=self.name)
        choice = session.get(models.SelectedConfig, video_id)
        if choice is None:
            raise missing_result(partition, asset="generation_config", step=self.name)
        every = select(models.Moment).where(models.Moment.video_id == video_id)
        of_video = {one.identifier: one for one in session.scalars(every)}
        roots = {key: row.id for key, row in of_video.items() if not row.is_refined}
        if self.is_refined and any(one.parent_identifier not in roots for one in made.moments):
            raise missing_result(partition, asset="moments", step=self.name)
        wanted = {
            one.identifier: replace(one, title=fitted(one.title, TITLE_CHARACTERS))
            for one in made.moments
        }
        stored = {key: row for key, row in of_video.items() if row.is_refined == self.is_refined}
        gone = [row.id for key, row in stored.items() if key not in wanted]
        if gone:
            # The foreign key would only set the parent of a deleted root's children to NULL, and a
            # refined moment without a parent means nothing to anybody.
            row = models.Moment
            session.execute(delete(row).where(row.parent_id.in_(gone), row.is_refined.is_(True)))
            session.execute(delete(row).where(row.id.in_(gone)))
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
        by_time = attrgetter("start_time", "end_time", "identifier")
        return Moments(tuple(sorted(wanted.values(), key=by_time)), why_fewer=made.why_fewer)

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
        moments = tuple(
            of_row(
                Moment,
                row,
                parent_identifier=parent_identifier,
                generation_model=row.generation_model or "",
            )
            for row, parent_identifier in rows
        )
        if note is None and not moments:
            return None
        return Moments(moments, why_fewer=str(note.details.get("why_fewer", "")) if note else "")

    def version(self, stored: Moments) -> str:
        """Over identifiers, titles and scores."""
        return moments_version(stored)

    def parts(self, stored: Moments) -> dict[str, str]:
        """The times, from which clips are cut, and the titles, which are refined with them."""
        moments = stored.moments
        return {
            WHOLE: moments_version(stored),
            PLACES: digest([[one.identifier, one.start_time, one.end_time] for one in moments]),
            TITLES: digest([[one.identifier, one.title] for one in moments]),
        }


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
    columns = asdict(moment)
    del columns["identifier"], columns["parent_identifier"]
    parent_id = roots.get(moment.parent_identifier or "")
    return {**columns, "parent_id": parent_id}
