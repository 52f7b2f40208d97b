import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg2
import pytest
from embedded_homes import OtherProcess, environment, status

from db.embedded import EmbeddedPostgres, failure_at
from db.embedded.placement import place
from db.embedded.postmaster import Postmaster
from db.errors import EmbeddedServerFailed
from db.urls import normalised, rendered


def _server(home: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(home, durable=False)


def _run(url: str, statement: str) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(rendered(normalised(url).set(drivername="postgresql")))
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def test_the_last_process_to_leave_stops_the_server(embedded_home: Path) -> None:
    server = _server(embedded_home)
    url = server.acquire()
    with OtherProcess(embedded_home) as other:
        assert other.joined() == url
        assert server.release() is False
        assert _run(url, "SELECT 1") == [(1,)]
        assert other.leave() is True
    assert status(embedded_home).state == "stopped"


def test_two_processes_that_make_it_at_once_get_one_server(new_embedded_home: Path) -> None:
    with OtherProcess(new_embedded_home) as one, OtherProcess(new_embedded_home) as another:
        assert one.joined() == another.joined()
        assert (one.leave(), another.leave()) == (False, True)


def test_a_killed_process_leaves_a_server_that_the_next_one_joins(embedded_home: Path) -> None:
    with OtherProcess(embedded_home) as other:
        url = other.joined()
        _run(url, "DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT 1 AS n")
        before = status(embedded_home)
        other.kill()
    server = _server(embedded_home)
    with server.running() as again:
        assert again == url
        assert status(embedded_home) == before
        assert _run(url, "TABLE kept") == [(1,)]
    assert status(embedded_home).state == "stopped"


def _kill_server(home: Path) -> None:
    pid = status(home).pid
    assert pid is not None
    for member in (psutil.Process(pid), *psutil.Process(pid).children()):
        # The others end by themselves as soon as they notice that the first is gone.
        with contextlib.suppress(psutil.NoSuchProcess):
            member.send_signal(signal.SIGKILL)


def test_a_killed_server_is_started_again_with_its_data_by_who_uses_it(
    embedded_home: Path,
) -> None:
    with EmbeddedPostgres(embedded_home).running() as url:
        _run(url, "DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT 1 AS n")
        for _ in range(2):
            _kill_server(embedded_home)
            _until(lambda: _run(url, "TABLE kept") == [(1,)])
    assert status(embedded_home).state == "stopped"


def test_a_server_that_cannot_be_started_again_says_why_today(new_embedded_home: Path) -> None:
    with _server(new_embedded_home).running():
        placement = place(new_embedded_home)
        with placement.log.open("a") as log:
            log.write("2001-01-01 FATAL:  yesterday's reason\n")
        # A server without its data must not go on with an empty database.
        placement.data.rename(placement.data.with_name("data.away"))
        _kill_orphans(placement.data.with_name("data.away"))
        _until(lambda: failure_at(str(placement.sockets)) is not None)
        failure = failure_at(str(placement.sockets))
        placement.data.with_name("data.away").rename(placement.data)
        assert "data folder" in str(failure)
        assert "yesterday" not in str(failure)
        _until(lambda: failure_at(str(placement.sockets)) is None)


def _kill_orphans(data: Path) -> None:
    pid = int((data / "postmaster.pid").read_text().splitlines()[0])
    psutil.Process(pid).send_signal(signal.SIGKILL)


def test_an_old_line_of_the_log_is_no_reason(
    embedded_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = place(embedded_home).log
    log.write_text("2001-01-01 FATAL:  yesterday's reason\n")
    failed = subprocess.CompletedProcess([], 1, "", "pg_ctl: could not start server\n")
    monkeypatch.setattr(Postmaster, "_run", lambda *_, **__: failed)
    with pytest.raises(EmbeddedServerFailed, match="could not start server") as caught:
        _server(embedded_home).acquire()
    assert "yesterday" not in str(caught.value)


def _until(true: Callable[[], bool], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(psycopg2.OperationalError):
            if true():
                return
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


@pytest.mark.parametrize("program", ["sleep", "true"], ids=["a stranger", "a zombie"])
def test_a_recorded_number_that_is_not_the_server_does_not_keep_it_from_starting(
    embedded_home: Path, program: str
) -> None:
    server = _server(embedded_home)
    with server.running():
        pid_file = place(embedded_home).data / "postmaster.pid"
        recorded = pid_file.read_text().splitlines()
        owner = pid_file.stat()
    # Of the server's own user: PostgreSQL takes such a process for itself.
    path = shutil.which(program)
    assert path is not None
    other = subprocess.Popen(place(embedded_home).user.command(path, "60"))
    try:
        if program == "true":
            while psutil.Process(other.pid).status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.01)
        pid_file.write_text("\n".join([str(other.pid), *recorded[1:]]) + "\n")
        os.chown(pid_file, owner.st_uid, owner.st_gid)
        with server.running() as url:
            assert _run(url, "SELECT 1") == [(1,)]
        assert (other.poll() is None) == (program == "sleep")
    finally:
        other.kill()
        other.wait(timeout=10)


def test_an_interrupted_initialisation_is_done_over(new_embedded_home: Path) -> None:
    half = new_embedded_home / "postgres" / "data.making"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("15\n")
    with _server(new_embedded_home).running() as url:
        assert _run(url, "SELECT 1") == [(1,)]


def test_a_forked_child_that_ends_does_not_stop_its_parents_server(embedded_home: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from db.embedded import EmbeddedPostgres\n"
        "from embedded_homes import status\n"
        "server = EmbeddedPostgres(Path(sys.argv[1]), durable=False)\n"
        "server.acquire()\n"
        "child = os.fork()\n"
        "if child == 0: sys.exit(0)\n"
        "os.waitpid(child, 0)\n"
        "print(status(Path(sys.argv[1])).state)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(embedded_home)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == ["running"], done.stderr
    # And the parent stopped it when it ended, without being asked.
    assert status(embedded_home).state == "stopped"


def test_every_acquire_wants_its_release(embedded_home: Path) -> None:
    server = _server(embedded_home)
    url = server.acquire()
    assert server.acquire("another").replace("/another?", "/videomoments?") == url
    assert server.release() is False
    assert status(embedded_home).state == "running"
    assert server.release() is True
    assert server.release() is False


def test_joining_a_running_server_takes_less_than_a_tenth_of_a_second(embedded_home: Path) -> None:
    with _server(embedded_home).running():
        best = min(_seconds_to_join(embedded_home) for _ in range(5))
    assert best < 0.1


def _seconds_to_join(home: Path) -> float:
    server = _server(home)
    started = time.perf_counter()
    with server.running():
        return time.perf_counter() - started
