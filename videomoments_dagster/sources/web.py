"""Downloads over http(s): bounded, resumed, hashed while they arrive.

Belongs here: requests, redirects, retries, and what an HTTP answer means for a source. Does not
belong here: whether the bytes are a video (an HTML page is passed on), the naming of videos.

Messages never contain an exception's text: it quotes addresses with their tokens.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from videomoments_dagster.base.failures import SourceRejected, SourceUnavailable
from videomoments_dagster.base.files import part_path, removed_afterwards, scratch_errors
from videomoments_dagster.sources.connections import NO_SUCH_HOST, checked_session
from videomoments_dagster.sources.limits import FetchLimits, Progress
from videomoments_dagster.sources.locations import redact

_READ_BYTES = 64 * 1024
_PROGRESS_THAT_COUNTS = 1024 * 1024
_MAX_REDIRECTS = 10
_LONGEST_WAIT_SECONDS = 30.0
_USER_AGENT = "videomoments-dagster"

_OK = 200
_PARTIAL = 206
_RANGE_NOT_SATISFIABLE = 416
_FIRST_ERROR = 400
_FIRST_SERVER_ERROR = 500
_PASSING = frozenset({408, 425, 429})
_REFUSALS = {
    401: ("asks for a log-in (HTTP 401)", "Give an address that needs none"),
    403: ("is forbidden (HTTP 403)", "Ask for access, or give a fresh link if this one expired"),
    404: ("does not exist (HTTP 404)", "Check the address for a typing error"),
    410: ("is gone (HTTP 410)", "Find where it has moved to"),
}
_TRANSPORT_ERRORS = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
    ssl.SSLError,
)


@dataclass(frozen=True, slots=True)
class Download:
    """A finished download.

    Attributes:
        path: The file.
        size_bytes: Size.
        content_hash: SHA-256, 64 hexadecimal characters.
        file_name: What the server calls the file; None where it does not say.
    """

    path: Path
    size_bytes: int
    content_hash: str
    file_name: str | None


class _Interrupted(Exception):
    """An attempt failed in a way that may pass."""

    def __init__(self, reason: str, *, wait_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait_seconds = wait_seconds


def download(url: str, *, to: Path, limits: FetchLimits, progress: Progress | None) -> Download:
    """Download an address to a file, which appears complete or not at all.

    Raises:
        SourceRejected: The server says that it is not to be had, it is empty or too large, or it
            leads to a network that is not allowed.
        SourceUnavailable: All attempts failed, or the time limit passed.
        ScratchExhausted: The local disk is full or not writable.
    """
    with removed_afterwards(part_path(to)) as part:
        with scratch_errors(to):
            file = part.open("xb")
        with file, checked_session(limits.allowed_networks) as session:
            transfer = _Transfer(url, file, to=to, session=session, limits=limits)
            _with_retries(transfer, progress)
            with scratch_errors(to):
                file.flush()
        if transfer.received == 0:
            raise SourceRejected(f"the source {transfer.shown} is empty (0 bytes)")
        with scratch_errors(to):
            part.replace(to)
    return Download(
        path=to,
        size_bytes=transfer.received,
        content_hash=transfer.digest.hexdigest(),
        file_name=transfer.file_name,
    )


def _with_retries(transfer: _Transfer, progress: Progress | None) -> None:
    limits = transfer.limits
    failures = 0
    furthest = 0
    while True:
        try:
            transfer.attempt(progress)
        except _Interrupted as interruption:
            reason, asked = interruption.reason, interruption.wait_seconds
        else:
            return
        if transfer.received >= furthest + _PROGRESS_THAT_COUNTS:
            failures, furthest = 0, transfer.received
        failures += 1
        if failures >= limits.attempts:
            raise SourceUnavailable(
                f"the source {transfer.shown} could not be downloaded: {reason} "
                f"({failures} times in a row)",
                remedy="Check the address and the network, then try again",
            )
        wait = max(asked, limits.first_wait_seconds * 2 ** (failures - 1))
        wait = min(wait, _LONGEST_WAIT_SECONDS)
        if transfer.seconds_left() <= wait:
            raise transfer.too_slow()
        time.sleep(wait)


class _Transfer:
    """The state of one download over all its attempts."""

    def __init__(
        self, url: str, file: IO[bytes], *, to: Path, session: requests.Session, limits: FetchLimits
    ) -> None:
        self.shown = redact(url)
        self.limits = limits
        self.received = 0
        self.digest = hashlib.sha256()
        self.file_name: str | None = None
        self._url = url
        self._file = file
        self._to = to
        self._session = session
        self._deadline = time.monotonic() + limits.total_seconds
        self._total: int | None = None
        self._validator: str | None = None

    def seconds_left(self) -> float:
        return self._deadline - time.monotonic()

    def too_slow(self) -> SourceUnavailable:
        return SourceUnavailable(
            f"the source {self.shown} took longer than {self.limits.total_seconds:g} seconds",
            remedy="Try again, or download it yourself and give the file",
        )

    def attempt(self, progress: Progress | None) -> None:
        headers = {"Accept-Encoding": "identity", "User-Agent": _USER_AGENT}
        if self.received and self._validator:
            headers |= {"Range": f"bytes={self.received}-", "If-Range": self._validator}
        failure: Exception | None = None
        try:
            with self._open(headers) as response:
                self._accept(response)
                self._receive(response, progress)
        except _TRANSPORT_ERRORS as error:
            failure = self._failure_of(error)
        if failure is not None:
            # Out here, so that the error with its address is not even kept as the context.
            raise failure
        if self._total is not None and self.received != self._total:
            raise _Interrupted(f"it ended after {self.received} of {self._total} bytes")

    def _open(self, headers: dict[str, str]) -> requests.Response:
        url = self._url
        for _ in range(_MAX_REDIRECTS + 1):
            left = self.seconds_left()
            if left <= 0:
                raise self.too_slow()
            timeout = min(self.limits.connect_seconds, left), min(self.limits.read_seconds, left)
            response = self._session.get(
                url, headers=headers, stream=True, timeout=timeout, allow_redirects=False
            )
            target = self._session.get_redirect_target(response)
            if target is None:
                return response
            response.close()
            url = urljoin(url, target)
            if urlsplit(url).scheme.lower() not in ("http", "https"):
                scheme = urlsplit(url).scheme
                raise SourceRejected(
                    f"the source {self.shown} leads on to a {scheme}: address, "
                    "which is not followed"
                )
        raise SourceRejected(f"the source {self.shown} leads on more than {_MAX_REDIRECTS} times")

    def _accept(self, response: requests.Response) -> None:
        """Prepare for the answer's body, or say why there is none to use."""
        status = response.status_code
        if status == _PARTIAL and self._continues(response):
            return
        if status in (_PARTIAL, _RANGE_NOT_SATISFIABLE):
            self._start_over()
            raise _Interrupted("the server could not go on where it had stopped")
        if status >= _FIRST_SERVER_ERROR or status in _PASSING:
            raise _Interrupted(
                f"the server answered HTTP {status}", wait_seconds=_retry_after(response)
            )
        if status >= _FIRST_ERROR or status != _OK:
            reason, remedy = _REFUSALS.get(status, (f"was answered with HTTP {status}", ""))
            raise SourceRejected(f"the source {self.shown} {reason}", remedy=remedy)
        self._start_over()
        plain = response.headers.get("Content-Encoding", "identity").lower() == "identity"
        length = response.headers.get("Content-Length", "")
        self._total = int(length) if plain and length.isdigit() else None
        self._validator = _validator_of(response) if plain else None
        self.file_name = _file_name_of(response)
        self._require_size(self._total or 0)

    def _continues(self, response: requests.Response) -> bool:
        match = re.fullmatch(
            r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip()
        )
        return match is not None and int(match[1]) == self.received > 0

    def _receive(self, response: requests.Response, progress: Progress | None) -> None:
        # `read1` returns what has arrived. `read` and `iter_content` wait for a full block, and
        # a server that sends one byte a second would hold them for hours.
        while block := response.raw.read1(_READ_BYTES, decode_content=True):
            with scratch_errors(self._to):
                self._file.write(block)
            self.digest.update(block)
            self.received += len(block)
            self._require_size(self.received)
            if progress is not None:
                progress(self.received, self._total)
            if self.seconds_left() <= 0:
                raise self.too_slow()

    def _start_over(self) -> None:
        with scratch_errors(self._to):
            self._file.seek(0)
            self._file.truncate()
        self.digest = hashlib.sha256()
        self.received = 0
        self._total = None
        self._validator = None

    def _require_size(self, size: int) -> None:
        if size > self.limits.max_bytes:
            limit = f"{self.limits.max_bytes} bytes"
            raise SourceRejected(
                f"the source {self.shown} is larger than the limit of {limit}",
                remedy="Raise the limit for downloads, or download it yourself and give the file",
            )

    def _failure_of(self, error: BaseException) -> Exception:
        causes = list(_causes(error))
        refusal = _refusal_of(causes)
        if refusal:
            return SourceRejected(f"the source {self.shown} {refusal}")
        if self.seconds_left() <= 0:
            return self.too_slow()
        return _Interrupted(self._interruption(causes))

    def _interruption(self, causes: list[BaseException]) -> str:
        # Not connecting is also a kind of time limit to urllib3, so that limits come last.
        for kinds, reason in (
            (ConnectionRefusedError, "the connection was refused"),
            (urllib3.exceptions.NewConnectionError, "there was no connection"),
            ((TimeoutError, urllib3.exceptions.TimeoutError), "the server did not answer in time"),
        ):
            if any(isinstance(cause, kinds) for cause in causes):
                return reason
        if self.received:
            return f"the connection broke off after {self.received} bytes"
        return "there was no connection"


def _refusal_of(causes: list[BaseException]) -> str:
    """Say what will not pass by itself among the causes of an error; empty for the rest."""
    for cause in causes:
        if isinstance(cause, requests.exceptions.InvalidURL):
            return "is not a valid http(s) address"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "has a certificate that cannot be verified"
        if isinstance(cause, socket.gaierror) and cause.errno in NO_SUCH_HOST:
            return "names a host that does not exist"
    return ""


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


def _validator_of(response: requests.Response) -> str | None:
    """Give what proves on resumption that the file is still the same; weak tags do not."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")


def _retry_after(response: requests.Response) -> float:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else 0.0


def _file_name_of(response: requests.Response) -> str | None:
    header = Message()
    header["Content-Disposition"] = response.headers.get("Content-Disposition", "")
    name = header.get_filename()
    return Path(name.replace("\\", "/")).name if name else None
