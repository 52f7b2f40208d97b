"""Servers that take a connection and never come to an answer."""

from __future__ import annotations

import importlib.util
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from videomoments_dagster.base.failures import ObjectStoreUnavailable, SourceUnavailable
from videomoments_dagster.core.objects.google_cloud import GoogleCloudStore
from videomoments_dagster.sources import patience
from videomoments_dagster.sources.fetching import fetch_source
from videomoments_dagster.sources.limits import FetchLimits, TransferLimits, networks_in

GIVEN_UP_SECONDS = 1.2
Answer = Callable[[socket.socket], None]


def silent(connection: socket.socket) -> None:
    """Read, and say nothing."""
    while connection.recv(65536):
        pass


def dripping(beginning: bytes, drop: bytes) -> Answer:
    """Send a beginning, and then a few bytes often enough for every time limit of a read."""

    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(beginning)
        while True:
            connection.sendall(drop)
            time.sleep(0.2)

    return answer


HEADERS = dripping(b"HTTP/1.1 200 OK\r\n", b"X: a\r\n")
ENDLESS_HEADER = dripping(b"HTTP/1.1 200 OK\r\nX: ", b"a")
CHUNK_SIZE = dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"a")


@contextmanager
def server(answer: Answer) -> Iterator[str]:
    """A server that treats every connection so; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                answer(connection)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    threading.Thread(target=serve, args=[connection], daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(patience, "NOTICE_SECONDS", 0.5)
    monkeypatch.setattr(patience, "LAST_TRY_SECONDS", 0.2)
    patience.patience_with.cache_clear()


@contextmanager
def told() -> Iterator[list[str]]:
    said: list[str] = []
    with patience.waiting_told(said.append):
        yield said


def store_at(url: str, monkeypatch: pytest.MonkeyPatch, **limits: float) -> GoogleCloudStore:
    def client() -> Any:
        from google.cloud import storage

        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        return storage.Client(project="test")

    return GoogleCloudStore(
        client,
        bucket="films",
        limits=TransferLimits(**limits),
        wait_seconds=GIVEN_UP_SECONDS,
    )


@pytest.mark.parametrize("answer", [silent, HEADERS, ENDLESS_HEADER])
def test_a_store_that_never_answers_is_told_of_soon_and_given_up_in_time(
    answer: Answer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    film = tmp_path / "a.mp4"
    film.write_bytes(b"a film")
    with server(answer) as url, told() as said:
        store = store_at(url, monkeypatch)
        begun = time.monotonic()
        for _ in range(3):  # as a step is tried again
            with pytest.raises(ObjectStoreUnavailable, match=r"gs://films/a.* could not be"):
                store.put_file(film, key="a.mp4", content_type="video/mp4")
        assert time.monotonic() - begun < 3 * GIVEN_UP_SECONDS
    assert said[0].startswith("gs://films has given no usable answer for ")


@pytest.mark.parametrize("answer", [silent, HEADERS, CHUNK_SIZE])
def test_a_range_that_never_comes_is_given_up(
    answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server(answer) as url:
        store = store_at(url, monkeypatch)
        begun = time.monotonic()
        with pytest.raises(ObjectStoreUnavailable, match=r"could not be read: no "):
            store.read_range("gs://films/a.mp4", start=0, length=10)
        assert time.monotonic() - begun < 3 * GIVEN_UP_SECONDS


def test_a_store_that_is_back_is_given_all_of_the_time_again() -> None:
    waiting = patience.Patience("gs://films", seconds=1.0)

    def fail(_: Any) -> None:
        time.sleep(0.6)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        waiting.call(fail, is_answer=lambda _: False)
    assert waiting.left() < 0.5
    assert waiting.call(lambda _: "an answer", is_answer=lambda _: False) == "an answer"
    assert waiting.left() == 1.0


def test_what_goes_on_arriving_is_waited_for_without_a_word() -> None:
    def slow(alive: patience.Alive) -> str:
        for _ in range(6):
            time.sleep(0.2)
            alive()
        return "all of it"

    waiting = patience.Patience("gs://films", seconds=0.5)
    with told() as said:
        assert waiting.call(slow, is_answer=lambda _: False) == "all of it"
    assert said == []


@pytest.mark.parametrize("answer", [silent, HEADERS, ENDLESS_HEADER, CHUNK_SIZE])
def test_a_source_that_never_answers_is_told_of_soon_and_given_up_in_time(
    answer: Answer, tmp_path: Path
) -> None:
    limits = FetchLimits(
        retry_seconds=GIVEN_UP_SECONDS, allowed_networks=networks_in("127.0.0.0/8")
    )
    with server(answer) as url, told() as said:
        begun = time.monotonic()
        for _ in range(3):
            with pytest.raises(SourceUnavailable, match=r"/talk\.mp4\?token=\.\.\. could not") as e:
                fetch_source(
                    f"{url}/talk.mp4?token=s3cret",
                    scratch=tmp_path,
                    gcs_client=lambda: None,
                    limits=limits,
                )
            assert e.value.retryable
            assert e.value.__context__ is None
        assert time.monotonic() - begun < 3 * GIVEN_UP_SECONDS
    assert said[0].startswith("127.0.0.1 has given no usable answer for ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(importlib.util.find_spec("yt_dlp") is None, reason="yt-dlp is not installed")
def test_a_page_that_drips_is_given_up(tmp_path: Path) -> None:
    limits = FetchLimits(retry_seconds=4.0, allowed_networks=networks_in("127.0.0.0/8"))
    with server(HEADERS) as url:
        begun = time.monotonic()
        with pytest.raises(SourceUnavailable, match="timed out: nothing came for 4 seconds"):
            fetch_source(
                f"ytdlp:{url}/talk", scratch=tmp_path, gcs_client=lambda: None, limits=limits
            )
        assert time.monotonic() - begun < 20
    assert list(tmp_path.iterdir()) == []
