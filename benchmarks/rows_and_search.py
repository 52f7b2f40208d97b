"""What `make bench` says about the database: writing moments, and searching what is said.

Belongs here: a library of ten thousand videos. Does not belong here: Dagster's own tables.
"""

from __future__ import annotations

import itertools
import json
import random
import statistics
import time
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import dagster as dg
from comparison import Row, Rows, seconds_of
from installation import Installation, installation
from sqlalchemy import Connection, PoolProxiedConnection, text

VIDEOS = 10_000
MOMENTS_EACH = 10
WORDS_EACH = 5_000
WORDS_A_SEGMENT = 15
VOCABULARY = 30_000
SEARCHES = 300
_PORTION = 1_000
"""Videos written between two COPYs, so that both meet the same machine."""

_SOURCES = """
INSERT INTO pipeline.sources (identifier, location)
SELECT 'video-' || n, '/archive/' || n || '.mp4' FROM generate_series(1, :videos) n
"""
_STORED = """
INSERT INTO videos (identifier, cloud_url, title)
SELECT identifier, 'file:///objects/' || identifier, 'A talk' FROM pipeline.sources
"""
_PROMPT = "INSERT INTO prompts (user_prompt, system_prompt, prompt_hash) VALUES ('u', 's', 'h')"
_CONFIG = """
INSERT INTO generation_configs (prompt_id, model, operation_type, config_hash)
SELECT id, 'extractive', 'generation', 'c' FROM prompts
"""
_SELECTED = """
INSERT INTO pipeline.selected_configs
    (video_id, generation_config_id, refinement_config_id, profile, max_shift_seconds)
SELECT v.id, c.id, c.id, 'default', 2.0 FROM videos v, generation_configs c
"""

_MOMENTS = """
INSERT INTO moments (identifier, video_id, start_time, end_time, title, is_refined,
                     generation_config_id, generation_model, score, scoring_model, scored_at)
SELECT substr(md5(v.id || '-' || n::text), 1, 16), v.id, 60.0 * n, 60.0 * n + 45,
       'Moment ' || n || ' of ' || v.identifier, false, c.id, 'extractive', n %% 11, 'centrality',
       '2026-11-21 12:00'
FROM videos v, generation_configs c, generate_series(0, %s) n
"""


def _library(place: Installation) -> None:
    from videomoments_dagster.core.configured_database import open_database

    place.ran("db", "upgrade")
    with open_database(place.environment["DATABASE_URL"]).engine.begin() as connection:
        connection.execute(text(_SOURCES), {"videos": VIDEOS})
        for statement in (_STORED, _PROMPT, _CONFIG, _SELECTED):
            connection.execute(text(statement))


def written_rows(rows: Rows, folder: Path) -> None:
    """A hundred thousand moments by the IO manager, a video at a time, against one COPY."""
    import videomoments_dagster.definitions  # noqa: F401 - registers the assets
    from videomoments_dagster.base.fingerprints import digest
    from videomoments_dagster.core.configured_database import open_database
    from videomoments_dagster.core.io_manager import PartitionIOManager
    from videomoments_dagster.core.resources import DatabaseResource, ObjectStoreResource
    from videomoments_dagster.core.storage import Computed
    from videomoments_dagster.moments.records import Moment, Moments

    # Both wait for the disk, as they do where rows are to be kept.
    with installation(durable=True) as place:
        elsewhere = place.server.acquire(database="twin")
        twin = replace(place, environment={**place.environment, "DATABASE_URL": elsewhere})
        for one in (place, twin):
            _library(one)
        resources = dg.build_resources({}).__enter__()
        manager = PartitionIOManager(
            database=DatabaseResource(), object_store=ObjectStoreResource(root=folder.as_uri())
        )

        def write(video: str) -> None:
            moments = tuple(
                Moment(
                    identifier=digest((video, number))[:16],
                    start_time=60.0 * number,
                    end_time=60.0 * number + 45,
                    title=f"Moment {number} of {video}",
                    generation_model="extractive",
                    score=number % 11,
                    scoring_model="centrality",
                    scored_at=datetime(2026, 11, 21, 12),  # noqa: DTZ001 - stored without zone
                )
                for number in range(MOMENTS_EACH)
            )
            context = dg.OutputContext(
                asset_key=dg.AssetKey("moments"),
                partition_key=video,
                step_key="moments",
                resources=resources,
            )
            manager.handle_output(
                context,
                Computed(value=Moments(moments), fingerprint="f" * 64, data_version=video),
            )

        ours, bare, copies = 0.0, 0.0, []
        with closing(open_database(elsewhere).engine.raw_connection()) as other:
            for first in range(1, VIDEOS + 1, _PORTION):
                videos = [f"video-{number}" for number in range(first, first + _PORTION)]
                ours += seconds_of(lambda videos=videos: [write(video) for video in videos])
                copies.append(_copied(other, folder / "moments.copy"))
                bare += _barely_written(other, videos)
        with open_database(place.environment["DATABASE_URL"]).read() as session:
            there = session.scalar(text("SELECT count(*) FROM moments"))
        place.server.release()
    if there != VIDEOS * MOMENTS_EACH:
        raise SystemExit(f"{there} moments were written")
    what = f"moments of {VIDEOS:,} videos by the IO manager"
    copy = statistics.median(copies)
    rows.add(Row(what, ours, "the same rows by one COPY", copy, 25.0))
    print(
        f"psycopg2 alone, for each video only its insert and a commit: {bare:.3g} s, "
        f"{bare / copy:.1f} times COPY"
    )


def _copied(connection: PoolProxiedConnection, file: Path) -> float:
    """Seconds that one COPY of as many moments takes, indexes and foreign keys checked."""
    cursor = connection.cursor()
    if not file.exists():
        cursor.execute(_MOMENTS, (MOMENTS_EACH - 1,))
        with file.open("w") as copied:
            cursor.copy_expert("COPY moments TO STDOUT", copied)
    cursor.execute("TRUNCATE moments CASCADE")
    connection.commit()
    with file.open() as copied:
        begun = time.perf_counter()
        cursor.copy_expert("COPY moments FROM STDIN", copied)
        connection.commit()
        return time.perf_counter() - begun


def _barely_written(connection: PoolProxiedConnection, videos: list[str]) -> float:
    """Seconds that the least takes that keeps each video's moments before the next's."""
    cursor = connection.cursor()
    cursor.execute("TRUNCATE moments CASCADE")
    connection.commit()
    begun = time.perf_counter()
    for video in videos:
        cursor.execute(f"{_MOMENTS} WHERE v.identifier = %s", (MOMENTS_EACH - 1, video))
        connection.commit()
    return time.perf_counter() - begun


def _words(source: random.Random) -> list[str]:
    """A vocabulary: words of two to four syllables."""
    syllables = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
    found: dict[str, None] = {}
    while len(found) < VOCABULARY:
        found["".join(source.choices(syllables, k=source.randint(2, 4)))] = None
    return list(found)


def _say(connection: Connection, words: list[str], source: random.Random) -> None:
    """Transcripts whose words are as common as Zipf's law has it, each with a few of its own."""
    weights = list(itertools.accumulate(1 / (rank + 3) for rank in range(len(words))))
    cursor = connection.connection.cursor()
    # Indexes are quicker made than kept: as they are, but after the rows.
    cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexdef LIKE '%USING gin%'")
    indexes = [definition for (definition,) in cursor.fetchall()]
    cursor.execute("DROP INDEX idx_transcripts_full_text, pipeline.idx_transcript_segments_words")
    for video in range(1, VIDEOS + 1):
        said = source.choices(words, cum_weights=weights, k=WORDS_EACH)
        segments = [
            {
                "text": " ".join(said[at : at + WORDS_A_SEGMENT]),
                "start": at * 0.4,
                "end": (at + WORDS_A_SEGMENT) * 0.4,
            }
            for at in range(0, WORDS_EACH, WORDS_A_SEGMENT)
        ]
        cursor.execute(
            "INSERT INTO transcripts (video_id, full_text, word_timestamps, segment_timestamps) "
            "SELECT id, %s, '[]', %s FROM videos WHERE identifier = %s",
            (" ".join(said), json.dumps(segments), f"video-{video}"),
        )
    for definition in indexes:
        cursor.execute(definition)


def search(rows: Rows, folder: Path) -> None:  # noqa: ARG001 - every part gets one
    """The 95th percentile of searches for one to three words, common ones and rare ones."""
    from videomoments_dagster.core.configured_database import open_database
    from videomoments_dagster.moments.search import search_transcripts

    source = random.Random(5)  # noqa: S311
    words = _words(source)
    with installation() as place:
        _library(place)
        database = open_database(place.environment["DATABASE_URL"])
        with database.engine.begin() as connection:
            _say(connection, words, source)
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as one:
            one.execute(text("VACUUM ANALYZE"))
        times, found = [], 0
        for number in range(SEARCHES):
            # As people ask: mostly for words that are not everywhere.
            asked = [
                words[min(int(source.expovariate(1 / 3000)), VOCABULARY - 1)]
                for _ in range(1 + number % 3)
            ]
            query = f'"{" ".join(asked)}"' if number % 10 == 0 else " ".join(asked)
            begun = time.perf_counter()
            with database.read() as session:
                found += bool(search_transcripts(session, query))
            times.append((time.perf_counter() - begun) * 1000)
    if found < SEARCHES / 3:
        raise SystemExit(f"only {found} of {SEARCHES} searches found anything")
    p95 = statistics.quantiles(times, n=20)[-1]
    what = f"search over {VIDEOS:,} transcripts of {WORDS_EACH:,} words, 95th percentile"
    rows.add(Row(what, p95, "the promised limit", 50.0, 1.0, unit="ms"))
    print(f"median {statistics.median(times):.1f} ms, worst {max(times):.1f} ms, {found} found")
