import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fetch_fixtures import no_client

from videomoments_dagster.base.failures import ScratchExhausted, SourceRejected, SourceUnavailable
from videomoments_dagster.sources.fetching import LocalSource, fetch_source
from videomoments_dagster.sources.limits import FetchLimits, networks_in

LOOPBACK = networks_in("127.0.0.0/8")
QUICK = FetchLimits(
    connect_seconds=1,
    read_seconds=1,
    total_seconds=20,
    attempts=3,
    first_wait_seconds=0.01,
    allowed_networks=LOOPBACK,
)
CONTENT = os.urandom(300_000)
Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class WebServer:
    """Answers every request with the next of `answers`, and the last one for ever after."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    requests: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.requests.append({name.lower(): value for name, value in request.headers.items()})
        self.paths.append(request.path)
        give = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        give(request)


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    web = WebServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.close_connection = True
            with suppress(ConnectionError):
                web.answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    web.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield web
    server.shutdown()
    thread.join()
    server.server_close()


def body(
    content: bytes = CONTENT,
    *,
    status: int = 200,
    cut_at: int | None = None,
    length: int | None = None,
    **headers: str,
) -> Answer:
    def give(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        if length != -1:
            request.send_header("Content-Length", str(len(content) if length is None else length))
        request.send_header("Connection", "close")
        request.end_headers()
        request.wfile.write(content[:cut_at])

    return give


def status(code: int, **headers: str) -> Answer:
    return body(b"", status=code, **headers)


def drop(_request: BaseHTTPRequestHandler) -> None:
    """Answer nothing and close."""


def ranged(*, etag: str = '"v1"', content: bytes = CONTENT) -> Answer:
    """Answer a range request as RFC 9110 asks for."""

    def give(request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        if wanted is None or request.headers.get("If-Range") != etag:
            body(content, ETag=etag)(request)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-"))
        body(
            content[start:],
            status=206,
            Content_Range=f"bytes {start}-{len(content) - 1}/{len(content)}",
            ETag=etag,
        )(request)

    return give


def fetch(
    web: WebServer, scratch: Path, path: str = "/talk.mp4", limits: FetchLimits = QUICK
) -> LocalSource:
    return fetch_source(web.url + path, scratch=scratch, gcs_client=no_client, limits=limits)


def assert_is_the_content(source: LocalSource, scratch: Path) -> None:
    assert source.path.read_bytes() == CONTENT
    assert source.content_hash == hashlib.sha256(CONTENT).hexdigest()
    assert source.size_bytes == len(CONTENT)
    assert list(scratch.iterdir()) == [source.path]


def test_a_file_is_downloaded_once_and_hashed_on_the_way(web: WebServer, scratch: Path) -> None:
    web.answers = [body()]
    seen: list[tuple[int, int | None]] = []
    location = f"{web.url}/talks/My_Talk.MP4?token=abc"
    source = fetch_source(
        location,
        scratch=scratch,
        gcs_client=no_client,
        limits=QUICK,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert_is_the_content(source, scratch)
    assert source.path.suffix == ".mp4"
    assert source.suggested_title == "My Talk"
    assert source.location == location
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert len(web.requests) == 1


def test_the_server_may_name_the_file(web: WebServer, scratch: Path) -> None:
    web.answers = [
        body(Content_Disposition="attachment; filename*=UTF-8''..%2FZ%C3%BCrich_talk.mp4")
    ]
    source = fetch(web, scratch, "/download")
    assert source.suggested_title == "Zürich talk"
    assert source.path.parent == scratch


def test_a_body_without_a_length_is_taken_as_it_comes(web: WebServer, scratch: Path) -> None:
    web.answers = [body(length=-1)]
    assert_is_the_content(fetch(web, scratch), scratch)


@pytest.mark.parametrize("code", [404, 403, 401, 410, 400, 451, 204])
def test_a_refusal_is_final_and_names_address_and_status(
    web: WebServer, scratch: Path, code: int
) -> None:
    web.answers = [status(code)]
    with pytest.raises(SourceRejected, match=str(code)) as rejected:
        fetch(web, scratch, "/talk.mp4?token=s3cret")
    assert not rejected.value.retryable
    assert "/talk.mp4?token=..." in rejected.value.reason
    assert len(web.requests) == 1
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("trouble", [status(500), status(503), status(429), drop])
def test_trouble_that_passes_is_tried_again(web: WebServer, scratch: Path, trouble: Answer) -> None:
    web.answers = [trouble, trouble, body()]
    assert_is_the_content(fetch(web, scratch), scratch)
    assert len(web.requests) == 3


def test_trouble_that_stays_is_a_retryable_failure(web: WebServer, scratch: Path) -> None:
    web.answers = [status(503)]
    with pytest.raises(SourceUnavailable, match="503") as failure:
        fetch(web, scratch)
    assert failure.value.retryable
    assert len(web.requests) == QUICK.attempts
    assert list(scratch.iterdir()) == []


def test_a_server_may_ask_for_a_pause(web: WebServer, scratch: Path) -> None:
    web.answers = [status(429, Retry_After="1"), body()]
    started = time.monotonic()
    assert_is_the_content(fetch(web, scratch), scratch)
    assert time.monotonic() - started >= 1


def test_a_broken_download_goes_on_where_it_stopped(web: WebServer, scratch: Path) -> None:
    web.answers = [body(cut_at=200_000, ETag='"v1"'), ranged()]
    assert_is_the_content(fetch(web, scratch), scratch)
    assert web.requests[1]["range"] == "bytes=200000-"
    assert web.requests[1]["if-range"] == '"v1"'


def test_a_file_that_changed_between_two_attempts_starts_over(
    web: WebServer, scratch: Path
) -> None:
    old = os.urandom(250_000)
    web.answers = [body(old, cut_at=200_000, ETag='"v0"'), ranged()]
    assert_is_the_content(fetch(web, scratch), scratch)


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"weak"'}])
def test_without_proof_that_it_is_the_same_file_a_broken_download_starts_over(
    web: WebServer, scratch: Path, headers: dict[str, str]
) -> None:
    web.answers = [body(cut_at=200_000, **headers), body()]
    assert_is_the_content(fetch(web, scratch), scratch)
    assert "range" not in web.requests[1]


@pytest.mark.parametrize(
    "nonsense",
    [
        body(CONTENT[5:], status=206, Content_Range="bytes 5-299999/300000"),
        body(CONTENT, status=206),
        status(416),
    ],
)
def test_a_wrong_answer_to_a_range_starts_over(
    web: WebServer, scratch: Path, nonsense: Answer
) -> None:
    web.answers = [body(cut_at=200_000, ETag='"v1"'), nonsense, body()]
    assert_is_the_content(fetch(web, scratch), scratch)


def test_a_body_shorter_than_promised_is_noticed(web: WebServer, scratch: Path) -> None:
    web.answers = [body(length=len(CONTENT) + 10)]
    with pytest.raises(SourceUnavailable, match="broke off after 300000 bytes"):
        fetch(web, scratch)
    assert list(scratch.iterdir()) == []


def test_an_empty_body_is_no_source(web: WebServer, scratch: Path) -> None:
    web.answers = [body(b"")]
    with pytest.raises(SourceRejected, match="empty"):
        fetch(web, scratch)
    assert list(scratch.iterdir()) == []


def test_a_compressed_body_is_unpacked(web: WebServer, scratch: Path) -> None:
    import gzip

    web.answers = [body(gzip.compress(CONTENT), Content_Encoding="gzip")]
    assert_is_the_content(fetch(web, scratch), scratch)


@pytest.mark.parametrize("length", [None, -1])
def test_a_file_above_the_size_limit_is_refused(
    web: WebServer, scratch: Path, length: int | None
) -> None:
    web.answers = [body(length=length)]
    limits = FetchLimits(max_bytes=len(CONTENT) - 1, allowed_networks=LOOPBACK)
    with pytest.raises(SourceRejected, match="larger than the limit of 299999 bytes"):
        fetch(web, scratch, limits=limits)
    assert len(web.requests) == 1
    assert list(scratch.iterdir()) == []


def test_a_server_that_drips_is_cut_off_at_the_total_limit(web: WebServer, scratch: Path) -> None:
    def drip(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "1000")
        request.end_headers()
        for _ in range(100):
            request.wfile.write(b"x")
            time.sleep(0.05)

    web.answers = [drip]
    started = time.monotonic()
    with pytest.raises(SourceUnavailable, match=r"longer than 0\.4 seconds"):
        fetch(web, scratch, limits=replace(QUICK, total_seconds=0.4))
    assert time.monotonic() - started < 1.5
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("stage", ["before the answer", "in the body"])
def test_a_server_that_hangs_is_a_retryable_failure(
    web: WebServer, scratch: Path, stage: str
) -> None:
    def hang(request: BaseHTTPRequestHandler) -> None:
        if stage == "in the body":
            body(CONTENT, cut_at=1000)(request)
        time.sleep(0.6)

    web.answers = [hang]
    limits = replace(QUICK, read_seconds=0.2, attempts=2)
    with pytest.raises(SourceUnavailable, match="did not answer in time"):
        fetch(web, scratch, limits=limits)
    assert list(scratch.iterdir()) == []


def test_redirects_are_followed_and_a_retry_begins_at_the_first_address(
    web: WebServer, scratch: Path
) -> None:
    web.answers = [
        status(302, Location="/signed?1"),
        body(cut_at=200_000, ETag='"v1"'),
        status(302, Location="/signed?2"),
        ranged(),
    ]
    assert_is_the_content(fetch(web, scratch), scratch)
    assert web.paths == ["/talk.mp4", "/signed?1", "/talk.mp4", "/signed?2"]


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/a", "gs://bucket/a"])
def test_a_redirect_to_anything_but_http_is_refused(
    web: WebServer, scratch: Path, target: str
) -> None:
    web.answers = [status(302, Location=target)]
    with pytest.raises(SourceRejected, match="not followed"):
        fetch(web, scratch)
    assert len(web.requests) == 1
    assert list(scratch.iterdir()) == []


def test_a_redirect_without_end_is_refused(web: WebServer, scratch: Path) -> None:
    web.answers = [status(302, Location="/talk.mp4")]
    with pytest.raises(SourceRejected, match="more than 10 times"):
        fetch(web, scratch)


def test_credentials_and_tokens_are_used_and_never_shown(web: WebServer, scratch: Path) -> None:
    web.answers = [status(403)]
    location = f"{web.url}/a.mp4?token=s3cret".replace("http://", "http://me:pa55@")
    with pytest.raises(SourceRejected) as rejected:
        fetch_source(location, scratch=scratch, gcs_client=no_client, limits=QUICK)
    assert web.requests[0]["authorization"].startswith("Basic ")
    assert web.paths == ["/a.mp4?token=s3cret"]
    for secret in ("pa55", "s3cret"):
        assert secret not in str(rejected.value)


def test_a_failed_connection_shows_no_token_even_in_its_traceback(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import traceback

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(SourceUnavailable, match="refused") as failure:
        fetch_source(
            "http://127.0.0.1:9/a.mp4?token=s3cret",
            scratch=scratch,
            gcs_client=no_client,
            limits=QUICK,
        )
    chain = [failure.value, failure.value.__cause__, failure.value.__context__]
    assert "s3cret" not in "".join(
        "".join(traceback.TracebackException.from_exception(error).format_exception_only())
        for error in chain
        if error is not None
    )
    assert list(scratch.iterdir()) == []


def test_a_host_that_does_not_exist_is_rejected_at_once_and_shows_no_token(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    lookups: list[object] = []

    def no_such_host(host: object, *_: Any, **__: Any) -> Any:
        lookups.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(socket, "getaddrinfo", no_such_host)
    with pytest.raises(SourceRejected, match="host that does not exist") as rejected:
        fetch_source(
            "http://typo.example/a.mp4?token=s3cret",
            scratch=scratch,
            gcs_client=no_client,
            limits=QUICK,
        )
    assert len(lookups) == 1
    assert rejected.value.__cause__ is None
    assert rejected.value.__context__ is None
    assert list(scratch.iterdir()) == []


def test_a_scratch_folder_that_cannot_be_written_is_named(web: WebServer, scratch: Path) -> None:
    web.answers = [body()]
    with pytest.raises(ScratchExhausted, match="nowhere"):
        fetch(web, scratch / "nowhere")


def test_a_full_disk_is_named_and_leaves_nothing(
    web: WebServer, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    web.answers = [body()]
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ScratchExhausted, match="full"):
        fetch(web, scratch)
    assert list(scratch.iterdir()) == []


def test_a_web_page_is_passed_on_for_probing_to_judge(web: WebServer, scratch: Path) -> None:
    web.answers = [body(b"<html></html>", Content_Type="text/html")]
    assert fetch(web, scratch, "/page").path.read_bytes() == b"<html></html>"
