"""Addresses that a URL may not lead to, with real servers that nobody may come to."""

import importlib.util
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from counting_server import CountingServer, counting_server
from fetch_fixtures import no_client

from videomoments_dagster.base.failures import SourceRejected, SourceUnavailable
from videomoments_dagster.sources.fetching import LocalSource, fetch_source
from videomoments_dagster.sources.limits import FetchLimits, networks_in

# Linux answers on all of 127.0.0.0/8; macOS on 127.0.0.1 alone.
SECOND = "127.0.0.2"
ONE = "127.0.0.1/32"

needs_ytdlp = pytest.mark.skipif(
    importlib.util.find_spec("yt_dlp") is None, reason="yt-dlp is not installed"
)
needs_two_addresses = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux has a second loopback address"
)


@pytest.fixture
def public() -> Iterator[CountingServer]:
    """A server that the tests allow."""
    with counting_server() as server:
        server.files["/talk.mp4"] = b"the talk"
        yield server


@pytest.fixture
def private() -> Iterator[CountingServer]:
    """A server that nobody may come to."""
    with counting_server(SECOND if sys.platform == "linux" else "127.0.0.1") as server:
        server.files["/talk.mp4"] = b"a secret"
        yield server


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


def fetch(location: str, scratch: Path, allowed: str = "") -> LocalSource:
    limits = FetchLimits(
        connect_seconds=2,
        read_seconds=2,
        total_seconds=60,
        attempts=1,
        allowed_networks=networks_in(allowed),
    )
    return fetch_source(location, scratch=scratch, gcs_client=no_client, limits=limits)


def refused(location: str, scratch: Path, allowed: str = "") -> SourceRejected:
    with pytest.raises(SourceRejected, match="not on the public internet") as rejected:
        fetch(location, scratch, allowed)
    assert list(scratch.iterdir()) == []
    assert "VIDEOMOMENTS_ALLOWED_NETWORKS" in rejected.value.remedy
    assert not rejected.value.retryable
    return rejected.value


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1"),
        *("localhost", "LocalHost", "0", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"),
        *("x@127.0.0.1", "8.8.8.8@127.0.0.1"),
    ],
)
def test_this_machine_is_not_even_connected_to_however_its_address_is_written(
    public: CountingServer, scratch: Path, host: str
) -> None:
    refused(f"http://{host}:{public.port}/talk.mp4", scratch)
    assert public.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1.", "１２７.0.0.1", "127。0。0。1"])  # noqa: RUF001
def test_what_some_resolvers_take_for_this_machine_is_not_connected_to(
    public: CountingServer, scratch: Path, host: str
) -> None:
    with pytest.raises(SourceRejected):
        fetch(f"http://{host}:{public.port}/talk.mp4", scratch)
    assert public.connections == 0


@pytest.mark.parametrize(
    "host",
    [
        *("169.254.169.254", "10.0.0.1", "192.168.0.1", "172.16.0.1", "100.64.0.1", "224.0.0.1"),
        *("[::1]", "[fe80::1]", "[fd00:ec2::254]", "[64:ff9b::a9fe:a9fe]", "[2002:7f00:1::]"),
    ],
)
def test_no_address_of_the_own_network_or_cloud_is_connected_to(scratch: Path, host: str) -> None:
    rejected = refused(f"http://{host}/latest/meta-data/?token=s3cret", scratch)
    assert "s3cret" not in str(rejected)


@needs_two_addresses
def test_an_allowed_network_is_fetched_from_and_its_neighbour_is_not(
    public: CountingServer, private: CountingServer, scratch: Path
) -> None:
    refused(f"{private.url}/talk.mp4", scratch, ONE)
    assert fetch(f"{public.url}/talk.mp4", scratch, ONE).path.read_bytes() == b"the talk"
    assert private.connections == 0


@needs_two_addresses
@pytest.mark.parametrize("steps", [1, 3])
def test_a_redirect_into_a_private_network_is_not_followed(
    public: CountingServer, private: CountingServer, scratch: Path, steps: int
) -> None:
    public.redirects = {f"/{step}": f"{public.url}/{step + 1}" for step in range(steps)}
    public.redirects[f"/{steps - 1}"] = f"{private.url}/talk.mp4"
    refused(f"{public.url}/0", scratch, ONE)
    assert len(public.paths) == steps
    assert private.connections == 0


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
    """Have names resolve to the next of `answers`, and to the last one for ever after."""
    real, waiting = socket.getaddrinfo, list(answers)

    def answer(host: Any, *details: Any, **options: Any) -> Any:
        if host != "talks.example":
            return real(host, *details, **options)
        addresses = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return [entry for one in addresses for entry in real(one, *details, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", answer)


@needs_two_addresses
def test_a_name_is_held_to_the_address_that_was_checked(
    private: CountingServer, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with counting_server("127.0.0.1", private.port) as public:
        public.files["/talk.mp4"] = b"the talk"
        resolving(monkeypatch, ["127.0.0.1"], [SECOND])
        source = fetch(f"http://talks.example:{private.port}/talk.mp4", scratch, ONE)
    assert source.path.read_bytes() == b"the talk"
    assert private.connections == 0


@needs_two_addresses
def test_a_name_with_private_and_public_addresses_leads_to_the_public_one(
    private: CountingServer, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with counting_server("127.0.0.1", private.port) as public:
        public.files["/talk.mp4"] = b"the talk"
        resolving(monkeypatch, [SECOND, "127.0.0.1"])
        source = fetch(f"http://talks.example:{private.port}/talk.mp4", scratch, ONE)
    assert source.path.read_bytes() == b"the talk"
    assert private.connections == 0


def test_a_name_that_resolves_to_a_private_address_is_refused(
    public: CountingServer, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, ["127.0.0.1"])
    rejected = refused(f"http://talks.example:{public.port}/talk.mp4", scratch)
    assert "127.0.0.1" in rejected.reason
    assert public.connections == 0


def test_a_certificate_is_asked_for_by_the_name_and_not_by_the_address(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, ["127.0.0.1"])
    asked: list[str | None] = []
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.sni_callback = lambda _socket, name, _context: asked.append(name)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            accepted, _ = listener.accept()
            # It has no certificate to give.
            with accepted, suppress(OSError):
                tls.wrap_socket(accepted, server_side=True)

        greeter = threading.Thread(target=greet)
        greeter.start()
        with pytest.raises(SourceUnavailable):
            fetch(f"https://talks.example:{listener.getsockname()[1]}/talk.mp4", scratch, ONE)
        greeter.join()
    assert asked == ["talks.example"]


@needs_two_addresses
def test_nothing_is_sent_where_another_address_was_reached_than_was_connected_to(
    private: CountingServer, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = socket.socket.connect

    def diverted(self: socket.socket, address: tuple[str, int]) -> None:
        connect(self, (SECOND, private.port))

    monkeypatch.setattr(socket.socket, "connect", diverted)
    rejected = refused(f"http://127.0.0.1:{private.port}/talk.mp4", scratch, ONE)
    assert SECOND in rejected.reason
    assert private.paths == []


@pytest.fixture
def proxy(public: CountingServer, monkeypatch: pytest.MonkeyPatch) -> CountingServer:
    """A proxy that the environment names; it answers whatever it is asked for."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, public.url)
    public.files["http://talks.example/talk.mp4"] = b"the talk"
    return public


def test_a_proxy_of_the_own_network_is_trusted(proxy: CountingServer, scratch: Path) -> None:
    source = fetch("http://talks.example/talk.mp4", scratch)
    assert source.path.read_bytes() == b"the talk"
    assert proxy.paths == ["http://talks.example/talk.mp4"]


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "2130706433", "0x7f.1", "[::1]", "[::ffff:a00:1]", "169.254.169.254"),
        *("localhost", "a.localhost", "intranet", "metadata.google.internal"),
    ],
)
def test_a_proxy_is_asked_for_no_local_host(
    proxy: CountingServer, scratch: Path, host: str
) -> None:
    refused(f"http://{host}/talk.mp4", scratch)
    proxy.redirects["http://talks.example/on"] = f"http://{host}/talk.mp4"
    refused("http://talks.example/on", scratch)
    assert proxy.paths == ["http://talks.example/on"]


@needs_ytdlp
def test_a_page_on_this_machine_is_refused_before_it_is_asked_for(
    public: CountingServer, scratch: Path
) -> None:
    for host in ("127.0.0.1", "localhost", "2130706433"):
        refused(f"ytdlp:http://{host}:{public.port}/talk.mp4", scratch)
    assert public.connections == 0


@needs_ytdlp
@needs_two_addresses
@pytest.mark.parametrize("way", ["a redirect", "a video of the page"])
def test_a_page_cannot_lead_ytdlp_into_a_private_network(
    public: CountingServer, private: CountingServer, scratch: Path, way: str
) -> None:
    target = f"{private.url}/talk.mp4"
    public.redirects["/redirect"] = target
    public.files["/page"] = f"<html><video src='{target}'></video></html>".encode()
    path = "/redirect" if way == "a redirect" else "/page"
    rejected = refused(f"ytdlp:{public.url}{path}", scratch, ONE)
    assert SECOND in rejected.reason
    assert private.connections == 0
    assert path in public.paths


@needs_ytdlp
def test_a_page_behind_a_proxy_is_asked_for_through_it(
    proxy: CountingServer, scratch: Path
) -> None:
    refused("ytdlp:http://localhost/talk.mp4", scratch)
    assert proxy.connections == 0
    source = fetch("ytdlp:http://talks.example/talk.mp4", scratch)
    assert source.path.read_bytes() == b"the talk"
