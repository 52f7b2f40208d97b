"""The six documented database settings and what follows from them."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from db.urls import normalised, rendered


class DatabaseSettings(BaseSettings):
    """Database settings, each overridable by the environment variable of its name.

    The defaults of the two URLs are the documented ones and are never connected to unasked: where
    neither URL is set, an embedded server takes their place.

    Attributes:
        database_url: The database, in any spelling of a PostgreSQL URL.
        database_sync_url: The same database for synchronous drivers; wins where both are set.
        database_pool_size: Connections that are kept open.
        database_max_overflow: Further connections under load; -1 for no limit.
        database_pool_timeout: Seconds to wait for a free connection.
        database_echo: Whether every statement is logged.
    """

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore")

    # Kept out of the repr: they carry the password.
    database_url: str = Field(
        default="postgresql+asyncpg://postgres:postgres@localhost:5432/videomoments", repr=False
    )
    database_sync_url: str = Field(
        default="postgresql+psycopg2://postgres:postgres@localhost:5432/videomoments", repr=False
    )
    database_pool_size: int = Field(default=5, ge=1)
    database_max_overflow: int = Field(default=10, ge=-1)
    database_pool_timeout: int = Field(default=30, ge=1)
    database_echo: bool = False

    @property
    def explicit_sync_url(self) -> str | None:
        """The given URL in psycopg2's spelling, or None where the embedded server is meant.

        Raises:
            UrlRejected: The URL is malformed or not PostgreSQL's.
        """
        for name in ("database_sync_url", "database_url"):
            if name in self.model_fields_set:
                return rendered(normalised(getattr(self, name)))
        return None


def home_folder() -> Path:
    """Give the folder that all local state lives in: VIDEOMOMENTS_HOME or ``.videomoments``."""
    return Path(os.environ.get("VIDEOMOMENTS_HOME") or ".videomoments").expanduser().absolute()
