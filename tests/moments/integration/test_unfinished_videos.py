"""Which videos need a run: the short question and the long one have the same answer."""

from __future__ import annotations

import random

import pytest
from imitated_runs import JOB_ASSETS
from sqlalchemy import text

from db.session import Database
from videomoments_dagster.moments.backlog import states_of, unfinished, videos_to_finish

ASSETS = sorted(JOB_ASSETS["full"])


@pytest.mark.parametrize("seed", range(4))
def test_the_schedule_finds_the_videos_that_the_states_say_are_unfinished(
    migrated_database: Database, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311
    with migrated_database.transaction() as session:
        session.execute(
            text(
                "INSERT INTO prompts (user_prompt, system_prompt, prompt_hash) VALUES ('', '', 'p')"
            )
        )
        session.execute(
            text(
                "INSERT INTO generation_configs (prompt_id, model, operation_type, config_hash) "
                "SELECT id, 'm', 'generation', 'c' FROM prompts"
            )
        )
        for number in range(40):
            name = f"video-{number}"
            given = {"name": name, "at": f"2026-01-{1 + number % 9:02d}"}
            session.execute(
                text(
                    "INSERT INTO pipeline.sources (identifier, location, created_at) "
                    "VALUES (:name, :name, :at)"
                ),
                given,
            )
            if chance.random() < 0.2:
                continue
            video = session.scalar(
                text(
                    "INSERT INTO videos (identifier, cloud_url) VALUES (:name, :name) RETURNING id"
                ),
                given,
            )
            for asset in ASSETS:
                if chance.random() < 0.95:
                    session.execute(
                        text(
                            "INSERT INTO pipeline.materialisations "
                            "(system, partition_key, asset, fingerprint, data_version, details) "
                            "SELECT 'moments', identifier, :asset, :made_from, 'd', '{}' "
                            "FROM videos WHERE id = :video"
                        ),
                        {
                            "video": video,
                            "asset": asset,
                            "made_from": "f" if chance.random() < 0.97 else "",
                        },
                    )
            for run in range(chance.randrange(3)):
                session.execute(
                    text(
                        "INSERT INTO pipeline_history "
                        "(identifier, video_id, generation_config_id, pipeline_type, status, "
                        "started_at) "
                        "SELECT :run, :video, id, 'full', :status, :at FROM generation_configs"
                    ),
                    {
                        "run": f"pipeline:{name}:{run}",
                        "video": video,
                        "status": chance.choice(["completed", "failed", "partial", "running"]),
                        "at": f"2026-02-0{1 + chance.randrange(2)}",
                    },
                )
    found = videos_to_finish(migrated_database, job="full")
    assert found == unfinished(states_of(migrated_database, job="full"))
    assert 5 < len(found) < 40
