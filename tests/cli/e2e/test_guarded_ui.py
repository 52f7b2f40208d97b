"""`videomoments dev` as web pages of others find it, and the files that it serves."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from dev_process import START_SECONDS, asked, dev, free_port, new_dev_home, says, until
from plain_http import Answer, answer_of
from postgres import fresh_database

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.timeout(420)

ADD = (
    'mutation {{ addDynamicPartition(partitionsDefName: "videos", partitionKey: "{name}", '
    'repositorySelector: {{repositoryLocationName: "videomoments", '
    'repositoryName: "__repository__"}}) {{ __typename }} }}'
)
KEYS = (
    '{ repositoryOrError(repositorySelector: {repositoryLocationName: "videomoments", '
    'repositoryName: "__repository__"}) { ... on Repository { assetNodes { assetKey { path } '
    "partitionKeys } } } }"
)


@dataclass(frozen=True)
class Served:
    """A `videomoments dev`, and where its objects are."""

    port: int
    objects: Path

    def answer(self, method: str, path: str, **headers: str) -> Answer:
        """What plain HTTP gets; a header `Host` is sent as it is given."""
        return answer_of(self.port, method, path, **headers)

    def videos(self) -> set[str]:
        """Keys of the partitions."""
        nodes = asked(self.port, KEYS)["repositoryOrError"]["assetNodes"]
        return {key for node in nodes for key in node["partitionKeys"]}


@pytest.fixture(scope="module")
def served(postgres_server: str, migrated_template: str) -> Iterator[Served]:
    port = free_port()
    with (
        new_dev_home() as home,
        fresh_database(postgres_server, template=migrated_template) as url,
        fresh_database(postgres_server) as dagster_url,
        dev(
            home, port=port, DATABASE_URL=url, VIDEOMOMENTS_DAGSTER_DATABASE_URL=dagster_url
        ) as process,
    ):
        until(
            says(home, f"http://127.0.0.1:{port}/assets"),
            seconds=START_SECONDS,
            process=process,
            home=home,
        )
        yield Served(port, home / "objects")


FOREIGN = [
    {"Host": "rebound.example"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=lambda one: "=".join(*one.items()))
@pytest.mark.parametrize("path", ["/graphql?query={version}", "/server_info", "/assets"])
def test_a_foreign_host_origin_or_site_gets_nothing(
    served: Served, headers: dict[str, str], path: str
) -> None:
    answer = served.answer("GET", path, **headers)
    assert answer.status in (403, 421)
    assert b"version" not in answer.body


def test_a_mutation_by_get_changes_nothing(served: Served) -> None:
    answer = served.answer("GET", f"/graphql?query={quote(ADD.format(name='by-get'))}")
    assert answer.status == 405
    assert "by-get" not in served.videos()
    assert served.answer("GET", "/graphql?query={version}").status == 200


def test_a_web_socket_of_another_origin_is_not_opened(served: Served) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec_WebSocket_Protocol": "graphql-ws",
    }
    own = f"http://127.0.0.1:{served.port}"
    assert served.answer("GET", "/graphql", **upgrade, Origin=own).status == 101
    assert served.answer("GET", "/graphql", **upgrade, Origin="http://evil.example").status == 403


@contextmanager
def page_of_another(served: Served, script: str) -> Iterator[str]:
    """The address of a page on another port of this machine, with a script."""
    html = f"<!doctype html><title>other</title><script>{script}</script>".encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(html)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


# What a page can send without asking: pictures, forms, `no-cors`; and what needs an answer.
ATTACKS = """
const ui = 'http://127.0.0.1:PORT', mutation = name => MUTATION.replace('NAME', name);
const get = name => `${ui}/graphql?query=${encodeURIComponent(mutation(name))}`;
const settled = [];
const tried = what => settled.push(what.then(() => 'done', () => 'refused'));
new Image().src = get('image');
tried(fetch(get('no-cors-get'), {mode: 'no-cors'}));
tried(fetch(get('cors-get')).then(answer => answer.text()));
tried(fetch(get('no-cors-post'), {mode: 'no-cors', method: 'POST'}));
tried(fetch(`${ui}/graphql`, {mode: 'no-cors', method: 'POST',
  headers: {'Content-Type': 'text/plain'}, body: JSON.stringify({query: mutation('text')})}));
tried(fetch(`${ui}/graphql`, {method: 'POST', headers: {'Content-Type': 'application/json'},
  body: JSON.stringify({query: mutation('json')})}));
const frame = document.createElement('iframe');
frame.src = get('frame');
document.documentElement.append(frame);
const form = document.createElement('form');
Object.assign(form, {method: 'POST', action: get('form'), target: 'sink'});
const sink = document.createElement('iframe');
sink.name = 'sink';
document.documentElement.append(sink, form);
form.submit();
const framed = new Promise(loaded => { frame.onload = loaded; });
const posted = new Promise(loaded => { sink.onload = loaded; });
const socket = new WebSocket(`ws://127.0.0.1:PORT/graphql`, 'graphql-ws');
const opened = new Promise(say => {
  socket.onopen = () => say('opened'); socket.onerror = () => say('refused'); });
window.result = Promise.all([opened, ...settled, framed, posted]).then(all => all[0]);
"""


@pytest.fixture
def browser_page(served: Served, page: Page) -> Page:
    """A page of the browser, opened after all else was made."""
    return page


def test_a_page_of_another_origin_in_chromium_changes_nothing(
    served: Served, browser_page: Page
) -> None:
    script = ATTACKS.replace("PORT", str(served.port)).replace(
        "MUTATION", json.dumps(ADD.format(name="NAME"))
    )
    with page_of_another(served, script) as address:
        browser_page.goto(address)
        socket = browser_page.evaluate("window.result")
        # What is not waited for, such as the picture, has had its time.
        browser_page.wait_for_timeout(1_000)
    assert served.videos() == set()
    assert socket == "refused"


def test_a_link_from_another_page_leads_to_the_ui_which_works(
    served: Served, browser_page: Page
) -> None:
    from playwright.sync_api import expect

    link = f"document.write('<a href=\"http://127.0.0.1:{served.port}/assets\">the UI</a>')"
    with page_of_another(served, link) as address:
        browser_page.goto(address)
        browser_page.get_by_role("link", name="the UI").click()
        expect(browser_page.get_by_text("refined_moments").first).to_be_visible()
