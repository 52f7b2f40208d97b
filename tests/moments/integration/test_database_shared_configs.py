"""Deleting a video or a transcript by plain SQL loses nothing that other videos need."""

from collections.abc import Iterator

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812  psycopg2's class is lower case

from db.urls import normalised, rendered

VIDEOS = 3

# Three videos with a transcript, a moment, a clip, a thumbnail and a run each; all share both
# configs, which name the transcript of the first.
_SHARED = """
    INSERT INTO videos (id, identifier, cloud_url)
        SELECT n, 'v' || n, 'file:///v' || n FROM generate_series(1, 3) n;
    INSERT INTO transcripts (id, video_id, full_text, word_timestamps, segment_timestamps)
        SELECT n, n, '', '[]', '[]' FROM generate_series(1, 3) n;
    INSERT INTO prompts (id, user_prompt, system_prompt, prompt_hash) VALUES (1, '', '', 'p');
    INSERT INTO generation_configs
        (id, prompt_id, transcript_id, model, operation_type, config_hash)
        VALUES (1, 1, 1, 'm', 'generation', 'g'), (2, 1, 1, 'm', 'refinement', 'r');
    INSERT INTO pipeline.selected_configs
        SELECT n, 1, 2, 'default', 2.0 FROM generate_series(1, 3) n;
    INSERT INTO moments
        (id, identifier, video_id, start_time, end_time, title, generation_config_id)
        SELECT n, 'm' || n, n, 0, 1, 't', 1 FROM generate_series(1, 3) n;
    INSERT INTO clips
        (id, moment_id, video_id, cloud_url, start_time, end_time, padding_left, padding_right)
        SELECT n, n, n, 'c', 0, 1, 0, 0 FROM generate_series(1, 3) n;
    INSERT INTO thumbnails (clip_id, cloud_url) SELECT n, 't' FROM generate_series(1, 3) n;
    INSERT INTO pipeline_history
        (identifier, video_id, generation_config_id, pipeline_type, status, started_at)
        SELECT 'r' || n, n, 1, 'full', 'completed', now() FROM generate_series(1, 3) n;
"""


def _connect(url: str) -> Connection:
    opened = psycopg2.connect(rendered(normalised(url).set(drivername="postgresql")))
    with opened.cursor() as cursor:
        cursor.execute("SET lock_timeout = '5s'")
    opened.commit()
    return opened


@pytest.fixture
def shared(database_url: str) -> Iterator[Connection]:
    opened = _connect(database_url)
    _run(opened, _SHARED)
    yield opened
    opened.close()


def _run(connection: Connection, statements: str) -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute(statements)


def _column(connection: Connection, query: str) -> list[object]:
    with connection, connection.cursor() as cursor:
        cursor.execute(query)
        return [row[0] for row in cursor.fetchall()]


def _named_transcripts(connection: Connection) -> list[object]:
    return _column(connection, "SELECT transcript_id FROM generation_configs ORDER BY id")


def _left(connection: Connection) -> dict[str, int]:
    counts = {}
    for table in ("moments", "clips", "thumbnails", "pipeline_history", "generation_configs"):
        counts[table] = len(_column(connection, f"TABLE {table}"))
    return counts


def _what_is_left_of(videos: int) -> dict[str, int]:
    own = dict.fromkeys(("moments", "clips", "thumbnails", "pipeline_history"), videos)
    return {**own, "generation_configs": 2}


def test_deleting_a_video_hands_its_configs_to_another_video(shared: Connection) -> None:
    _run(shared, "DELETE FROM videos WHERE id = 1")
    assert _named_transcripts(shared) == [2, 2]
    assert _left(shared) == _what_is_left_of(2)


def test_deleting_a_transcript_keeps_even_its_own_videos_moments(shared: Connection) -> None:
    _run(shared, "DELETE FROM transcripts WHERE id = 1")
    assert _named_transcripts(shared) == [2, 2]
    assert _left(shared) == _what_is_left_of(VIDEOS)


def test_deleting_the_videos_one_by_one_keeps_the_configs_to_the_end(shared: Connection) -> None:
    for left in (2, 1, 0):
        _run(shared, "DELETE FROM videos WHERE id = (SELECT min(id) FROM videos)")
        assert _left(shared) == _what_is_left_of(left)
    assert _named_transcripts(shared) == [None, None]


@pytest.mark.parametrize("delete", ["DELETE FROM videos", "DELETE FROM transcripts"])
def test_deleting_several_at_once_is_as_safe(shared: Connection, delete: str) -> None:
    _run(shared, f"{delete} WHERE id <= 2")
    assert _named_transcripts(shared) == [3, 3]
    assert _left(shared)["generation_configs"] == 2
    _run(shared, delete)
    assert _named_transcripts(shared) == [None, None]


def test_a_config_that_nobody_else_uses_names_no_transcript(shared: Connection) -> None:
    _run(shared, "DELETE FROM pipeline.selected_configs WHERE video_id > 1")
    _run(shared, "DELETE FROM transcripts WHERE id = 1")
    assert _named_transcripts(shared) == [None, None]
    assert _left(shared) == _what_is_left_of(VIDEOS)


def test_transcribing_again_in_one_transaction_keeps_everything(shared: Connection) -> None:
    _run(
        shared,
        "DELETE FROM transcripts WHERE video_id = 1;"
        " INSERT INTO transcripts (video_id, full_text, word_timestamps, segment_timestamps)"
        " VALUES (1, 'again', '[]', '[]')",
    )
    assert _left(shared) == _what_is_left_of(VIDEOS)


def test_two_deletes_at_once_neither_wait_nor_fail(shared: Connection, database_url: str) -> None:
    other = _connect(database_url)
    with other.cursor() as second, shared.cursor() as first:
        second.execute("DELETE FROM videos WHERE id = 2")
        first.execute("DELETE FROM videos WHERE id = 1")
        shared.commit()
        other.commit()
    other.close()
    assert _named_transcripts(shared) == [3, 3]
    assert _left(shared) == _what_is_left_of(1)


def test_deleting_a_root_moment_keeps_its_refined_child(shared: Connection) -> None:
    _run(
        shared,
        "INSERT INTO moments (id, identifier, video_id, start_time, end_time, title, is_refined,"
        " parent_id) VALUES (9, 'child', 1, 0, 1, 't', true, 1); DELETE FROM moments WHERE id = 1",
    )
    assert _column(shared, "SELECT parent_id FROM moments WHERE identifier = 'child'") == [None]
