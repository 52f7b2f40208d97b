"""The schema's version: what it is, what it should be, and bringing one to the other.

How a migration is run safely is in `migrations/env.py`, which plain `alembic` goes through as well.
"""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

import db
from db.errors import MigrationFailed, SchemaOutdated
from db.session import Database
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
    [head] = _scripts().get_heads()
    return head


def check_schema(database: Database) -> str:
    """Make sure that a database has the tables that this code needs, and give its revision.

    Raises:
        DatabaseProblem: The server was lost or refused.
        SchemaOutdated: The tables are missing, older, or newer.
    """
    with database.read() as session:
        current = MigrationContext.configure(session.connection()).get_current_revision()
    head = head_revision()
    if current == head:
        return head
    where = described(database.url)
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
    target = normalised(url)
    config = _config()
    config.attributes["url"] = rendered(target)
    try:
        with _one_at_a_time:
            command.upgrade(config, revision)
    except CommandError as error:
        raise MigrationFailed(f"Cannot upgrade to {revision}: {error}") from error
    except SQLAlchemyError as error:
        said = str(getattr(error, "orig", error)).splitlines()[0]
        raise MigrationFailed(
            f"Cannot upgrade to {revision} the database {described(target)}: {said}",
            remedy="The finished migrations stay; mend the cause and upgrade again",
        ) from error


def _config() -> Config:
    if not (MIGRATIONS / "env.py").is_file():
        raise MigrationFailed(
            f"The migration scripts are not in {MIGRATIONS}",
            remedy="Install the project from its checkout with `pip install -e .`",
        )
    config = Config()
    # Alembic interpolates its options; a folder may well have a % in its name.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())
