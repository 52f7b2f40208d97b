"""Text from outside reaches the database as values, whatever it looks like."""

import re
from pathlib import Path

import pytest
from sqlalchemy import text

from db.session import Database
from videomoments_dagster.base.failures import IdentifierRejected
from videomoments_dagster.cli.video_commands import list_document, show_document
from videomoments_dagster.moments.records import Source
from videomoments_dagster.moments.registration import register, registered_source, source_at
from videomoments_dagster.moments.search import search_transcripts

HOSTILE = [
    "'; DROP TABLE videos CASCADE; --",
    "'); DELETE FROM pipeline.sources; --",
    "\\'; SELECT pg_sleep(60); --",
    "$$; DROP SCHEMA pipeline CASCADE; $$",
    "%(identifier)s :asked {} %s %%",
    '" OR ""="',
]
SOURCES = [Path(__file__).parents[3] / name for name in ("db", "videomoments_dagster")]


def tables(database: Database) -> set[str]:
    with database.read() as session:
        names = session.scalars(
            text(
                "SELECT table_schema || '.' || table_name FROM information_schema.tables "
                "WHERE table_schema IN ('public', 'pipeline')"
            )
        )
        return set(names)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_looks_like_sql_is_kept_as_it_is(migrated_database: Database, hostile: str) -> None:
    before = tables(migrated_database)
    source = Source(
        identifier="talk",
        location=f"/films/{hostile}.mp4",
        title=hostile,
        captions=f"/films/{hostile}.srt",
        transcription_engine=hostile,
        profile=hostile,
    )
    with migrated_database.transaction() as session:
        register(session, source)
    with migrated_database.read() as session:
        assert registered_source(session, identifier="talk") == source
        assert source_at(session, location=source.location) == source
        assert registered_source(session, identifier=hostile) is None
        assert search_transcripts(session, hostile) == []
    assert show_document(migrated_database, "talk")["title"] == hostile
    assert [video["title"] for video in list_document(migrated_database)] == [hostile]
    with pytest.raises(IdentifierRejected):
        show_document(migrated_database, hostile)
    assert tables(migrated_database) == before


def test_no_statement_is_put_together_from_text() -> None:
    made = re.compile(
        r"""(\btext|\bexecute|exec_driver_sql|literal_column)\(\s*(f["']|[^()]*["']\s*(%|\+)\s)"""
    )
    found = [
        f"{path.name}: {match[0]}"
        for folder in SOURCES
        for path in folder.rglob("*.py")
        for match in made.finditer(path.read_text())
    ]
    # Placeholders alone, as many as there are settings.
    assert found == ['session.py: execute(\n            "SELECT " + ']
