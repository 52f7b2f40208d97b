"""Database URLs: one spelling for all of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote

from psycopg2 import ProgrammingError
from psycopg2.extensions import parse_dsn
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

# User and password as SQLAlchemy takes them; what follows them may be a list, or a quoted path.
_AUTHORITY = re.compile(r"^([\w+]+://(?:[^:/]*(?::[^@]*)?@)?+)([^/?@]*[,%][^/?@]*)(.*)$", re.DOTALL)
_ADDRESS = re.compile(r"(?:\[([^\]]*)\]|([^:\[\]]*))(?::(.*))?")
_HIGHEST_PORT = 65_535

_OPTIONS = "https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS"
_EXAMPLE = "Write it as postgresql://user:password@host:5432/videomoments"


def normalised(url: str | URL) -> URL:
    """Read a PostgreSQL URL of any common spelling as one for psycopg2.

    SQLAlchemy 2.1 reads a bare ``postgresql://`` as psycopg 3, which is not installed; tools that
    are handed the URL later must not have to guess.

    Example:
        >>> rendered(normalised("postgres://me@h1:5432,h2:5433/talks"))
        'postgresql+psycopg2://me@/talks?host=h1%2Ch2&port=5432%2C5433'

    Args:
        url: ``postgres://``, ``postgresql://`` or ``postgresql+<any driver>://``. As in libpq, the
            host may be a list, or a socket's folder such as ``%2Frun%2Fpostgresql``.

    Returns:
        The same database as ``postgresql+psycopg2://``; hosts that are no single name are in its
        options `host` and `port`.

    Raises:
        UrlRejected: The URL is malformed, names another kind of database, no database, or an
            option that libpq does not know.
    """
    text, hosts = (url, "") if isinstance(url, URL) else _without_listed_hosts(url)
    try:
        parsed = make_url(text)
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
    options = _addresses(hosts) | _options(parsed)
    _check_ports(options.get("port", str(parsed.port or "")))
    host, port = parsed.host, parsed.port
    if "host" in options:
        options |= _port_of_each(options["host"], options.get("port", str(port or "")))
        host = port = None
    chosen = parsed.set(drivername="postgresql+psycopg2", query=options)
    # `set` takes nothing away.
    return chosen._replace(host=host, port=port)


def described(url: URL) -> str:
    """Name a database for people, such as ``videomoments at db.example:5432``, without secrets."""
    hosts = str(url.query.get("host") or url.host or "the default local socket").split(",")
    ports = str(url.query.get("port") or url.port or "").split(",")
    ports += [""] * (len(hosts) - len(ports))
    where = (f"{host}:{port}" if port else host for host, port in zip(hosts, ports, strict=False))
    return f"{url.database} at {','.join(where)}"


def rendered(url: URL) -> str:
    """Write a URL out in full, with its password, for a program to read."""
    return url.render_as_string(hide_password=False)


def _without_listed_hosts(url: str) -> tuple[str, str]:
    """Take out what libpq reads between user and path, and SQLAlchemy does not."""
    found = _AUTHORITY.match(url)
    return (found[1] + found[3], found[2]) if found else (url, "")


def _addresses(hosts: str) -> dict[str, str]:
    """The options `host` and `port` for a list such as ``h1:5432,[::1]`` or ``%2Frun%2Fpg``."""
    if not hosts:
        return {}
    found = [_ADDRESS.fullmatch(one) for one in hosts.split(",")]
    if None in found:
        raise UrlRejected("The database URL cannot be read", remedy=_EXAMPLE)
    parts = [(unquote(one[1] or one[2] or ""), one[3] or "") for one in found if one]
    options = {"host": ",".join(host for host, _ in parts)}
    return options | (
        {"port": ",".join(port for _, port in parts)} if any(p for _, p in parts) else {}
    )


def _options(url: URL) -> dict[str, str]:
    """A URL's options in libpq's spelling, each of them known there."""
    given: Mapping[str, str | tuple[str, ...]] = url.query
    options = {name: _last(value) for name, value in given.items() if name not in _ONLY_ASYNCPG}
    hosts = given.get("host", "")
    if not isinstance(hosts, str):
        # SQLAlchemy's own spelling of several: host=h1:5432&host=h2:5433.
        options |= _addresses(",".join(hosts))
    ssl = options.pop("ssl", None)
    if ssl is not None:
        options.setdefault("sslmode", _SSL_WORDS.get(ssl.lower(), ssl))
    for name in options:
        try:
            known = name.isidentifier() and bool(parse_dsn(f"{name}=1"))
        except ProgrammingError:
            known = False
        if not known:
            raise UrlRejected(
                f"The database URL has the option '{name}', which PostgreSQL does not know",
                remedy=f"Correct it or leave it out; those that there are: {_OPTIONS}",
            )
    return options


def _last(value: str | tuple[str, ...]) -> str:
    """Of an option that is given several times, the one that libpq goes by."""
    return value if isinstance(value, str) else value[-1]


def _check_ports(ports: str) -> None:
    for port in filter(None, ports.split(",")):
        if not (port.isdecimal() and 1 <= int(port) <= _HIGHEST_PORT):
            raise UrlRejected(f"The database URL names the port '{port}'", remedy=_EXAMPLE)


def _port_of_each(hosts: str, ports: str) -> dict[str, str]:
    """The option `port` for the option `host`: one port goes for all hosts."""
    count, each = hosts.count(",") + 1, ports.split(",")
    if not ports:
        return {}
    if len(each) not in {1, count}:
        raise UrlRejected(
            f"The database URL names {len(each)} ports for {count} hosts",
            remedy="Name one port for all hosts, or one for each",
        )
    return {"port": ",".join(each * count if len(each) == 1 else each)}
