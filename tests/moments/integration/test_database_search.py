import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from db import models, schema_state
from db.session import Database
from videomoments_dagster.moments import search
from videomoments_dagster.moments.search import search_transcripts


def _add(session: Session, identifier: str, *sentences: str) -> None:
    segments = [
        {"text": sentence, "start": 10.0 * at, "end": 10.0 * at + 9.5}
        for at, sentence in enumerate(sentences)
    ]
    video = models.Video(identifier=identifier, cloud_url=f"file:///{identifier}", title="A talk")
    video.transcripts.append(
        models.Transcript(
            full_text=" ".join(sentences), word_timestamps=[], segment_timestamps=segments
        )
    )
    session.add(video)


@pytest.fixture
def library(migrated_database: Database) -> Database:
    with migrated_database.transaction() as session:
        _add(session, "gardens", "Gardens need water.", "Roses grow slowly in the shade.")
        _add(session, "oceans", "The ocean is deep.", "Ships cross the water.", "Ships sink too.")
        _add(session, "silence")
    return migrated_database


def _found(database: Database, asked: str, limit: int = 20) -> list[tuple[str, float]]:
    with database.read() as session:
        matches = search_transcripts(session, asked, limit=limit)
    return [(match.video, match.start_seconds) for match in matches]


def test_a_word_is_found_in_every_form_with_its_video_and_time(library: Database) -> None:
    with library.read() as session:
        (match,) = search_transcripts(session, "growing rose")
    assert (match.video, match.title) == ("gardens", "A talk")
    assert (match.start_seconds, match.end_seconds) == (10.0, 19.5)
    assert match.text == "Roses grow slowly in the shade."


def test_words_said_apart_are_found_where_each_is_said(library: Database) -> None:
    assert sorted(_found(library, "ocean sink")) == [("oceans", 0.0), ("oceans", 20.0)]


def test_a_segment_with_all_the_words_hides_those_with_some(library: Database) -> None:
    assert _found(library, "ships water") == [("oceans", 10.0)]


def test_an_excluded_word_excludes_its_video(library: Database) -> None:
    assert _found(library, "water -ships") == [("gardens", 0.0)]


def test_alternatives_and_phrases_are_understood(library: Database) -> None:
    assert sorted(_found(library, "roses or deep")) == [("gardens", 10.0), ("oceans", 0.0)]
    assert _found(library, '"cross the water"') == [("oceans", 10.0)]
    assert _found(library, '"water cross"') == []
    assert _found(library, '"the water ships"') == [("oceans", 10.0), ("oceans", 20.0)]
    assert _found(library, '"deep cross"') == []


@pytest.mark.parametrize("asked", ["", "the", "-water", "'", "\\ & | ! <-> ( : *", "nosuchword"])
def test_what_asks_for_nothing_finds_nothing(library: Database, asked: str) -> None:
    assert _found(library, asked) == []


def test_no_more_than_the_limit_is_given(library: Database) -> None:
    assert len(_found(library, "water", limit=1)) == 1


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (search._ANYWHERE, "idx_transcript_segments_words"),
        (search._WHERE_ALLOWED, "idx_transcripts_full_text"),
        (search._SAID_APART, "idx_transcripts_full_text"),
        (search._ACROSS_SEGMENTS, "idx_transcripts_full_text"),
    ],
)
def test_the_search_uses_the_full_text_indexes(library: Database, query, index: str) -> None:
    words = dict.fromkeys(("strict", "loose", "spread"), "'water'")
    given = {**words, "limit": 5, "ranked": 9, "looked_into": 9}
    with library.read() as session:
        session.execute(text("SET LOCAL enable_seqscan = off"))
        plan = session.execute(text(f"EXPLAIN {query.text}"), given)
        assert index in "\n".join(row[0] for row in plan)


def test_a_transcript_that_is_changed_or_deleted_by_sql_is_found_as_it_is(
    library: Database,
) -> None:
    with library.transaction() as session:
        session.execute(
            text(
                "UPDATE transcripts SET full_text = 'Now foxes.', segment_timestamps = "
                """'[{"text": "Now foxes.", "start": 1, "end": 2}, {"start": 3}]' """
                "WHERE full_text LIKE 'Gardens%'"
            )
        )
        session.execute(text("DELETE FROM videos WHERE identifier = 'oceans'"))
    assert _found(library, "fox") == [("gardens", 1.0)]
    assert _found(library, "water") == []


def test_segments_of_another_shape_do_not_stop_a_transcript_from_being_stored(
    library: Database,
) -> None:
    with library.transaction() as session:
        session.execute(
            text("UPDATE transcripts SET segment_timestamps = CAST(:shape AS jsonb)"),
            {"shape": '{"text": "not a list"}'},
        )
    assert _found(library, "water") == []


def test_transcripts_from_before_the_search_words_are_found_after_the_upgrade(
    empty_database_url: str,
) -> None:
    schema_state.upgrade(empty_database_url, "0005")
    database = Database(empty_database_url, pool_size=1)
    try:
        with database.transaction() as session:
            _add(session, "gardens", "Gardens need water.", "Roses grow slowly in the shade.")
        schema_state.upgrade(empty_database_url)
        assert _found(database, "shade") == [("gardens", 10.0)]
    finally:
        database.dispose()
