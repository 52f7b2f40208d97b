import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import URL, create_engine, make_url

from db.errors import UrlRejected
from db.urls import described, normalised, rendered


@pytest.mark.parametrize(
    "scheme",
    ["postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg", "postgresql+psycopg2"],
)
def test_every_spelling_of_postgresql_becomes_psycopg2(scheme: str) -> None:
    url = normalised(f"{scheme}://me:secret@db.example:5433/videomoments?application_name=x")
    assert rendered(url) == (
        "postgresql+psycopg2://me:secret@db.example:5433/videomoments?application_name=x"
    )


@pytest.mark.parametrize(
    "url", ["mysql://me:secret@h/d", "sqlite:///secret.db", "postgresqlite://me:secret@h/d"]
)
def test_another_kind_of_database_is_rejected_by_its_name(url: str) -> None:
    with pytest.raises(UrlRejected, match=url.split(":", maxsplit=1)[0]) as caught:
        normalised(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["", "secret", "://secret", "postgresql://me:secret@h:port/d", "postgresql://me:secret@h"],
)
def test_a_malformed_url_is_rejected_without_being_quoted(url: str) -> None:
    with pytest.raises(UrlRejected) as caught:
        normalised(url)
    assert "secret" not in str(caught.value)
    assert caught.value.remedy


def test_options_of_asyncpg_become_those_of_libpq() -> None:
    url = normalised("postgresql+asyncpg://h/d?ssl=true&prepared_statement_cache_size=0")
    assert dict(url.query) == {"sslmode": "require"}
    assert dict(normalised("postgresql+asyncpg://h/d?ssl=verify-full").query) == {
        "sslmode": "verify-full"
    }


@pytest.mark.parametrize(
    ("given", "host", "port"),
    [
        ("me@h1:5432,h2:5433/d", "h1,h2", "5432,5433"),
        ("me@h1,h2/d", "h1,h2", None),
        ("me@h1:6000,h2/d", "h1,h2", "6000,"),
        ("me@[::1]:6000,h2:6001/d", "::1,h2", "6000,6001"),
        ("me@/d?host=h1,h2&port=6000", "h1,h2", "6000,6000"),
        ("me@/d?host=h1:6000&host=h2:6001", "h1,h2", "6000,6001"),
        ("me@%2Frun%2Fpg/d", "/run/pg", None),
        ("me@%2Frun%2Fpg:6000/d", "/run/pg", "6000"),
        ("me:p%2C%40%2F@h1,h2/d", "h1,h2", None),
    ],
)
def test_sockets_and_several_hosts_are_read_as_libpq_reads_them(
    given: str, host: str, port: str | None
) -> None:
    url = normalised(f"postgresql://{given}")
    assert (url.username, url.database, url.host, url.port) == ("me", "d", None, None)
    assert (url.query.get("host"), url.query.get("port")) == (host, port)
    assert normalised(rendered(url)) == url
    # As it comes to libpq in the end.
    assert create_engine(url).dialect.create_connect_args(url)[1]["host"] == host


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://me:secret@h/d?ssl_mode=require", "option 'ssl_mode'"),
        ("postgresql://me:secret@h/d?schema=public", "option 'schema'"),
        ("postgresql://me:secret@h/d?async=1", "option 'async'"),
        ("postgresql://me:secret@h/d?dsn=x", "option 'dsn'"),
        ("postgresql://me:secret@h/d?port=abc", "port 'abc'"),
        ("postgresql://me:secret@h:99999/d", "port '99999'"),
        ("postgresql://me:secret@h1:1,h2:x/d", "port 'x'"),
        ("postgresql://me:secret@/d?host=h1,h2&port=1,2,3", "3 ports for 2 hosts"),
    ],
)
def test_what_libpq_would_not_understand_is_rejected_by_its_name(url: str, said: str) -> None:
    with pytest.raises(UrlRejected, match=said) as caught:
        normalised(url)
    assert "secret" not in str(caught.value)
    assert caught.value.remedy


@given(
    user=st.text(min_size=1, max_size=20),
    password=st.text(max_size=20),
    database=st.text(min_size=1, max_size=20).filter(lambda name: not name.isspace()),
)
def test_what_is_normalised_is_read_back_the_same(user: str, password: str, database: str) -> None:
    url = URL.create("postgresql+asyncpg", user, password, "h", 5432, database)
    once = normalised(url)
    assert normalised(rendered(once)) == normalised(once) == once
    assert (once.username, once.password, once.database) == (user, password, database)


def test_a_description_names_server_and_database_and_no_secret() -> None:
    assert described(make_url("postgresql://me:secret@h:5433/d?password=s2")) == "d at h:5433"
    assert described(make_url("postgresql:///d?host=/run/pg")) == "d at /run/pg"
    assert described(normalised("postgresql://h1:1,h2/d")) == "d at h1:1,h2"
