"""Database URLs: one spelling for all of them."""

from __future__ import annotations

import re

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from db.errors import UrlRejected

_DIALECT = re.compile(r"^postgres(ql)?(\+[a-z0-9_]+)?$")

# asyncpg's own options, which libpq would refuse as unknown.
_ONLY_ASYNCPG = frozenset(
    {
        "async_fallback",
        "command_timeout",
        "prepared_statement_cache_size",
        "prepared_statement_name_func",
        "statement_cache_size",
    }
)

# asyncpg spells libpq's `sslmode` as `ssl`, and takes true and false as well.
_SSL_WORDS = {"true": "require", "false": "disable"}

_EXAMPLE = "Write it as postgresql://user:password@host:5432/videomoments"


def normalised(url: str | URL) -> URL:
    """Read a PostgreSQL URL of any common spelling as one for psycopg2.

    SQLAlchemy 2.1 reads a bare ``postgresql://`` as psycopg 3, which is not installed; tools that
    are handed the URL later must not have to guess.

    Args:
        url: ``postgres://``, ``postgresql://`` or ``postgresql+<any driver>://``.

    Returns:
        The same database as ``postgresql+psycopg2://``.

    Raises:
        UrlRejected: The URL is malformed, names another kind of database, or no database.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # The parser's message quotes the URL, password and all.
        raise UrlRejected("The database URL cannot be read", remedy=_EXAMPLE) from None
    if not _DIALECT.match(parsed.drivername):
        raise UrlRejected(
            f"The database URL names '{parsed.drivername}', and only PostgreSQL will do",
            remedy=_EXAMPLE,
        )
    if not parsed.database:
        raise UrlRejected("The database URL names no database", remedy=_EXAMPLE)
    query = {name: value for name, value in parsed.query.items() if name not in _ONLY_ASYNCPG}
    ssl = query.pop("ssl", None)
    if ssl is not None:
        query.setdefault("sslmode", _SSL_WORDS.get(str(ssl).lower(), ssl))
    return parsed.set(drivername="postgresql+psycopg2", query=query)


def described(url: URL) -> str:
    """Name a database for people, such as ``videomoments at db.example:5432``, without secrets."""
    host = url.host or str(url.query.get("host", "the default local socket"))
    port = f":{url.port}" if url.port else ""
    return f"{url.database} at {host}{port}"


def rendered(url: URL) -> str:
    """Write a URL out in full, with its password, for a program to read."""
    return url.render_as_string(hide_password=False)
