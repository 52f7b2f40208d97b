"""Every documented index, and the query that it is for, over a library of ten thousand videos.

The planner decides: nothing is switched off, so an index that it does not choose is one that nobody
needs, or a query that does not fit it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from postgres import fresh_database
from sqlalchemy import Connection, text

from db import schema_state
from db.session import new_engine
from videomoments_dagster.definitions import build_definitions  # noqa: F401 - registers all assets
from videomoments_dagster.moments import backlog

VIDEOS = 10_000
LIBRARY = """
INSERT INTO videos (identifier, cloud_url, source_url, created_at)
SELECT 'video-' || n, 'file:///v/' || n, 'https://example.org/' || n, now() - n * interval '1 hour'
FROM generate_series(1, 10000) n;
INSERT INTO transcripts (video_id, full_text, word_timestamps, segment_timestamps)
SELECT id, 'the ' || md5(id::text) || ' and ' || md5((id / 10)::text) || ' of the day', '[]', '[]'
FROM videos;
INSERT INTO prompts (user_prompt, system_prompt, prompt_hash)
SELECT 'user', 'system', 'prompt-' || n FROM generate_series(1, 2000) n;
INSERT INTO generation_configs (prompt_id, transcript_id, model, operation_type, config_hash)
SELECT p.id, (SELECT min(id) FROM transcripts) + p.id, 'model-' || p.id % 50,
       CASE WHEN p.id % 40 = 0 THEN 'refinement' ELSE 'generation' END, 'config-' || p.id
FROM prompts p;
INSERT INTO moments (identifier, title, video_id, generation_config_id, start_time, end_time,
                     is_refined, score)
SELECT 'm-' || v.id || '-' || n, 'A moment', v.id, c.id, n * 60 + v.id % 997,
       n * 60 + v.id % 997 + 30, false, CASE WHEN (v.id + n) % 20 = 0 THEN (v.id % 100) / 10.0 END
FROM videos v, generate_series(1, 10) n, (SELECT min(id) AS id FROM generation_configs) c;
INSERT INTO moments (identifier, title, video_id, generation_config_id, start_time, end_time,
                     is_refined, parent_id)
SELECT identifier || '-r', title, video_id, generation_config_id, start_time, end_time, true, id
FROM moments WHERE id % 50 = 0;
INSERT INTO clips (moment_id, video_id, cloud_url, start_time, end_time, padding_left,
                   padding_right)
SELECT id, video_id, 'file:///c/' || id, start_time, end_time, 0, 0
FROM moments WHERE NOT is_refined;
INSERT INTO thumbnails (video_id, cloud_url) SELECT id, 'file:///t/' || id FROM videos;
INSERT INTO thumbnails (clip_id, cloud_url) SELECT id, 'file:///t/c' || id FROM clips;
INSERT INTO pipeline_history (identifier, video_id, generation_config_id, pipeline_type, status,
                              started_at)
SELECT 'pipeline:' || v.id, v.id, c.first + v.id % 2000, 'full',
       CASE WHEN v.id % 200 = 0 THEN 'failed' ELSE 'completed' END,
       now() - v.id * interval '1 minute'
FROM videos v, (SELECT min(id) AS first FROM generation_configs) c;
INSERT INTO pipeline.materialisations
    (system, partition_key, asset, fingerprint, data_version, is_stale, code_version)
SELECT 'moments', identifier, asset,
       CASE WHEN id % 200 > 0 THEN repeat('f', 64) ELSE '' END, repeat('d', 64), id % 300 = 0,
       CASE WHEN asset IN ('moments', 'refined_moments', 'thumbnails') THEN '2' ELSE '1' END
FROM videos, unnest(ARRAY['video', 'transcript', 'generation_config', 'moments', 'refined_moments',
                          'clips', 'thumbnails']) AS a (asset);
INSERT INTO pipeline.sources (identifier, location) SELECT identifier, source_url FROM videos;
"""

QUERIES = {
    "idx_videos_identifier": "SELECT * FROM videos WHERE identifier = 'video-77'",
    "idx_videos_source_url": "SELECT * FROM videos WHERE source_url = 'https://example.org/77'",
    "idx_videos_created_at": "SELECT * FROM videos ORDER BY created_at DESC LIMIT 20",
    "idx_transcripts_video_id": "SELECT * FROM transcripts WHERE video_id = 77",
    "idx_transcripts_full_text": "SELECT video_id FROM transcripts WHERE "
    "to_tsvector('english', full_text) @@ websearch_to_tsquery('english', md5('77'))",
    "idx_moments_identifier": "SELECT * FROM moments WHERE identifier = 'm-77-3'",
    "idx_moments_video_id": "SELECT * FROM moments WHERE video_id = 77 AND NOT is_refined",
    "idx_moments_is_refined": "SELECT * FROM moments WHERE is_refined",
    "idx_moments_parent_id": "SELECT * FROM moments WHERE parent_id = 50",
    "idx_moments_score": "SELECT * FROM moments WHERE score IS NOT NULL "
    "ORDER BY score DESC LIMIT 20",
    "idx_moments_timestamps": "SELECT * FROM moments WHERE start_time < 61 AND end_time > 60",
    "idx_prompts_hash": "SELECT * FROM prompts WHERE prompt_hash = 'prompt-77'",
    "idx_generation_configs_hash": "SELECT * FROM generation_configs "
    "WHERE config_hash = 'config-77'",
    "idx_generation_configs_prompt_id": "SELECT * FROM generation_configs WHERE prompt_id = 77",
    "idx_generation_configs_transcript_id": "SELECT * FROM generation_configs "
    "WHERE transcript_id = 77",
    "idx_generation_configs_model": "SELECT * FROM generation_configs WHERE model = 'model-7'",
    "idx_generation_configs_operation": "SELECT * FROM generation_configs "
    "WHERE operation_type = 'refinement'",
    "idx_clips_moment_id": "SELECT * FROM clips WHERE moment_id = 77",
    "idx_clips_video_id": "SELECT * FROM clips WHERE video_id = 77",
    "idx_thumbnails_video_id": "SELECT * FROM thumbnails WHERE video_id = 77",
    "idx_thumbnails_clip_id": "SELECT * FROM thumbnails WHERE clip_id = 77",
    "idx_pipeline_history_identifier": "SELECT * FROM pipeline_history "
    "WHERE identifier = 'pipeline:77'",
    "idx_pipeline_history_video_id": "SELECT * FROM pipeline_history WHERE video_id = 77",
    "idx_pipeline_history_config_id": "SELECT * FROM pipeline_history "
    "WHERE generation_config_id = 77",
    "idx_pipeline_history_status": "SELECT * FROM pipeline_history WHERE status = 'failed'",
    "idx_pipeline_history_started_at": "SELECT * FROM pipeline_history "
    "ORDER BY started_at DESC LIMIT 20",
}
TWINS = {
    "idx_thumbnails_video_id": "idx_thumbnails_video_id_unique",
    "idx_thumbnails_clip_id": "idx_thumbnails_clip_id_unique",
}
"""Documented twice over one column: the planner may take either."""


_TABLES = """
    SELECT oid::regclass::text FROM pg_class
    WHERE relkind = 'r' AND relnamespace IN ('public'::regnamespace, 'pipeline'::regnamespace)
"""
_NOT_ALL_VISIBLE = f"{_TABLES} AND relallvisible < relpages"
_SNAPSHOTS = """
    SELECT backend_type || ': ' || query FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_xmin IS NOT NULL
"""
_VACUUM_SECONDS = 240.0


def leave_to_us(connection: Connection) -> None:
    """Keep the autovacuum daemon from the tables, so that only `vacuum` looks at them."""
    for table in connection.scalars(text(_TABLES)).all():
        connection.execute(text(f"ALTER TABLE {table} SET (autovacuum_enabled = off)"))


def vacuum(connection: Connection) -> None:
    """Vacuum until every page is known to be all visible, as index-only scans want it.

    A snapshot from before the library was there keeps pages from it, and reading the whole table is
    cheaper then. An analyze of system tables holds one, and on a busy machine for long.
    """
    deadline = time.monotonic() + _VACUUM_SECONDS
    while True:
        connection.execute(text("VACUUM ANALYZE"))
        left = connection.scalars(text(_NOT_ALL_VISIBLE)).all()
        if not left:
            return
        if time.monotonic() > deadline:
            holders = connection.scalars(text(_SNAPSHOTS)).all()
            raise AssertionError(f"{left} are not all visible; snapshots are held by {holders}")
        time.sleep(0.5)


@pytest.fixture(scope="module")
def library(postgres_server: str) -> Iterator[Connection]:
    """Ten thousand videos with a hundred thousand moments and clips."""
    with fresh_database(postgres_server) as url:
        schema_state.upgrade(url)
        engine = new_engine(url, pool_size=1)
        with engine.begin() as connection:
            leave_to_us(connection)
            for statement in LIBRARY.split(";\n"):
                if statement.strip():
                    connection.execute(text(statement))
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            vacuum(connection)
            yield connection
        engine.dispose()


@pytest.mark.parametrize("index", sorted(QUERIES))
def test_the_query_that_an_index_is_for_uses_it(library: Connection, index: str) -> None:
    plan = "\n".join(library.scalars(text(f"EXPLAIN {QUERIES[index]}")))
    assert index in plan or TWINS.get(index, index) in plan, plan


def test_every_documented_index_has_a_query(library: Connection) -> None:
    there = library.scalars(
        text(
            "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' AND indexname LIKE 'idx%'"
        )
    )
    assert set(there) == set(QUERIES) | set(TWINS.values())


@pytest.mark.parametrize(
    "index",
    [
        "pk_materialisations",
        "idx_materialisations_partial",
        "idx_materialisations_stale",
        "idx_materialisations_code_version",
    ],
)
def test_the_search_for_unfinished_videos_reads_indexes_of_what_there_is(
    library: Connection, index: str
) -> None:
    query = text(f"EXPLAIN {backlog._QUERIES['unfinished'].text}")
    plan = "\n".join(library.scalars(query, backlog._of_job("full")))
    assert index in plan, plan
    assert "Seq Scan on materialisations" not in plan, plan
