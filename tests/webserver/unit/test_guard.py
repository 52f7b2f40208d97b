"""What the guard lets in. Real browsers are in `cli/e2e/test_guarded_ui.py`."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from videomoments_dagster.webserver.guard import Asked, Refused, hosts_in, refusal

UI = "127.0.0.1:3000"
BY_LINK = {
    "sec-fetch-site": "cross-site",
    "sec-fetch-mode": "navigate",
    "sec-fetch-dest": "document",
}


def asked(
    path: str = "/assets",
    *,
    method: str = "GET",
    query: str = "",
    address: str | None = "127.0.0.1",
    **headers: str,
) -> Asked:
    given = {"host": UI, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Asked(
        method, path, query, {name: (value,) for name, value in given.items() if value}, address
    )


def status(of: Asked, *, hosts: str = "") -> int | None:
    found: Refused | None = refusal(of, hosts=hosts_in(hosts))
    return found and found.status


@pytest.mark.parametrize(
    "host", [UI, "localhost:3000", "LOCALHOST", "[::1]:3000", "127.0.0.1:8080", "127.1.2.3"]
)
def test_this_machine_is_let_in_by_its_own_names_at_any_port(host: str) -> None:
    # `ssh -L 8080:127.0.0.1:3000` is one more port.
    assert status(asked(host=host)) is None
    assert status(asked(host=host, origin=f"http://{host}", method="POST")) is None


@pytest.mark.parametrize(
    "host",
    [
        "",
        "rebound.example",
        "rebound.example:3000",
        "127.0.0.1.example",
        "localhost.example",
        "notlocalhost",
        "10.0.0.7:3000",
        "[::1",
        "127.0.0.1@evil.example",
        "evil.example#127.0.0.1",
        "2130706433",
    ],
)
def test_any_other_name_is_refused(host: str) -> None:
    assert status(asked(host=host)) == 421


def test_an_address_is_let_in_where_the_server_listens_to_it() -> None:
    assert status(asked(host="10.0.0.7:3000", address="10.0.0.7")) is None
    assert status(asked(host="10.0.0.8:3000", address="10.0.0.7")) == 421


def test_names_from_the_settings_are_let_in_also_behind_a_proxy_with_tls() -> None:
    names = "ui.example.org, Lab.example.org:3000"
    for host in ("ui.example.org", "ui.example.org:443", "lab.example.org:3000"):
        assert status(asked(host=host), hosts=names) is None, host
    assert status(asked(host="lab.example.org:3001"), hosts=names) == 421
    origin = "https://ui.example.org"
    assert status(asked(method="POST", host="ui.example.org", origin=origin), hosts=names) is None
    # The proxy puts its own name for the server in the place of what the browser asked.
    assert status(asked(method="POST", origin=origin), hosts=names) is None
    assert status(asked(method="POST", origin=f"{origin}:8443"), hosts=names) == 403


@given(st.text())
@example("http://127.0.0.1:3001")
@example("http://localhost:3000")
@example("null")
@example("file://")
@example("http://127.0.0.1:3000.evil.example")
@example("http://127.0.0.1:3000@evil.example")
@example("chrome-extension://127.0.0.1:3000")
def test_any_origin_but_the_servers_own_is_refused(origin: str) -> None:
    is_own = origin.lower() in (f"http://{UI}", f"https://{UI}", "")
    for method in ("GET", "POST", "OPTIONS", "WEBSOCKET"):
        found = status(asked("/graphql", method=method, origin=origin))
        assert found == (None if is_own else 403)


def test_two_headers_where_one_is_meant_are_refused() -> None:
    for name, values in {"host": (UI, "evil.example"), "origin": (f"http://{UI}", "null")}.items():
        twice = Asked("GET", "/", headers={"host": (UI,), name: values}, address="127.0.0.1")
        assert status(twice) == 400


@pytest.mark.parametrize("site", ["cross-site", "same-site", "something-new"])
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "WEBSOCKET"])
def test_what_the_browser_says_is_of_another_page_is_refused(method: str, site: str) -> None:
    assert status(asked(method=method, sec_fetch_site=site)) == 403
    for own in ("same-origin", "none"):
        assert status(asked(method=method, sec_fetch_site=own)) is None


def test_a_link_may_lead_to_the_ui_but_no_form_frame_or_query() -> None:
    assert status(asked(**BY_LINK)) is None
    assert status(asked(**BY_LINK, method="POST")) == 403
    assert status(asked(**{**BY_LINK, "sec-fetch-dest": "iframe"})) == 403
    assert status(asked("/graphql", query="query={version}", **BY_LINK)) == 403


@pytest.mark.parametrize(
    "query",
    [
        "query=mutation{a}",
        "query=%20mutation%20A%7Ba%7D",
        "query=%23%20query%0Amutation%7Ba%7D",
        "query={version}&query=mutation{a}",
        "query=query%20A{a}%20mutation%20B{b}&operationName=B",
        "quer%79=mutation{a}",
    ],
)
@pytest.mark.parametrize("path", ["/graphql", "/graphql/", "/prefix/graphql"])
def test_a_mutation_in_an_address_is_refused_whatever_the_method(path: str, query: str) -> None:
    for method in ("GET", "POST", "HEAD"):
        assert status(asked(path, method=method, query=query)) == 405


def test_a_query_in_an_address_and_the_word_mutation_elsewhere_are_let_in() -> None:
    for query in ("query={version}", "query={mutation}", "query=mut", ""):
        assert status(asked("/graphql", query=query)) is None
    assert status(asked("/assets", query="query=mutation{a}")) is None
