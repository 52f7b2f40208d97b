"""Google Cloud Storage: transfers with time limits, retries and checksums, and sources there.

The words for failed transfers are those of whoever asked: a stored object or a source. Google's
packages are imported inside functions: they cost a second, and a local folder needs none of them.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Literal

import google_crc32c

from videomoments_dagster.base.failures import SourceRejected, SourceUnavailable
from videomoments_dagster.base.files import blocks_of, scratch_errors, scratch_file
from videomoments_dagster.sources.limits import FetchLimits, Progress, TransferLimits
from videomoments_dagster.sources.locations import parse_google_url
from videomoments_dagster.sources.patience import Alive, NoAnswer, Patience, patience_with

GoogleProblem = Literal["missing", "exists", "forbidden", "credentials", "unavailable"]

_PROBLEMS: dict[int | None, GoogleProblem] = {
    401: "credentials",
    403: "forbidden",
    404: "missing",
    412: "exists",
}


class DownloadFailed(Exception):
    """A download took longer than its limit, or arrived with another checksum than the server's."""


class _Damaged(Exception):
    """An attempt arrived with another checksum."""


class Checksums:
    """Size and checksums of the bytes seen so far."""

    def __init__(self) -> None:
        self.size_bytes = 0
        untyped: Any = google_crc32c.Checksum
        self._crc32c = untyped()
        self._sha256 = hashlib.sha256()

    def update(self, block: bytes) -> None:
        """Take the next bytes into account."""
        self.size_bytes += len(block)
        self._crc32c.update(block)
        self._sha256.update(block)

    @property
    def crc32c(self) -> str:
        """Base64 of the big-endian CRC-32C, as Google writes it."""
        return base64.b64encode(self._crc32c.digest()).decode("ascii")

    @property
    def sha256(self) -> str:
        """Hexadecimal."""
        return self._sha256.hexdigest()


class ProgressReader(io.FileIO):
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
    sums = Checksums()
    for block in blocks_of(path):
        sums.update(block)
    return sums


def download_blob(
    blob: Any,
    *,
    to: Path,
    limits: TransferLimits,
    progress: Progress | None = None,
    alive: Alive = lambda: None,
) -> Checksums:
    """Download a blob whose metadata is loaded; the file appears complete and verified.

    A dropped connection goes on where it stopped. The checksum is computed here, over all that
    was written: Google's client checks none after it has resumed.

    Raises:
        DownloadFailed: The checksum was wrong twice, or the total limit passed.
        ScratchExhausted: The local disk is full or not writable.
        Exception: What Google's client raises; see `google_problem`.
    """
    deadline = time.monotonic() + limits.total_seconds
    for _ in range(2):
        with suppress(_Damaged), scratch_file(to) as file:
            sink = _VerifyingSink(file, to, deadline, blob.size, progress, alive)
            blob.download_to_file(sink, raw_download=True, checksum=None, **limits.per_request)
            if sink.sums.crc32c != blob.crc32c:
                raise _Damaged
            return sink.sums
    raise DownloadFailed("the bytes arrived damaged twice")


def download_object(
    url: str,
    *,
    to: Path,
    gcs_client: Callable[[], Any],
    limits: FetchLimits,
    progress: Progress,
) -> str:
    """Download the source `gs://bucket/object`; the file appears complete or not at all.

    Returns:
        SHA-256 of the bytes, hexadecimal.

    Raises:
        SourceRejected: It is missing, forbidden, empty or too large.
        SourceUnavailable: Google Cloud Storage could not be reached.
        ScratchExhausted: The local disk is full or not writable.
    """
    address = parse_google_url(url)
    if address is None or not address.path or address.path.endswith("/"):
        raise SourceRejected(
            f"the source {url} does not name an object", remedy="Write it as gs://bucket/object"
        )
    patience = patience_with(f"gs://{address.bucket}", limits.retry_seconds)
    bounded = within(limits, patience)

    def fetch(alive: Alive) -> str:
        blob = gcs_client().bucket(address.bucket).blob(address.path)
        blob.reload(**bounded.per_request)
        alive()
        if not blob.size:
            raise SourceRejected(f"the source {url} is empty (0 bytes)")
        if blob.size > limits.max_bytes:
            raise SourceRejected(
                f"the source {url} is larger than the limit of {limits.max_bytes} bytes",
                remedy="Raise the limit for downloads",
            )
        return download_blob(blob, to=to, limits=bounded, progress=progress, alive=alive).sha256

    with _source_failures(url, address.bucket):
        return patience.call(fetch, is_answer=is_google_answer)


def within(limits: TransferLimits, patience: Patience) -> TransferLimits:
    """The limits of requests for which there is no more time than a server is still waited for."""
    left = patience.left()
    return replace(
        limits,
        connect_seconds=min(limits.connect_seconds, left),
        # Several attempts are to have their turn.
        read_seconds=min(limits.read_seconds, max(1.0, left / 3)),
        retry_seconds=min(limits.retry_seconds, left),
    )


def is_google_answer(error: Exception) -> bool:
    """Whether an exception of a request means that Google Cloud Storage did answer it."""
    return google_problem(error) != "unavailable"


@contextmanager
def _source_failures(url: str, bucket: str) -> Iterator[None]:
    """Say in the words of a source what Google's client raises."""
    try:
        yield
    except Exception as error:
        match google_problem(error):
            case None:
                raise
            case "missing":
                raise SourceRejected(
                    f"the source {url} does not exist", remedy="Check the bucket and the name"
                ) from error
            case "forbidden":
                raise SourceRejected(
                    f"the source {url} may not be read by the account in use",
                    remedy="Grant it with: gcloud storage buckets add-iam-policy-binding "
                    f"gs://{bucket} --member=user:YOU --role=roles/storage.objectViewer",
                ) from error
            case "credentials":
                raise SourceRejected(
                    f"there are no usable Google credentials for the source {url}",
                    remedy="Log in with: gcloud auth application-default login",
                ) from error
            case _:
                raise SourceUnavailable(
                    f"the source {url} could not be downloaded: {brief_reason(error)}",
                    remedy="Check the network, then try again",
                ) from error


def google_problem(error: BaseException) -> GoogleProblem | None:
    """Say what an exception of Google's client means; None for what is not Google's."""
    from google.api_core import exceptions as api  # noqa: PLC0415
    from google.auth import exceptions as auth  # noqa: PLC0415
    from google.cloud.storage.exceptions import DataCorruption, InvalidResponse  # noqa: PLC0415
    from requests import RequestException  # noqa: PLC0415
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    if isinstance(error, auth.GoogleAuthError):
        passing = isinstance(error, auth.TransportError) or getattr(error, "retryable", False)
        return "unavailable" if passing else "credentials"
    if isinstance(error, api.GoogleAPICallError | InvalidResponse):
        return _PROBLEMS.get(_status_of(error), "unavailable")
    passing_kinds = (
        *(api.RetryError, DataCorruption, DownloadFailed, NoAnswer),
        *(RequestException, HTTPError, ConnectionError, TimeoutError),
    )
    return "unavailable" if isinstance(error, passing_kinds) else None


def brief_reason(error: BaseException) -> str:
    """Say in a few words why something was unavailable, without addresses or tokens."""
    if isinstance(error, DownloadFailed | NoAnswer):
        return str(error)
    status = _status_of(error) or _status_of(error.__cause__)
    if status:
        return f"HTTP {status}"
    from requests import ReadTimeout  # noqa: PLC0415

    # A `RetryError` has the failure of the last attempt as its cause.
    if any(isinstance(one, ReadTimeout) for one in (error, error.__cause__)):
        return "no answer in time"
    return f"no connection ({type(error.__cause__ or error).__name__})"


def _status_of(error: BaseException | None) -> int | None:
    code = getattr(error, "code", None) or getattr(
        getattr(error, "response", None), "status_code", None
    )
    return code if isinstance(code, int) else None


@dataclass(slots=True)
class _VerifyingSink:
    """The file object that a download writes to: it counts, sums and keeps the time limit."""

    file: IO[bytes]
    path: Path
    deadline: float
    total: int | None
    progress: Progress | None
    alive: Alive
    sums: Checksums = field(default_factory=Checksums)

    def write(self, block: bytes) -> int:
        if time.monotonic() > self.deadline:
            raise DownloadFailed("the download took too long")
        with scratch_errors(self.path):
            self.file.write(block)
        self.sums.update(block)
        self.alive()
        if self.progress is not None:
            self.progress(self.sums.size_bytes, self.total)
        return len(block)

    def flush(self) -> None:
        self.file.flush()

    def tell(self) -> int:
        return self.sums.size_bytes

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        # Asked for only when the server ignores the range of a resumed download.
        if offset != 0 or whence != os.SEEK_SET:
            raise ValueError("a download can only start over")
        self.file.seek(0)
        self.file.truncate()
        self.sums = Checksums()
        return 0
