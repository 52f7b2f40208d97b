"""The database as a Dagster resource: sessions for assets and IO managers."""

from contextlib import AbstractContextManager
from typing import Any

import dagster as dg
from pydantic import PrivateAttr
from sqlalchemy.orm import Session

from db.session import Database
from videomoments_dagster.core.configured_database import database_url, open_database
from videomoments_dagster.core.settings import load_settings


class DatabaseResource(dg.ConfigurableResource[Any]):
    """PostgreSQL: `DATABASE_URL`, or the embedded server where that is unset.

    Reads and writes the rows of all assets, one transaction each. If it fails, the server is away,
    refuses the user, or has an older schema: `videomoments doctor` says which, and steps are
    tried again by themselves where waiting helps.
    """

    url: str = ""
    """Another URL than the environment's; for tests. It would be shown in the UI."""

    _database: Database | None = PrivateAttr(default=None)

    @property
    def database(self) -> Database:
        """The pool for this process; opened at first use."""
        if self._database is None:
            self._database = open_database(self.url or database_url(load_settings()))
        return self._database

    def transaction(self) -> AbstractContextManager[Session]:
        """One short transaction: committed at the end, rolled back on an exception."""
        return self.database.transaction()

    def read(self) -> AbstractContextManager[Session]:
        """A session for reading."""
        return self.database.read()
