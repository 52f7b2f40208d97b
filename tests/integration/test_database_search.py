import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from db import models
from db.queries import search, search_transcripts
from db.session import Database


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


@pytest.mark.parametrize("asked", ["", "the", "-water", "'", "\\ & | ! <-> ( : *", "nosuchword"])
def test_what_asks_for_nothing_finds_nothing(library: Database, asked: str) -> None:
    assert _found(library, asked) == []


def test_no_more_than_the_limit_is_given(library: Database) -> None:
    assert len(_found(library, "water", limit=1)) == 1


def test_the_search_uses_the_full_text_index(library: Database) -> None:
    with library.read() as session:
        session.execute(text("SET LOCAL enable_seqscan = off"))
        explain = text(f"EXPLAIN {search._SEARCH.text}")
        plan = session.execute(explain, {"asked": "water", "limit": 5})
        assert "idx_transcripts_full_text" in "\n".join(row[0] for row in plan)
