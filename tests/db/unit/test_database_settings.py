from pathlib import Path

import pytest
from pydantic import ValidationError

from db.errors import UrlRejected
from db.settings import DatabaseSettings, home_folder

DOCUMENTED = {
    "database_url": "postgresql+asyncpg://postgres:postgres@localhost:5432/videomoments",
    "database_sync_url": "postgresql+psycopg2://postgres:postgres@localhost:5432/videomoments",
    "database_pool_size": 5,
    "database_max_overflow": 10,
    "database_pool_timeout": 30,
    "database_echo": False,
}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*DOCUMENTED, "videomoments_home"]:
        monkeypatch.delenv(name.upper(), raising=False)


def test_the_settings_are_the_documented_six_with_their_defaults() -> None:
    assert DatabaseSettings().model_dump() == DOCUMENTED


def test_every_setting_is_overridden_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "database_url": "postgresql://a/b",
        "database_sync_url": "postgresql://c/d",
        "database_pool_size": 7,
        "database_max_overflow": 0,
        "database_pool_timeout": 3,
        "database_echo": True,
    }
    for name, value in given.items():
        monkeypatch.setenv(name.upper(), str(value))
    assert DatabaseSettings().model_dump() == given


def test_without_a_url_the_embedded_server_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_POOL_SIZE", "7")
    monkeypatch.setenv("DATABASE_URL", "")
    assert DatabaseSettings().explicit_sync_url is None


def test_the_sync_url_wins_and_either_is_normalised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql+asyncpg://a/b")
    assert DatabaseSettings().explicit_sync_url == "postgresql+psycopg2://a/b"
    monkeypatch.setenv("DATABASE_SYNC_URL", "postgres://c/d")
    assert DatabaseSettings().explicit_sync_url == "postgresql+psycopg2://c/d"


def test_the_documented_default_counts_as_given_when_it_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", str(DOCUMENTED["database_url"]))
    assert DatabaseSettings().explicit_sync_url == DOCUMENTED["database_sync_url"]


def test_another_kind_of_database_is_refused_when_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://a/b")
    with pytest.raises(UrlRejected):
        _ = DatabaseSettings().explicit_sync_url


def test_a_pool_without_connections_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_POOL_SIZE", "0")
    with pytest.raises(ValidationError, match="database_pool_size"):
        DatabaseSettings()


def test_the_settings_do_not_show_passwords() -> None:
    assert "postgres:postgres" not in repr(DatabaseSettings(database_url="postgresql://a:pw@b/c"))


def test_the_home_is_a_folder_here_unless_it_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert home_folder() == tmp_path / ".videomoments"
    monkeypatch.setenv("VIDEOMOMENTS_HOME", "/srv/vm")
    assert home_folder() == Path("/srv/vm")
