"""Fetching a source: from any location to a local file and its hash."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from videomoments_dagster.base.failures import SourceRejected, SourceUnavailable, VideoMomentsError
from videomoments_dagster.base.files import blocks_of, content_hash
from videomoments_dagster.sources.google_transfer import download_object
from videomoments_dagster.sources.limits import FetchLimits, Progress
from videomoments_dagster.sources.locations import (
    SourceKind,
    checked_local_file,
    file_name_of,
    kind_of,
    local_path_of,
    redact,
    safe_extension,
    title_of,
)


@dataclass(frozen=True, slots=True)
class LocalSource:
    """A source that can be read from a local path.

    Attributes:
        path: The user's own file, never to be moved or changed, or a download in scratch.
        location: The location as it was given.
        content_hash: SHA-256 of the bytes, 64 hexadecimal characters.
        size_bytes: Size.
        suggested_title: A title from the page or the file name, or None.
    """

    path: Path
    location: str
    content_hash: str
    size_bytes: int
    suggested_title: str | None


def fetch_source(
    location: str,
    *,
    scratch: Path,
    gcs_client: Callable[[], Any],
    progress: Progress | None = None,
    limits: FetchLimits | None = None,
) -> LocalSource:
    """Make a source readable from a local path; its bytes are read once.

    Args:
        location: A path, `file://`, `http(s)://` or `gs://` address, or a page for yt-dlp.
        scratch: Existing folder for downloads; nothing is left in it after a failure.
        gcs_client: Makes a `google.cloud.storage.Client`; called for `gs://` only.
        progress: Called with the bytes so far and the total, where known.
        limits: Time, size and retry limits.

    Raises:
        SourceRejected: The source is missing, forbidden, empty, too large or no file.
        SourceUnavailable: It could not be read just now.
        ScratchExhausted: The scratch folder's disk is full or not writable.
        EngineUnavailable: It is a page and yt-dlp is not installed.
    """
    limits = limits or FetchLimits()
    report = progress or (lambda _done, _total: None)
    name = file_name_of(location)
    title: str | None
    digest = hashlib.sha256(location.encode("utf-8", "surrogatepass")).hexdigest()
    path = scratch / f"source-{digest[:16]}{safe_extension(name)}"
    match kind_of(location):
        case SourceKind.LOCAL:
            path = checked_local_path(location, limits)
            found, title = _hash_of_local(path, report), title_of(path.name)
        case SourceKind.WEB:
            # requests takes 0.1 s, which files and buckets need not wait for.
            from videomoments_dagster.sources.web import download  # noqa: PLC0415

            found, given_name = download(location, to=path, limits=limits, progress=report)
            title = title_of(given_name or name)
        case SourceKind.GOOGLE:
            found = download_object(
                location, to=path, gcs_client=gcs_client, limits=limits, progress=report
            )
            title = title_of(name)
        case SourceKind.PAGE:
            from videomoments_dagster.sources.web_page import download_page  # noqa: PLC0415 - as above

            path, title = download_page(
                location, to_stem=path.with_suffix(""), limits=limits, progress=report
            )
            found = content_hash(path)
    return LocalSource(path, location, found, path.stat().st_size, title)


def checked_local_path(location: str, limits: FetchLimits) -> Path:
    """The path of a local source, all links followed.

    Raises:
        SourceRejected: It loops through links, or lies in the inbox and leads out of it.
    """
    path = local_path_of(location, cwd=Path.cwd())
    if limits.inbox is not None and limits.inbox.is_left_by(Path(location)):
        raise SourceRejected(
            f"the source {location} is a link that leads out of the inbox",
            remedy="Put the file itself there, or name the folder that it leads to in "
            "VIDEOMOMENTS_INBOX_LINKS",
        )
    return path


@contextmanager
def named_as_given(path: Path | None, location: str | None) -> Iterator[None]:
    """Say in failures what a source is called, where they name the file that it was fetched to.

    Args:
        path: The file; None where there is none.
        location: The source, as it was given.
    """
    try:
        yield
    except VideoMomentsError as error:
        if path is not None and location is not None:
            error.reason = error.reason.replace(str(path), redact(location))
        raise


def _hash_of_local(path: Path, progress: Progress) -> str:
    """Read a file of this machine once, where it is.

    Raises:
        SourceRejected: It is missing, unreadable, empty, or no regular file.
        SourceUnavailable: It changed while it was read.
    """
    before = checked_local_file(path)
    digest = hashlib.sha256()
    read = 0
    for block in blocks_of(path):
        digest.update(block)
        read += len(block)
        if read > before.st_size:  # a file that grows as fast as it is read has no end
            break
        progress(read, before.st_size)
    after = checked_local_file(path)
    unchanged = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    if not unchanged or read != before.st_size:
        raise SourceUnavailable(
            f"the source {path} changed while it was read",
            remedy="Wait until it is written completely, then try again",
        )
    return digest.hexdigest()
