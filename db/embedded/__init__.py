"""A PostgreSQL server of the project's own, for when no database is configured."""

from db.embedded.server import EmbeddedPostgres, failure_at

__all__ = ["EmbeddedPostgres", "failure_at"]
