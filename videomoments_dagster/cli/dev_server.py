"""The whole of it on one machine: the database, its migrations, and `dagster dev` on it."""

import contextlib
import json
import os
import re
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import click
from filelock import FileLock, Timeout

from db.schema_state import upgrade
from videomoments_dagster.base.failures import SettingsRejected, VideoMomentsError
from videomoments_dagster.cli.context import interrupted_by
from videomoments_dagster.cli.dagster_instance import prepare_instance, write_workspace
from videomoments_dagster.cli.tied_process import TiedProcess, kill_marked
from videomoments_dagster.core.configured_database import database_url
from videomoments_dagster.core.settings import Settings
from videomoments_dagster.webserver.guard import HOSTS_VARIABLE

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_START_SECONDS = 180.0
_POLL_SECONDS = 0.2
_NOTE = "running.json"

# For the log, not before one's eyes: the sensor's tick every few seconds, each event of each run.
_ROUTINE = (
    "SensorDaemon - INFO",
    " - dagster - DEBUG",
    "dagster-webserver - INFO",
    "Launching Dagster services",
    "Instance is configured with the following daemons",
)


class DevServerFailed(VideoMomentsError):
    """A part of the development server did not start, or ended by itself."""


def serve(settings: Settings, *, host: str, port: int) -> None:
    """Start everything, say where the UI is, and stop everything when asked to.

    Ctrl-C, SIGTERM and a closed terminal ask for it. Runs in progress are interrupted and end as
    failed.

    Args:
        settings: Where state lives.
        host: Address that the webserver listens on.
        port: Port that it listens on; 0 for any free one.

    Raises:
        DevServerFailed: A part did not start, or ended by itself; all others are stopped.
        SettingsRejected: The port is in use, or another `videomoments dev` has this home.
        DatabaseProblem: The database cannot be started, reached or migrated.
    """
    folder = settings.home_folder / "dev"
    with interrupted_by(*_SIGNALS), contextlib.suppress(KeyboardInterrupt), _only_one(folder):
        port = _checked_port(host, port)
        note = {"address": _address(host, port), "process": os.getpid()}
        (folder / _NOTE).write_text(json.dumps(note), encoding="utf-8")
        if not settings.inbox:
            # The usual folder is named to the user.
            with contextlib.suppress(OSError):
                Path(settings.inbox_root).mkdir(parents=True, exist_ok=True)
        click.echo("Starting the database ...")
        url = database_url(settings)
        upgrade(url)
        prepare_instance(settings)
        environment = {
            **os.environ,
            # Both, because the second wins where both are set.
            "DATABASE_URL": url,
            "DATABASE_SYNC_URL": url,
            "VIDEOMOMENTS_HOME": str(settings.home_folder),
            # By the name that it listens to, people may reach it.
            HOSTS_VARIABLE: ",".join(filter(None, (settings.ui_hosts, host))),
        }
        with _dagster_dev(environment, folder, host=host, port=port) as process:
            _wait_for_answer(process, f"{_address(host, port)}/server_info")
            _require_guard(_address(host, port))
            click.echo(f"\nThe UI is at {_address(host, port)}/assets - Ctrl-C stops everything.")
            click.echo(f"Videos that are put into {settings.inbox_root} are taken in.\n")
            while True:
                _pause(process)
    click.echo("Stopped.")


@contextmanager
def _dagster_dev(
    environment: dict[str, str], folder: Path, *, host: str, port: int
) -> Iterator[TiedProcess]:
    click.echo("Loading the definitions ...\nStarting the webserver and the daemon ...")
    workspace = folder / "workspace.yaml"
    write_workspace(workspace)
    # The warning names `dg dev`: the same function, in 28 packages more.
    ignored = "ignore:Function `dev_command` is superseded"
    process = TiedProcess(
        *(
            "videomoments_dagster.webserver.dev",
            "dev",
            f"--workspace={workspace}",
            f"--host={host}",
            f"--port={port}",
        ),
        environment={**environment, "PYTHONWARNINGS": ignored},
        mark=str(folder),
        log=folder / "server.log",
        routine=_ROUTINE,
    )
    try:
        yield process
    finally:
        # From here on nothing interrupts: half a stop would leave processes behind.
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        with contextlib.suppress(OSError):
            click.echo("Stopping ...")
        process.stop()


def _wait_for_answer(process: TiedProcess, url: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while _status(url) != HTTPStatus.OK:
        _pause(process)
        if time.monotonic() > deadline:
            raise DevServerFailed(
                f"the webserver did not answer within {_START_SECONDS:.0f} s",
                remedy=f"See {process.log}",
            )


def _require_guard(address: str) -> None:
    """Make sure that the guard is there: an upgrade of Dagster might start a server without it."""
    stranger = urllib.request.Request(f"{address}/server_info", headers={"Host": "a.invalid"})  # noqa: S310 - our own
    if _status(stranger) != HTTPStatus.MISDIRECTED_REQUEST:
        raise DevServerFailed(
            "the webserver answers under any name, so any web page could use it",
            remedy="Install the release of Dagster that pyproject.toml names",
        )


def _pause(process: TiedProcess) -> None:
    """Wait a little, and fail if the process has ended."""
    time.sleep(_POLL_SECONDS)
    status = process.ended()
    if status is not None:
        how = f"signal {-status}" if status < 0 else f"status {status}"
        lines = list(filter(None, process.last_lines))
        said = [*lines, *filter(re.compile(r"[\w.]*(Error|Exception): ").match, lines)][-1:]
        raise DevServerFailed(
            ": ".join([f"Dagster ended by itself ({how})", *said]), remedy=f"See {process.log}"
        )


def _status(asked: str | urllib.request.Request) -> int | None:
    """HTTP status of an answer; None where there is no answer."""
    # Not through a proxy that the environment may name.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(asked, timeout=5) as response:
            return int(response.status)
    except urllib.error.HTTPError as refused:
        refused.close()
        return refused.code
    except OSError:
        return None


def _address(host: str, port: int) -> str:
    reached = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://{f'[{reached}]' if ':' in reached else reached}:{port}"


def _checked_port(host: str, port: int) -> int:
    """Make sure that the port can be listened on, and choose one for 0."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, _, _, address = found[0]
        with socket.socket(family, kind) as probe:
            # As the webserver does: a port whose connections are closing is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            chosen: int = probe.getsockname()[1]
    except (OSError, OverflowError) as error:
        raise SettingsRejected(
            f"port {port} on {host} cannot be listened on: {getattr(error, 'strerror', error)}",
            remedy="End what uses it, or choose another with --port",
        ) from None
    return chosen


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Be the only server of this home, and end what one that was killed left behind."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lock").acquire(blocking=False)
    except Timeout:
        where = ""
        with contextlib.suppress(OSError, ValueError, KeyError):
            note = json.loads((folder / _NOTE).read_text(encoding="utf-8"))
            where = f" at {note['address']} (process {note['process']})"
        raise SettingsRejected(
            f"`videomoments dev` runs already{where}", remedy="Use that one, or stop it first"
        ) from None
    except OSError as error:
        raise SettingsRejected(
            f"the folder {folder} cannot be used: {error.strerror or error}",
            remedy="Set VIDEOMOMENTS_HOME to a folder that can be written to",
        ) from error
    with lock:
        kill_marked(str(folder))
        yield
