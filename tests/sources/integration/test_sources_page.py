import hashlib
import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fetch_fixtures import no_client

from videomoments_dagster.base.failures import EngineUnavailable, SourceRejected, SourceUnavailable
from videomoments_dagster.sources import patience, web_page
from videomoments_dagster.sources.fetching import LocalSource, fetch_source
from videomoments_dagster.sources.limits import FetchLimits, networks_in

CONTENT = os.urandom(50_000)
LIMITS = FetchLimits(
    read_seconds=2,
    total_seconds=30,
    attempts=1,
    allowed_networks=networks_in("127.0.0.1/32"),
)

needs_ytdlp = pytest.mark.skipif(
    importlib.util.find_spec("yt_dlp") is None, reason="yt-dlp is not installed"
)


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "talk.mp4").write_bytes(CONTENT)
    (folder / "empty.html").write_text("<html><body>no video here</body></html>")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(location: str, scratch: Path, limits: FetchLimits = LIMITS) -> LocalSource:
    return fetch_source(location, scratch=scratch, gcs_client=no_client, limits=limits)


@needs_ytdlp
def test_the_video_of_a_page_is_fetched_with_its_title(site: str, scratch: Path) -> None:
    source = fetch(f"ytdlp:{site}/talk.mp4", scratch)
    assert source.path.read_bytes() == CONTENT
    assert source.content_hash == hashlib.sha256(CONTENT).hexdigest()
    assert source.suggested_title == "talk"
    assert list(scratch.iterdir()) == [source.path]


@needs_ytdlp
@pytest.mark.parametrize("path", ["empty.html", "none.html", "none/"])
def test_a_page_without_a_video_is_rejected_and_named(site: str, scratch: Path, path: str) -> None:
    page = f"{site}/{path}?token=s3cret&pa55w0rd%21.x".replace("//", "//someone:hidden@")
    with pytest.raises(SourceRejected, match=path) as rejected:
        fetch(f"ytdlp:{page}", scratch)
    for secret in ("s3cret", "pa55w0rd", "hidden"):
        assert secret not in str(rejected.value)
    assert list(scratch.iterdir()) == []


@needs_ytdlp
def test_an_address_with_a_token_is_used_and_in_nobodys_list_of_processes(
    site: str, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[str] = []
    start = subprocess.Popen

    def noted(command: list[str], **options: Any) -> Any:
        commands.extend(command)
        return start(command, **options)

    monkeypatch.setattr(subprocess, "Popen", noted)
    source = fetch(f"ytdlp:{site}/talk.mp4?sig=s3cret", scratch)
    assert source.path.read_bytes() == CONTENT
    assert commands
    assert not any("s3cret" in argument for argument in commands)


def test_without_ytdlp_it_says_what_to_install(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(EngineUnavailable) as unavailable:
        fetch("https://www.youtube.com/watch?v=x", scratch)
    assert 'pip install "videomoments-dagster[ytdlp]"' in unavailable.value.remedy


def test_a_page_of_which_nothing_comes_is_told_of_before_it_is_given_up(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = [sys.executable, "-c", "import time; time.sleep(60)"]
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: True)
    monkeypatch.setattr(web_page, "_command", lambda *_: silent)
    monkeypatch.setattr(patience, "NOTICE_SECONDS", 0.6)
    said: list[str] = []
    with (
        patience.waiting_told(said.append),
        pytest.raises(SourceUnavailable, match="nothing came for 2 seconds"),
    ):
        fetch("ytdlp:http://127.0.0.1/?token=s3cret", scratch, replace(LIMITS, retry_seconds=2))
    [sentence] = said
    assert "http://127.0.0.1/" in sentence
    assert "has given no usable answer for 1 seconds" in sentence
    assert "s3cret" not in sentence


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
def test_a_fetch_that_takes_too_long_is_ended_with_its_children(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = "import time; time.sleep(60)"
    parent = (
        "import subprocess, sys; "
        f"p = subprocess.Popen([sys.executable, '-c', {child!r}]); "
        f"open({str(scratch.parent / 'pid')!r}, 'w').write(str(p.pid)); p.wait()"
    )
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: True)
    monkeypatch.setattr(web_page, "_command", lambda *_: [sys.executable, "-c", parent])
    started = time.monotonic()
    with pytest.raises(SourceUnavailable, match="timed out after 1 seconds"):
        fetch("ytdlp:http://127.0.0.1/", scratch, replace(LIMITS, total_seconds=1))
    assert time.monotonic() - started < 10
    assert list(scratch.iterdir()) == []
    pid_file = scratch.parent / "pid"
    if pid_file.exists():
        _assert_gone(int(pid_file.read_text()))


def _assert_gone(pid: int) -> None:
    for _ in range(50):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{pid}/stat").exists() and ") Z " in Path(f"/proc/{pid}/stat").read_text():
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("the child is still running")
