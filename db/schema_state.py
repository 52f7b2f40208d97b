"""The schema's version: what it is, what it should be, and bringing one to the other.

Belongs here: running the migrations from code, from any working directory. Does not belong here:
how a migration is run safely (`migrations/env.py`), which plain `alembic` goes through as well.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

import db
from db.errors import MigrationFailed, SchemaOutdated
from db.session import new_engine, translated_errors
from db.urls import described, normalised, rendered

MIGRATIONS = Path(db.__file__).resolve().parent.parent / "migrations"

UPGRADE = "Run `videomoments db upgrade`"

# Alembic keeps the running environment in module globals.
_one_at_a_time = threading.Lock()


@cache
def head_revision() -> str:
    """Give the revision that this code needs.

    Raises:
        MigrationFailed: The migration scripts are not where the project keeps them.
    """
    head = _scripts().get_current_head()
    if head is None:
        raise MigrationFailed(f"There are no migrations in {MIGRATIONS}")
    return head


def current_revision(source: str | URL | Engine | Connection) -> str | None:
    """Give the revision that a database is at, or None where it has never been migrated.

    Args:
        source: The database, as a URL or connected.

    Raises:
        DatabaseProblem: The server was lost or refused.
    """
    if isinstance(source, Connection):
        return MigrationContext.configure(source).get_current_revision()
    if isinstance(source, Engine):
        with source.connect() as connection:
            return current_revision(connection)
    with _engine(source) as engine:
        return current_revision(engine)


def check(connection: Connection) -> None:
    """Make sure that a database has the tables that this code needs.

    Raises:
        SchemaOutdated: The tables are missing, older, or newer.
    """
    current, head = current_revision(connection), head_revision()
    if current == head:
        return
    where = described(connection.engine.url)
    if current is None:
        raise SchemaOutdated(f"The database {where} has no tables yet", remedy=UPGRADE)
    known = {script.revision for script in _scripts().walk_revisions()}
    if current not in known:
        raise SchemaOutdated(
            f"The database {where} is at revision {current}, which this code does not know",
            remedy="Use the release that upgraded it, or a later one",
        )
    raise SchemaOutdated(
        f"The database {where} is at revision {current}, and this code needs {head}",
        remedy=UPGRADE,
    )


def upgrade(url: str | URL, revision: str = "head") -> None:
    """Bring a database to a later revision; nothing happens where it is there already.

    Raises:
        MigrationFailed: A migration could not run; finished ones stay.
        DatabaseProblem: The server was lost or refused.
    """
    _run(url, lambda config: command.upgrade(config, revision), f"upgrade to {revision}")


def downgrade(url: str | URL, revision: str = "base") -> None:
    """Bring a database back to an earlier revision. `base` leaves it empty, data and all.

    Raises:
        MigrationFailed: A migration could not run; finished ones stay.
        DatabaseProblem: The server was lost or refused.
    """
    _run(url, lambda config: command.downgrade(config, revision), f"downgrade to {revision}")


def _run(url: str | URL, step: Callable[[Config], None], what: str) -> None:
    target = normalised(url)
    config = _config(target)
    try:
        with _one_at_a_time:
            step(config)
    except CommandError as error:
        raise MigrationFailed(f"Cannot {what}: {error}") from error
    except SQLAlchemyError as error:
        said = str(getattr(error, "orig", error)).splitlines()[0]
        raise MigrationFailed(
            f"Cannot {what} the database {described(target)}: {said}",
            remedy="The finished migrations stay; mend the cause and upgrade again",
        ) from error


def _config(url: str | URL | None = None) -> Config:
    if not (MIGRATIONS / "env.py").is_file():
        raise MigrationFailed(
            f"The migration scripts are not in {MIGRATIONS}",
            remedy="Install the project from its checkout with `pip install -e .`",
        )
    config = Config()
    # Alembic interpolates its options; a folder may well have a % in its name.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    if url is not None:
        config.attributes["url"] = rendered(normalised(url))
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


@contextmanager
def _engine(url: str | URL) -> Iterator[Engine]:
    engine = new_engine(url, pool_size=1)
    try:
        with translated_errors(engine.url):
            yield engine
    finally:
        engine.dispose()
