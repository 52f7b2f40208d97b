"""Which videos need a run: the queries say what their rows, looked at one by one, say."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from imitated_runs import JOB_ASSETS
from sqlalchemy import text

from db.session import Database
from videomoments_dagster.definitions import build_definitions  # noqa: F401 - registers all assets
from videomoments_dagster.moments.backlog import Which, registered_videos
from videomoments_dagster.moments.system import MOMENTS

ASSETS = sorted(JOB_ASSETS["full"])


@pytest.mark.parametrize("seed", range(4))
def test_the_videos_found_are_those_that_lack_something_or_whose_last_run_failed(
    migrated_database: Database, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311
    created: dict[str, str] = {}
    whole: Counter[str] = Counter()
    stale: set[str] = set()
    last: dict[str, tuple[str, int, str]] = {}
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
            created[name] = given["at"]
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
                    made_from = "f" if chance.random() < 0.97 else ""
                    whole[name] += bool(made_from)
                    is_stale = chance.random() < 0.02
                    current = MOMENTS.assets[asset].code_version
                    version = chance.choice([current] * 50 + ["", "0", "9"])
                    if is_stale or version not in ("", current):
                        stale.add(name)
                    session.execute(
                        text(
                            "INSERT INTO pipeline.materialisations "
                            "(system, partition_key, asset, fingerprint, data_version, is_stale, "
                            "code_version) SELECT 'moments', identifier, :asset, :made_from, 'd', "
                            ":is_stale, :version FROM videos WHERE id = :video"
                        ),
                        {
                            "video": video,
                            "asset": asset,
                            "made_from": made_from,
                            "is_stale": is_stale,
                            "version": version,
                        },
                    )
            for run in range(chance.randrange(3)):
                status = chance.choice(["completed", "failed", "partial", "running"])
                at = f"2026-02-0{1 + chance.randrange(2)}"
                # Of two that began at once, the later row is the later run.
                last[name] = max(last.get(name, ("", 0, "")), (at, run, status))
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
                        "status": status,
                        "at": at,
                    },
                )
    newest = sorted(sorted(created), key=lambda name: created[name], reverse=True)
    missing = [name for name in newest if whole[name] < len(ASSETS)]
    failed = [name for name in newest if name in last and last[name][2] in ("failed", "partial")]

    def found(which: Which) -> list[str]:
        return registered_videos(migrated_database, which, job="full")

    assert found("all") == newest
    assert found("missing") == missing
    assert found("failed") == failed
    assert found("stale") == [name for name in newest if name in stale]
    assert stale
    unfinished = found("unfinished")
    assert unfinished == [name for name in newest if name in {*missing, *stale, *failed}]
    assert 5 < len(unfinished) < 40
