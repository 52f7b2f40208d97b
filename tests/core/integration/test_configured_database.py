"""The database that assets and sensors get, in a process that nobody prepared for them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from dev_process import new_dev_home
from sqlalchemy import text

from db.errors import SchemaOutdated
from videomoments_dagster.core.configured_database import embedded_server, ready_database
from videomoments_dagster.core.settings import Settings


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with new_dev_home() as home:
        monkeypatch.setenv("VIDEOMOMENTS_HOME", str(home))
        for name in ("DATABASE_URL", "DATABASE_SYNC_URL"):
            monkeypatch.delenv(name, raising=False)
        yield home


def test_the_embedded_server_is_started_and_brought_up_to_date(home: Path) -> None:
    database = ready_database(Settings())
    try:
        with database.read() as session:
            assert session.scalar(text("SELECT count(*) FROM pipeline.inbox_entries")) == 0
    finally:
        database.dispose()
        embedded_server(str(home)).release()


def test_a_server_that_somebody_named_is_refused_in_a_sentence_and_never_migrated(
    home: Path, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    for _ in range(2):
        with pytest.raises(SchemaOutdated, match=r"has no tables yet.*videomoments db upgrade"):
            ready_database(Settings())
