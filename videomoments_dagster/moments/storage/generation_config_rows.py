"""Storage of the `generation_config` asset: shared rows, and which of them a video selected.

`prompts` and `generation_configs` are shared by all videos and found by their hashes; the row of
`pipeline.selected_configs` says which two a video uses.
"""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from db import models
from videomoments_dagster.core.partition import Partition
from videomoments_dagster.core.storage import AssetStorage, Uploads
from videomoments_dagster.moments.identity import config_hash, prompt_hash
from videomoments_dagster.moments.records import (
    GenerationConfig,
    Prompt,
    ScoringConfig,
    SelectedConfigs,
)
from videomoments_dagster.moments.storage.video_rows import locked_video
from videomoments_dagster.moments.versions import configs_version


def prompt_id(session: Session, prompt: Prompt) -> int:
    """The id of the row for `prompt`, inserted if there is none yet; race-free."""
    hashed = prompt_hash(prompt)
    session.execute(
        insert(models.Prompt)
        .values(
            user_prompt=prompt.user_prompt,
            system_prompt=prompt.system_prompt,
            prompt_hash=hashed,
        )
        .on_conflict_do_nothing(index_elements=[models.Prompt.prompt_hash])
    )
    return session.scalars(
        select(models.Prompt.id).where(models.Prompt.prompt_hash == hashed)
    ).one()


def is_stored(session: Session, config: GenerationConfig) -> bool:
    """Whether there is a row for `config`."""
    known = select(models.GenerationConfig.id).where(
        models.GenerationConfig.config_hash == config_hash(config)
    )
    return session.scalar(known) is not None


def config_id(session: Session, config: GenerationConfig, *, transcript_id: int | None) -> int:
    """The id of the row for `config`, inserted if there is none yet; race-free.

    A row that names no transcript is given `transcript_id`; one that names another video's
    keeps it, since the config is shared.
    """
    hashed = config_hash(config)
    session.execute(
        insert(models.GenerationConfig)
        .values(
            prompt_id=prompt_id(session, config.prompt),
            transcript_id=transcript_id,
            model=config.model,
            operation_type=config.operation_type,
            temperature=config.temperature,
            top_p=config.top_p,
            top_k=config.top_k,
            min_moment_length=config.min_moment_length,
            max_moment_length=config.max_moment_length,
            min_moments=config.min_moments,
            max_moments=config.max_moments,
            config_hash=hashed,
        )
        .on_conflict_do_nothing(index_elements=[models.GenerationConfig.config_hash])
    )
    session.execute(
        update(models.GenerationConfig)
        .where(
            models.GenerationConfig.config_hash == hashed,
            models.GenerationConfig.transcript_id.is_(None),
        )
        .values(transcript_id=transcript_id)
    )
    return session.scalars(
        select(models.GenerationConfig.id).where(models.GenerationConfig.config_hash == hashed)
    ).one()


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
        ids = _config_ids(session, made, transcript_id=transcript_id)
        values = {
            "generation_config_id": ids[made.generation],
            "refinement_config_id": ids[made.refinement],
            "profile": made.profile,
            "max_shift_seconds": made.max_shift_seconds,
            "scoring": asdict(made.scoring),
        }
        session.execute(
            insert(models.SelectedConfig)
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


def _scoring(choice: models.SelectedConfig) -> ScoringConfig:
    if choice.scoring is None:
        # Stored by a release that scored without a model and without a choice.
        return ScoringConfig(prompt=Prompt(user_prompt="", system_prompt=""), model="extractive")
    return ScoringConfig(**{**choice.scoring, "prompt": Prompt(**choice.scoring["prompt"])})


def _config_ids(
    session: Session, made: SelectedConfigs, *, transcript_id: int | None
) -> dict[GenerationConfig, int]:
    """Ids of both configs.

    All videos take shared rows in the order of their hashes, prompts first, so that two that
    write at once never wait for each other.
    """
    both = sorted((made.generation, made.refinement), key=config_hash)
    for prompt in sorted((config.prompt for config in both), key=prompt_hash):
        prompt_id(session, prompt)
    return {config: config_id(session, config, transcript_id=transcript_id) for config in both}


def _config(session: Session, identity: int) -> GenerationConfig:
    row, prompt = session.execute(
        select(models.GenerationConfig, models.Prompt)
        .join(models.Prompt, models.Prompt.id == models.GenerationConfig.prompt_id)
        .where(models.GenerationConfig.id == identity)
    ).one()
    return GenerationConfig(
        prompt=Prompt(user_prompt=prompt.user_prompt, system_prompt=prompt.system_prompt),
        model=row.model,
        operation_type="refinement" if row.operation_type == "refinement" else "generation",
        temperature=row.temperature,
        top_p=row.top_p,
        top_k=row.top_k,
        min_moment_length=row.min_moment_length,
        max_moment_length=row.max_moment_length,
        min_moments=row.min_moments,
        max_moments=row.max_moments,
    )
