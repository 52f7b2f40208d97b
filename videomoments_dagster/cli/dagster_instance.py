"""Dagster's instance on this machine: its home folder and its own database.

Dagster keeps an `alembic_version` of its own, so its tables are in another database than ours.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from dagster import DagsterInstance

import videomoments_dagster
from db.creation import connected, ensure_database_exists
from db.urls import described, normalised, rendered
from videomoments_dagster.base.failures import DatabaseBusy, DatabaseProblem, SettingsRejected
from videomoments_dagster.base.files import replaced_whole
from videomoments_dagster.core.configured_database import database_url
from videomoments_dagster.core.dagster_internals import set_pool_limit
from videomoments_dagster.core.pools import FIRST_LIMITS
from videomoments_dagster.core.run_tags import CODE_LOCATION
from videomoments_dagster.core.settings import Settings

URL_VARIABLE = "VIDEOMOMENTS_DAGSTER_DATABASE_URL"
HOME_VARIABLE = "DAGSTER_HOME"
CONFIG_FILE = "dagster.yaml"

# One of each of Dagster's three storages; each storage makes its tables where this one is missing.
_MAIN_TABLES = ("runs", "event_logs", "jobs", "instance_info", "alembic_version")
_CREATION_LOCK = 7_286_417_305_118_602_372
_CREATION_SECONDS = 120


def prepare_instance(settings: Settings) -> None:
    """Make Dagster's home folder and database ready, and name them in `os.environ`.

    There Dagster finds the instance, here or in a child process. Where all is there already, this
    costs one connection. Any number of processes may do it at once.

    Args:
        settings: Where state lives.

    Raises:
        DatabaseProblem: The server cannot be reached, or refused.
        SettingsRejected: The home folder cannot be made.
    """
    home = settings.dagster_home
    url = dagster_database_url(settings) if _place_config(home) else None
    os.environ[HOME_VARIABLE] = str(home)
    if url is not None:
        os.environ[URL_VARIABLE] = url
        _ensure_tables(url)


@contextmanager
def opened_instance(settings: Settings) -> Iterator[DagsterInstance]:
    """Prepare Dagster's instance and open it for the length of the block.

    Raises:
        DatabaseProblem: The server cannot be reached, or refused.
        SettingsRejected: The home folder cannot be made.
    """
    prepare_instance(settings)

    with DagsterInstance.get() as instance:
        yield instance


def write_workspace(target: Path) -> None:
    """Write the `workspace.yaml` by which Dagster's programs find our definitions."""
    module = {
        "module_name": "videomoments_dagster.definitions",
        "location_name": CODE_LOCATION,
        # It becomes part of the import path; the caller's folder has no business there.
        "working_directory": str(Path(videomoments_dagster.__file__).parents[1]),
    }
    # JSON is YAML.
    target.write_text(json.dumps({"load_from": [{"python_module": module}]}), encoding="utf-8")


def dagster_database_url(settings: Settings) -> str:
    """Give the URL of Dagster's own database, starting the embedded server where it is meant.

    It is the configured one, else `<our database>_dagster` on the same server.

    Raises:
        DatabaseProblem: A URL is malformed, or the embedded server cannot be started.
    """
    if settings.dagster_database_url:
        return rendered(normalised(settings.dagster_database_url))
    ours = normalised(database_url(settings))
    # PostgreSQL cuts names off that are longer than 63 bytes, silently.
    return rendered(ours.set(database=f"{(ours.database or '')[:55]}_dagster"))


def _place_config(home: Path) -> bool:
    """Copy our `dagster.yaml` to where none is; give whether the one there uses our database."""
    config = home / CONFIG_FILE
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not config.exists():
            shipped = resources.files("videomoments_dagster.instance").joinpath(CONFIG_FILE)
            with replaced_whole(config) as part:
                part.write_bytes(shipped.read_bytes())
        return URL_VARIABLE in config.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsRejected(
            f"Dagster's home folder {home} cannot be used: {error.strerror or error}",
            remedy=f"Set {HOME_VARIABLE} or VIDEOMOMENTS_HOME to a folder that can be written to",
        ) from error


def _ensure_tables(url: str) -> None:
    """Let Dagster make its tables, in one process at a time.

    Two processes that find none would both make them, and one would fail.
    """
    if _has_tables(url):
        return
    ensure_database_exists(url)
    with connected(normalised(url)) as connection, connection.cursor() as cursor:
        deadline = time.monotonic() + _CREATION_SECONDS
        while not _answer(cursor, "SELECT pg_try_advisory_lock(%s)", _CREATION_LOCK):
            if time.monotonic() > deadline:
                raise DatabaseBusy(
                    f"somebody else has been making Dagster's tables in "
                    f"{described(normalised(url))} for {_CREATION_SECONDS} seconds",
                    remedy="Wait for it to end, or end it, and try again",
                )
            time.sleep(0.1)
        if not _has_tables(url):
            # Opening the instance is what makes the tables.
            with DagsterInstance.get() as instance:
                for pool, limit in FIRST_LIMITS.items():
                    set_pool_limit(instance, pool, limit)


def _has_tables(url: str) -> bool:
    query = "SELECT bool_and(to_regclass(name) IS NOT NULL) FROM unnest(%s) AS name"
    try:
        with connected(normalised(url)) as connection, connection.cursor() as cursor:
            return bool(_answer(cursor, query, list(_MAIN_TABLES)))
    except DatabaseProblem:
        # No such database, or no server: `ensure_database_exists` tells the two apart.
        return False


def _answer(cursor: Any, query: str, parameter: object) -> Any:
    cursor.execute(query, [parameter])
    return cursor.fetchone()[0]
