"""Databases of homes that the server's user cannot reach: whose they are, and when they go."""

import os
import shutil
from pathlib import Path

import pytest
from embedded_homes import OtherProcess, abandoned_in, status
from sqlalchemy import create_engine, text

from db.embedded import EmbeddedPostgres, abandoned_databases, existing_state, remove_abandoned
from db.errors import EmbeddedServerFailed

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")


@pytest.fixture
def home(closed_folder: Path) -> Path:
    return closed_folder / "home"


def _tables(home: Path, *statements: str) -> list[object]:
    """The names of the tables in a home's database, once some statements ran in it."""
    with EmbeddedPostgres(home, durable=False).running() as url:
        return _tables_at(url, *statements)


def _tables_at(url: str, *statements: str) -> list[object]:
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))
            query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            return list(connection.scalars(text(query)))
    finally:
        engine.dispose()


def _state(home: Path) -> Path:
    state = existing_state(home)
    assert state is not None
    assert not state.is_relative_to(home)
    return state


def test_a_home_made_anew_has_a_new_database_and_the_old_one_goes_when_that_is_asked(
    home: Path, closed_folder: Path
) -> None:
    assert _tables(home, "CREATE TABLE yesterdays ()") == ["yesterdays"]
    assert _tables(home) == ["yesterdays"]
    old = _state(home)
    assert abandoned_in(closed_folder) == []
    shutil.rmtree(home)
    [gone] = abandoned_in(closed_folder)
    assert f"{home} is not there" in gone.why

    assert _tables(home) == []
    assert _state(home) != old
    [replaced] = abandoned_in(closed_folder)
    assert replaced.state == old
    assert f"{home} has another database" in replaced.why

    remove_abandoned(old)
    assert not old.exists()
    assert abandoned_in(closed_folder) == []
    assert _tables(home) == []


def test_a_home_that_was_moved_keeps_its_database(home: Path, closed_folder: Path) -> None:
    _tables(home, "CREATE TABLE kept ()")
    state = _state(home)
    moved = home.rename(home.with_name("moved"))
    assert [one.state for one in abandoned_in(closed_folder)] == [state]
    assert _tables(moved) == ["kept"]
    assert abandoned_in(closed_folder) == []
    assert _tables(home) == []
    assert _tables(moved) == ["kept"]


def test_a_copy_of_a_home_does_not_get_the_database_of_the_first(home: Path) -> None:
    _tables(home, "CREATE TABLE kept ()")
    copy = home.with_name("copy")
    shutil.copytree(home, copy)
    with pytest.raises(EmbeddedServerFailed, match=f"is that of {home}") as caught:
        _tables(copy)
    location = copy / "postgres" / "location"
    assert str(location) in caught.value.remedy
    assert _tables(home) == ["kept"]
    location.unlink()
    assert _tables(copy) == []


def test_one_home_by_two_names_is_no_copy(home: Path) -> None:
    _tables(home, "CREATE TABLE kept ()")
    other_name = home.with_name("link")
    other_name.symlink_to(home)
    assert _tables(other_name) == ["kept"]
    other_name.unlink()


def test_a_home_made_by_an_earlier_release_goes_on_and_is_recorded(
    home: Path, closed_folder: Path
) -> None:
    _tables(home, "CREATE TABLE kept ()")
    state = _state(home)
    # They wrote into the home where the database is, and into the database nothing.
    (state / "home").unlink()
    [unknown] = [one for one in abandoned_databases() if one.state == state]
    assert unknown.home is None
    assert "earlier release" in unknown.why
    assert _tables(home) == ["kept"]
    assert state not in [one.state for one in abandoned_databases()]


def test_a_home_whose_database_is_gone_says_so_and_does_not_begin_with_an_empty_one(
    home: Path,
) -> None:
    _tables(home)
    state = _state(home)
    away = state.rename(state.with_name("away-" + state.name))
    with pytest.raises(EmbeddedServerFailed, match=f"{state}, which is gone") as caught:
        _tables(home)
    assert str(home / "postgres" / "location") in caught.value.remedy
    away.rename(state)
    assert _tables(home) == []


def test_two_processes_that_make_a_home_at_once_get_one_server(home: Path) -> None:
    with OtherProcess(home) as one, OtherProcess(home) as another:
        assert one.joined() == another.joined()
        assert (one.leave(), another.leave()) == (False, True)


def test_a_database_is_removed_neither_while_its_home_is_there_nor_while_it_is_used(
    home: Path, closed_folder: Path
) -> None:
    with OtherProcess(home) as user:
        url = user.joined()
        state = _state(home)
        with pytest.raises(EmbeddedServerFailed, match=f"is that of {home}"):
            remove_abandoned(state)
        shutil.rmtree(home)
        with pytest.raises(EmbeddedServerFailed, match="is in use"):
            remove_abandoned(state)
        assert _tables_at(url, "CREATE TABLE kept ()") == ["kept"]
    # It was killed, and nobody stopped the server.
    remove_abandoned(state)
    assert not state.exists()
    assert abandoned_in(closed_folder) == []


@pytest.mark.parametrize("name", ["home", "videomoments-0123456789abcdef"])
def test_what_is_no_such_database_is_never_removed(home: Path, name: str) -> None:
    folder = home.parent / name
    folder.mkdir()
    with pytest.raises(EmbeddedServerFailed, match=str(folder)):
        remove_abandoned(folder)
    assert folder.exists()


def test_a_process_whose_home_is_made_anew_goes_on_with_the_new_database(home: Path) -> None:
    server = EmbeddedPostgres(home, durable=False)
    old_url = server.acquire()
    old = _state(home)
    shutil.rmtree(home)
    new_url = server.acquire()
    assert new_url != old_url
    with OtherProcess(home) as other:
        assert other.joined() == new_url
        # The other one uses it still.
        server.release()
        assert server.release() is False
        assert other.leave() is True
    assert status(home).state == "stopped"
    # Nobody used the old one any more.
    remove_abandoned(old)
