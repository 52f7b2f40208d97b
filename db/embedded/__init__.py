"""A PostgreSQL server of the project's own, for when no database is configured."""

from db.embedded.abandoned import Abandoned, abandoned_databases, remove_abandoned
from db.embedded.placement import existing_state
from db.embedded.server import EmbeddedPostgres, failure_at

__all__ = [
    "Abandoned",
    "EmbeddedPostgres",
    "abandoned_databases",
    "existing_state",
    "failure_at",
    "remove_abandoned",
]
