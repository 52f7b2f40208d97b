"""How bytes and questions travel to and from Google Cloud Storage.

Belongs here: time limits and retries, a verified download, and what Google's exceptions mean.
Does not belong here: keys, roots, and the words a user reads (they differ between a stored
object and a source). Google's packages are imported inside functions: they cost a second, and a
local folder needs none of them.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import google_crc32c

from videomoments_dagster.base.files import blocks_of, part_path, removed_afterwards, scratch_errors

GoogleProblem = Literal["missing", "exists", "forbidden", "credentials", "unavailable"]

_DAMAGE_ATTEMPTS = 2
_HTTP_UNAUTHENTICATED = 401
_HTTP_FORBIDDEN = 403
_HTTP_MISSING = 404
_HTTP_PRECONDITION_FAILED = 412


@dataclass(frozen=True, slots=True)
class TransferLimits:
    """Bounds on every call to Google Cloud Storage.

    Attributes:
        connect_seconds: To establish a connection.
        read_seconds: Between two bytes of an answer.
        retry_seconds: How long one request, or one block of an upload, is tried again.
        first_wait_seconds: Wait before the first retry; doubles from there.
        total_seconds: For one download from start to end.
        block_bytes: Size of an upload's blocks, a multiple of 256 KiB.
    """

    connect_seconds: float = 10.0
    read_seconds: float = 60.0
    retry_seconds: float = 180.0
    first_wait_seconds: float = 1.0
    total_seconds: float = 6 * 3600.0
    block_bytes: int = 16 * 1024 * 1024

    @property
    def timeout(self) -> tuple[float, float]:
        """Connect and read limits in seconds, as `requests` takes them."""
        return self.connect_seconds, self.read_seconds

    def retry(self) -> Any:
        """Build the retry policy: 408, 429, 5xx, dropped connections and time limits."""
        from google.cloud.storage.retry import DEFAULT_RETRY  # noqa: PLC0415

        return DEFAULT_RETRY.with_timeout(self.retry_seconds).with_delay(
            initial=self.first_wait_seconds, maximum=30.0, multiplier=2.0
        )


class DamagedDownload(Exception):
    """What arrived does not have the checksum that the server keeps."""


class DownloadTimedOut(Exception):
    """A download took longer than its total limit."""


@dataclass(frozen=True, slots=True)
class Checksums:
    """Size and checksums of a file.

    Attributes:
        size_bytes: Size.
        crc32c: Base64 of the big-endian CRC-32C, as Google writes it.
        sha256: Hexadecimal.
    """

    size_bytes: int
    crc32c: str
    sha256: str


class ReadAloud(io.FileIO):
    """A file that is read, telling how far."""

    def __init__(self, path: Path, progress: Callable[[int], None] | None) -> None:
        super().__init__(path)
        self._progress = progress

    def read(self, size: int | None = -1, /) -> bytes:
        """Read some bytes, and tell where they end."""
        content = super().read(-1 if size is None else size)
        if self._progress is not None:
            self._progress(self.tell())
        return content


def checksums_of(path: Path) -> Checksums:
    """Read a file once and compute what an upload of it must match."""
    sums = _RunningChecksums()
    for block in blocks_of(path):
        sums.update(block)
    return sums.result()


def download_blob(
    blob: Any,
    *,
    to: Path,
    limits: TransferLimits,
    on_progress: Callable[[int, int | None], None] | None = None,
) -> Checksums:
    """Download a blob whose metadata is loaded; the file appears complete and verified.

    A dropped connection goes on where it stopped. The checksum is computed here, over all that
    was written: Google's client checks none after it has resumed.

    Raises:
        DamagedDownload: The checksum was wrong twice.
        DownloadTimedOut: The total limit passed.
        ScratchExhausted: The local disk is full or not writable.
        Exception: What Google's client raises; see `google_problem`.
    """
    deadline = time.monotonic() + limits.total_seconds
    for _ in range(_DAMAGE_ATTEMPTS):
        with removed_afterwards(part_path(to)) as part:
            with scratch_errors(to):
                file = part.open("xb")
            with file:
                sink = _VerifyingSink(
                    file,
                    path=to,
                    deadline=deadline,
                    total=blob.size,
                    on_progress=on_progress,
                )
                blob.download_to_file(
                    sink,
                    raw_download=True,
                    checksum=None,
                    timeout=limits.timeout,
                    retry=limits.retry(),
                )
                sums = sink.sums.result()
                with scratch_errors(to):
                    file.flush()
            if sums.crc32c == blob.crc32c:
                with scratch_errors(to):
                    part.replace(to)
                return sums
    raise DamagedDownload


def google_problem(error: BaseException) -> GoogleProblem | None:
    """Say what an exception of Google's client means; None for what is not Google's."""
    from google.api_core import exceptions as api  # noqa: PLC0415
    from google.auth import exceptions as auth  # noqa: PLC0415
    from google.cloud.storage.exceptions import DataCorruption, InvalidResponse  # noqa: PLC0415
    from requests import RequestException  # noqa: PLC0415
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    if isinstance(error, auth.TransportError):
        return "unavailable"
    if isinstance(error, auth.GoogleAuthError):
        return "unavailable" if getattr(error, "retryable", False) else "credentials"
    if isinstance(error, api.RetryError):
        return "unavailable"
    if isinstance(error, api.GoogleAPICallError | InvalidResponse):
        return _problem_of_status(_status_of(error))
    if isinstance(
        error,
        DataCorruption
        | DamagedDownload
        | DownloadTimedOut
        | RequestException
        | HTTPError
        | ConnectionError
        | TimeoutError,
    ):
        return "unavailable"
    return None


def brief_reason(error: BaseException) -> str:
    """Say in a few words why something was unavailable, without addresses or tokens."""
    if isinstance(error, DamagedDownload):
        return "the bytes arrived damaged twice"
    if isinstance(error, DownloadTimedOut):
        return "the download took too long"
    status = _status_of(error) or _status_of(error.__cause__)
    return f"HTTP {status}" if status else f"no connection ({type(error).__name__})"


def _status_of(error: BaseException | None) -> int | None:
    code = getattr(error, "code", None) or getattr(
        getattr(error, "response", None), "status_code", None
    )
    return code if isinstance(code, int) else None


def _problem_of_status(status: int | None) -> GoogleProblem:
    if status == _HTTP_MISSING:
        return "missing"
    if status == _HTTP_FORBIDDEN:
        return "forbidden"
    if status == _HTTP_UNAUTHENTICATED:
        return "credentials"
    if status == _HTTP_PRECONDITION_FAILED:
        return "exists"
    return "unavailable"


class _RunningChecksums:
    """Size, CRC-32C and SHA-256 of the bytes seen so far."""

    def __init__(self) -> None:

        self.size_bytes = 0
        untyped: Any = google_crc32c.Checksum
        self._crc32c = untyped()
        self._sha256 = hashlib.sha256()

    def update(self, block: bytes) -> None:
        self.size_bytes += len(block)
        self._crc32c.update(block)
        self._sha256.update(block)

    def result(self) -> Checksums:
        return Checksums(
            size_bytes=self.size_bytes,
            crc32c=base64.b64encode(self._crc32c.digest()).decode("ascii"),
            sha256=self._sha256.hexdigest(),
        )


class _VerifyingSink:
    """The file object that a download writes to: it counts, sums and keeps the time limit."""

    def __init__(
        self,
        file: IO[bytes],
        *,
        path: Path,
        deadline: float,
        total: int | None,
        on_progress: Callable[[int, int | None], None] | None,
    ) -> None:
        self.sums = _RunningChecksums()
        self._file = file
        self._path = path
        self._deadline = deadline
        self._total = total
        self._on_progress = on_progress

    def write(self, block: bytes) -> int:
        if time.monotonic() > self._deadline:
            raise DownloadTimedOut
        with scratch_errors(self._path):
            self._file.write(block)
        self.sums.update(block)
        if self._on_progress is not None:
            self._on_progress(self.sums.size_bytes, self._total)
        return len(block)

    def flush(self) -> None:
        self._file.flush()

    def tell(self) -> int:
        return self.sums.size_bytes

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        # Asked for only when the server ignores the range of a resumed download.
        if offset != 0 or whence != os.SEEK_SET:
            raise ValueError("a download can only start over")
        self._file.seek(0)
        self._file.truncate()
        self.sums = _RunningChecksums()
        return 0
