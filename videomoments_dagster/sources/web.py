"""Downloads over http(s): bounded, resumed, hashed while they arrive.

Whether the bytes are a video is not asked: an HTML page is passed on. Messages never contain an
exception's text: it quotes addresses with their tokens.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from pathlib import Path
from typing import IO
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from videomoments_dagster.base.failures import SourceRejected, SourceUnavailable
from videomoments_dagster.base.files import scratch_errors, scratch_file
from videomoments_dagster.sources.connections import checked_session
from videomoments_dagster.sources.limits import NO_SUCH_HOST, FetchLimits, Progress
from videomoments_dagster.sources.locations import redact
from videomoments_dagster.sources.patience import Alive, NoAnswer, patience_with

_READ_BYTES = 64 * 1024
_PROGRESS_THAT_COUNTS = 1024 * 1024
_MAX_REDIRECTS = 10
_LONGEST_WAIT_SECONDS = 30.0

_PASSING = frozenset({408, 425, 429})
_REFUSALS = {
    401: ("asks for a log-in (HTTP 401)", "Give an address that needs none"),
    403: ("is forbidden (HTTP 403)", "Ask for access, or give a fresh link if this one expired"),
    404: ("does not exist (HTTP 404)", "Check the address for a typing error"),
    410: ("is gone (HTTP 410)", "Find where it has moved to"),
}
# Connections and TLS fail as `OSError`; what the disk refuses is `ScratchExhausted` by then.
_TRANSPORT_ERRORS = (OSError, urllib3.exceptions.HTTPError, http.client.HTTPException)


class _Interrupted(Exception):
    """An attempt failed in a way that may pass."""

    wait_seconds = 0.0
    """How long the server asks to wait."""


def download(
    url: str, *, to: Path, limits: FetchLimits, progress: Progress
) -> tuple[str, str | None]:
    """Download an address to a file, which appears complete or not at all.

    Returns:
        SHA-256 of the bytes, hexadecimal, and what the server calls the file, if it says.

    Raises:
        SourceRejected: The server says that it is not to be had, it is empty or too large, or it
            leads to a network that is not allowed.
        SourceUnavailable: All attempts failed, or the time limit passed.
        ScratchExhausted: The local disk is full or not writable.
    """
    with scratch_file(to) as file, checked_session(limits.allowed_networks) as session:
        transfer = _Transfer(url, to, file, session, limits, progress)
        patience = patience_with(urlsplit(url).hostname or "", limits.retry_seconds)
        silence = ""
        try:
            patience.call(transfer.complete, is_answer=_is_answer)
        except NoAnswer as error:
            silence = str(error)
        if silence:
            raise SourceUnavailable(
                f"the source {redact(url)} could not be downloaded: there was {silence}",
                remedy="Try again later, or download it yourself and give the file",
            )
        if transfer.received == 0:
            raise SourceRejected(f"the source {redact(url)} is empty (0 bytes)")
    return transfer.digest.hexdigest(), transfer.file_name


def _is_answer(error: Exception) -> bool:
    return not isinstance(error, SourceUnavailable)


@dataclass(slots=True)
class _Transfer:
    """The state of one download over all its attempts."""

    url: str
    to: Path
    file: IO[bytes]
    session: requests.Session
    limits: FetchLimits
    progress: Progress
    received: int = 0
    file_name: str | None = None
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    total: int | None = None
    validator: str | None = None
    started: float = field(default_factory=time.monotonic)
    alive: Alive = lambda: None

    def complete(self, alive: Alive) -> None:
        """Make attempts until one gets to the end.

        Args:
            alive: Called whenever something came.
        """
        self.alive = alive
        failures = furthest = 0
        while True:
            try:
                return self._attempt()
            except _Interrupted as interruption:
                reason, wait = str(interruption), interruption.wait_seconds
            if self.received >= furthest + _PROGRESS_THAT_COUNTS:
                failures, furthest = 0, self.received
            failures += 1
            if failures >= self.limits.attempts:
                raise SourceUnavailable(
                    f"the source {redact(self.url)} could not be downloaded: {reason} "
                    f"({failures} times in a row)",
                    remedy="Check the address and the network, then try again",
                )
            wait = max(wait, self.limits.first_wait_seconds * 2 ** (failures - 1))
            wait = min(wait, _LONGEST_WAIT_SECONDS)
            if self._seconds_left() <= wait:
                raise self._too_slow()
            time.sleep(wait)

    def _seconds_left(self) -> float:
        return self.started + self.limits.total_seconds - time.monotonic()

    def _too_slow(self) -> SourceUnavailable:
        return SourceUnavailable(
            f"the source {redact(self.url)} took longer than {self.limits.total_seconds:g} seconds",
            remedy="Try again, or download it yourself and give the file",
        )

    def _attempt(self) -> None:
        headers = {"Accept-Encoding": "identity", "User-Agent": "videomoments-dagster"}
        if self.received and self.validator:
            headers |= {"Range": f"bytes={self.received}-", "If-Range": self.validator}
        failure: Exception | None = None
        try:
            with self._open(headers) as response:
                self._accept(response)
                self._receive(response)
        except _TRANSPORT_ERRORS as error:
            failure = self._failure_of(error)
        if failure is not None:
            # Out here, so that the error with its address is not even kept as the context.
            raise failure
        if self.total is not None and self.received != self.total:
            raise _Interrupted(f"it ended after {self.received} of {self.total} bytes")

    def _open(self, headers: dict[str, str]) -> requests.Response:
        url = self.url
        for _ in range(_MAX_REDIRECTS + 1):
            left = self._seconds_left()
            if left <= 0:
                raise self._too_slow()
            timeout = min(self.limits.connect_seconds, left), min(self.limits.read_seconds, left)
            response = self.session.get(
                url, headers=headers, stream=True, timeout=timeout, allow_redirects=False
            )
            self.alive()
            target = self.session.get_redirect_target(response)
            if target is None:
                return response
            response.close()
            url = urljoin(url, target)
            scheme = urlsplit(url).scheme
            if scheme.lower() not in {"http", "https"}:
                raise self._rejected(f"leads on to a {scheme}: address, which is not followed")
        raise self._rejected(f"leads on more than {_MAX_REDIRECTS} times")

    def _rejected(self, reason: str, *, remedy: str = "") -> SourceRejected:
        return SourceRejected(f"the source {redact(self.url)} {reason}", remedy=remedy)

    def _accept(self, response: requests.Response) -> None:
        """Prepare for the answer's body, or say why there is none to use."""
        status, headers = response.status_code, response.headers
        if status == HTTPStatus.PARTIAL_CONTENT:
            place = re.match(r"\s*bytes (\d+)-\d+/(\d+|\*)\s*$", headers.get("Content-Range", ""))
            if place and int(place[1]) == self.received > 0:
                return
        if status in {HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}:
            self._start_over()
            raise _Interrupted("the server could not go on where it had stopped")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _PASSING:
            failure = _Interrupted(f"the server answered HTTP {status}")
            wait = headers.get("Retry-After", "")
            failure.wait_seconds = float(wait) if wait.isdigit() else 0.0
            raise failure
        if status != HTTPStatus.OK:
            reason, remedy = _REFUSALS.get(status, (f"was answered with HTTP {status}", ""))
            raise self._rejected(reason, remedy=remedy)
        self._start_over()
        if headers.get("Content-Encoding", "identity").lower() == "identity":
            length, tag = headers.get("Content-Length", ""), headers.get("ETag", "")
            self.total = int(length) if length.isdigit() else None
            # What proves on resumption that the file is still the same; weak tags do not.
            self.validator = tag if tag.startswith('"') else headers.get("Last-Modified")
        disposition = Message()
        disposition["Content-Disposition"] = headers.get("Content-Disposition", "")
        name = disposition.get_filename()
        self.file_name = Path(name.replace("\\", "/")).name if name else None
        self._require_size(self.total or 0)

    def _receive(self, response: requests.Response) -> None:
        # `read1` returns what has arrived. `read` and `iter_content` wait for a full block, and
        # a server that sends one byte a second would hold them for hours.
        while block := response.raw.read1(_READ_BYTES, decode_content=True):
            with scratch_errors(self.to):
                self.file.write(block)
            self.digest.update(block)
            self.received += len(block)
            self.alive()
            self._require_size(self.received)
            self.progress(self.received, self.total)
            if self._seconds_left() <= 0:
                raise self._too_slow()

    def _start_over(self) -> None:
        with scratch_errors(self.to):
            self.file.seek(0)
            self.file.truncate()
        self.digest = hashlib.sha256()
        self.received = 0
        self.total = self.validator = None

    def _require_size(self, size: int) -> None:
        if size > self.limits.max_bytes:
            raise self._rejected(
                f"is larger than the limit of {self.limits.max_bytes} bytes",
                remedy="Raise the limit for downloads, or download it yourself and give the file",
            )

    def _failure_of(self, error: BaseException) -> Exception:
        causes = list(_causes(error))
        for cause in causes:
            match cause:
                case requests.exceptions.InvalidURL():
                    return self._rejected("is not a valid http(s) address")
                case ssl.SSLCertVerificationError():
                    return self._rejected("has a certificate that cannot be verified")
                case socket.gaierror(errno=code) if code in NO_SUCH_HOST:
                    return self._rejected("names a host that does not exist")
        if self._seconds_left() <= 0:
            return self._too_slow()
        # Not connecting is also a kind of time limit to urllib3, so that limits come last.
        for kinds, reason in (
            (ConnectionRefusedError, "the connection was refused"),
            (urllib3.exceptions.NewConnectionError, "there was no connection"),
            ((TimeoutError, urllib3.exceptions.TimeoutError), "the server did not answer in time"),
        ):
            if any(isinstance(cause, kinds) for cause in causes):
                return _Interrupted(reason)
        broken = f"the connection broke off after {self.received} bytes"
        return _Interrupted(broken if self.received else "there was no connection")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Give an exception and everything that it was made from, also as an argument."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        current = waiting.pop()
        if isinstance(current, BaseException) and id(current) not in seen:
            seen.add(id(current))
            yield current
            waiting += [current.__cause__, current.__context__, *current.args]
            waiting.append(getattr(current, "reason", None))
