import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import URL, make_url

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
