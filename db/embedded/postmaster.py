"""The server itself: making its data folder, starting it, finding it, stopping it.

Belongs here: running PostgreSQL's programs and looking at its process. Does not belong here: who
uses the server and when it may stop (`db.embedded.server`). All of it is called by one process at
a time, under the start lock.

Whether the server runs is found out by connecting, never from its pid file alone: after a crash
the number in there may be a zombie that nobody reaps, or by now some other process.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from db.embedded import binaries
from db.embedded.binaries import Binaries
from db.embedded.placement import Placement
from db.errors import EmbeddedServerFailed

SUPERUSER = "postgres"

_INITDB_SECONDS = 180
# Recovery after a crash is part of starting.
_START_SECONDS = 120
_STOP_SECONDS = 30
_ORPHAN_SECONDS = 10
_LARGEST_LOG_BYTES = 4 * 1024 * 1024

_SETTINGS = {
    # Nothing but the socket, in a folder that only its user can enter.
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "max_wal_size": "256MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "logging_collector": "off",
    "jit": "off",
}
# For servers whose data is thrown away.
_NOT_DURABLE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


class Postmaster:
    """The PostgreSQL server of one placement."""

    def __init__(self, placement: Placement, *, durable: bool) -> None:
        """Describe the server; nothing is started.

        Args:
            placement: Where it lives and whom it runs as.
            durable: Whether its data survives a crash of the machine. A server that is running
                already stays as it was started.
        """
        self.placement = placement
        self.durable = durable

    def connect(self, *, timeout_seconds: int = 5) -> Any:
        """Connect to the running server in autocommit, as a psycopg2 connection.

        Raises:
            psycopg2.OperationalError: It does not run, or not yet.
        """
        connection = psycopg2.connect(
            host=str(self.placement.sockets),
            user=SUPERUSER,
            dbname="postgres",
            connect_timeout=timeout_seconds,
            options="-c statement_timeout=60s",
            application_name="videomoments-embedded",
        )
        connection.autocommit = True
        return connection

    def ensure_running(self) -> Any:
        """Give a connection to the server, which is made and started where need be.

        Raises:
            EmbeddedServerFailed: It cannot be made or started, or hangs.
        """
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                return self._verified(self.connect())
            except psycopg2.OperationalError as error:
                process = self.process()
                if process is None:
                    break
                # Between start and readiness, or between the request to stop and the end.
                if time.monotonic() > deadline:
                    raise EmbeddedServerFailed(
                        f"The embedded database (process {process.pid}) does not answer:"
                        f" {str(error).splitlines()[0]}",
                        remedy=f"See {self.placement.log}, end that process, and try again",
                    ) from error
                time.sleep(0.05)
        self._initialise()
        self._clear_remains()
        self._start()
        try:
            return self._verified(self.connect(timeout_seconds=30))
        except psycopg2.OperationalError as error:
            raise self._failed("was started and does not answer", str(error)) from error

    def process(self) -> psutil.Process | None:
        """Give the living server process of this data folder, if there is one."""
        try:
            pid = int((self.placement.data / "postmaster.pid").read_text().splitlines()[0])
            process = psutil.Process(pid)
        except (OSError, ValueError, IndexError, psutil.NoSuchProcess):
            return None
        return process if self._works_here(process) else None

    def stop(self) -> bool:
        """Stop the server, ending its connections; give whether it is down."""
        process = self.process()
        if process is None:
            return True
        for order, patience_seconds in ((signal.SIGINT, _STOP_SECONDS), (signal.SIGQUIT, 10)):
            try:
                process.send_signal(order)
            except psutil.NoSuchProcess:
                return True
            deadline = time.monotonic() + patience_seconds
            while time.monotonic() < deadline:
                # Gone, or a zombie: nobody but its parent can do more about that.
                if not self._works_here(process):
                    return True
                time.sleep(0.01)
        return False

    def _works_here(self, process: psutil.Process) -> bool:
        """Whether a process is alive and has this data folder as its working directory.

        Every process of a PostgreSQL server has; a process that merely got the same number
        after a crash has not.
        """
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            return Path(process.cwd()).resolve() == self.placement.data.resolve()
        except psutil.AccessDenied:
            return process.name().startswith("postgres")
        except (psutil.NoSuchProcess, psutil.ZombieProcess, OSError):
            return False

    def _verified(self, connection: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('data_directory')")
            data = Path(cursor.fetchone()[0])
        if data.resolve() != self.placement.data.resolve():
            connection.close()
            raise EmbeddedServerFailed(
                f"The server at {self.placement.sockets} serves {data}, not {self.placement.data}",
                remedy="Stop that server, or set VIDEOMOMENTS_HOME to another folder",
            )
        return connection

    def _initialise(self) -> None:
        """Make the data folder, under another name until it is complete."""
        data, user = self.placement.data, self.placement.user
        if (data / "PG_VERSION").exists():
            return
        making = self.placement.state / "data.making"
        for locale in ("C.UTF-8", "C"):
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir(mode=0o700)
            if not user.is_caller:
                os.chown(making, user.uid, user.gid)
            done = self._run(
                "initdb",
                "--pgdata=data.making",
                f"--username={SUPERUSER}",
                "--auth=trust",
                "--encoding=UTF8",
                f"--locale={locale}",
                "--no-instructions",
                *([] if self.durable else ["--no-sync"]),
                timeout_seconds=_INITDB_SECONDS,
            )
            if done.returncode == 0:
                making.replace(data)
                return
            if "locale" not in done.stderr:
                break
        raise self._failed("could not be initialised", done.stderr)

    def _clear_remains(self) -> None:
        """Take away what a killed server left behind and what would keep a new one from starting.

        PostgreSQL takes any living process with the recorded number for itself, a zombie
        included. Its own warning against removing the pid file is about orphaned backends that
        still write: those are waited for first.
        """
        pid_file = self.placement.data / "postmaster.pid"
        sockets = self.placement.sockets
        remains = [pid_file, sockets / ".s.PGSQL.5432", sockets / ".s.PGSQL.5432.lock"]
        if not any(path.exists() for path in remains):
            return
        for order in (None, signal.SIGTERM, signal.SIGKILL):
            orphans = [one for one in psutil.process_iter() if self._works_here(one)]
            if order is not None:
                for orphan in orphans:
                    orphan.send_signal(order)
            deadline = time.monotonic() + _ORPHAN_SECONDS
            while any(self._works_here(one) for one in orphans):
                if time.monotonic() > deadline:
                    break
                time.sleep(0.02)
            else:
                break
        for path in remains:
            path.unlink(missing_ok=True)

    def _start(self) -> None:
        log, user = self.placement.log, self.placement.user
        if log.exists() and log.stat().st_size > _LARGEST_LOG_BYTES:
            os.truncate(log, 0)
        log.touch(mode=0o600)
        if not user.is_caller:
            os.chown(log, user.uid, user.gid)
        settings = {
            **_SETTINGS,
            **({} if self.durable else _NOT_DURABLE),
            "unix_socket_directories": str(self.placement.sockets),
        }
        # pg_ctl hands its options to a shell: no value here has a space or a quote, and the data
        # folder, which may, travels in PGDATA.
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        done = self._run(
            "pg_ctl",
            "start",
            "--silent",
            "--wait",
            f"--timeout={_START_SECONDS}",
            f"--log={log.name}",
            f"--options={options}",
            timeout_seconds=_START_SECONDS + 30,
        )
        if done.returncode != 0:
            raise self._failed("did not start", done.stderr)

    def _run(
        self, program: str, *arguments: str, timeout_seconds: int
    ) -> subprocess.CompletedProcess[str]:
        state, user = self.placement.state, self.placement.user
        try:
            return subprocess.run(
                [self._binaries().folder / program, *arguments],
                cwd=state,
                env={
                    "PATH": "/usr/bin:/bin",
                    "LC_ALL": "C",
                    # Spares initdb a search through all time zones.
                    "TZ": "UTC",
                    "PGDATA": str(self.placement.data),
                },
                stdin=subprocess.DEVNULL,
                # Pipes would stay open for as long as the server, which inherits them, runs.
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
                timeout=timeout_seconds,
                umask=0o077,
                **user.subprocess_options(),
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise self._failed(f"failed at {program}", str(error)) from error

    def _binaries(self) -> Binaries:
        chosen = binaries.for_data(self.placement.data)
        if self.placement.user.reaches(chosen.folder):
            return chosen
        into = self.placement.state / "binaries"
        into.mkdir(mode=0o755, exist_ok=True)
        into.chmod(0o755)
        return binaries.copied_out(chosen, into)

    def _failed(self, what: str, said: str) -> EmbeddedServerFailed:
        try:
            logged = self.placement.log.read_text(errors="replace").splitlines()
        except OSError:
            logged = []
        fatal = [line for line in logged[-20:] if "FATAL" in line]
        complaints = fatal or [line for line in said.splitlines() if line.strip()]
        detail = f": {complaints[-1].strip()}" if complaints else ""
        return EmbeddedServerFailed(
            f"The embedded database in {self.placement.state} {what}{detail}",
            remedy=f"See {self.placement.log}; with DATABASE_URL set, that server is used instead",
        )
