"""A PostgreSQL server of the project's own, for when no database is configured.

`server` is the interface; `placement` decides where its files lie and as whom it runs,
`binaries` finds PostgreSQL's programs, `postmaster` starts and stops them, and `locks` keeps
count of the processes that use it. No Dagster, no tables, no settings.
"""

from db.embedded.server import EmbeddedPostgres, EmbeddedStatus

__all__ = ["EmbeddedPostgres", "EmbeddedStatus"]
