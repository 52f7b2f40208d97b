"""Fetching a source: from any location to a local file and its hash.

Belongs here: which way a location takes. Does not belong here: how each way works (`local_file`,
`web`, `google_object`, `page`), which are imported where one is taken: HTTP takes a tenth of a
second to import, and local files want none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from videomoments_dagster.base.files import content_hash
from videomoments_dagster.sources.google_object import download_object
from videomoments_dagster.sources.limits import FetchLimits, Progress
from videomoments_dagster.sources.local_file import hash_local_file
from videomoments_dagster.sources.locations import (
    SourceKind,
    file_name_of,
    kind_of,
    local_path_of,
)
from videomoments_dagster.sources.names import safe_extension, title_of
from videomoments_dagster.sources.page import download_page
from videomoments_dagster.sources.web import download

__all__ = ["LocalSource", "content_hash", "fetch_source"]


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
    bounds = limits or FetchLimits()
    kind = kind_of(location)
    if kind is SourceKind.LOCAL:
        path = local_path_of(location, cwd=Path.cwd())
        hashed = hash_local_file(path, progress=progress)
        return LocalSource(
            path=path,
            location=location,
            content_hash=hashed.content_hash,
            size_bytes=hashed.size_bytes,
            suggested_title=title_of(path.name),
        )
    digest = hashlib.sha256(location.encode("utf-8", "surrogatepass")).hexdigest()
    stem = scratch / f"source-{digest[:16]}"
    if kind is SourceKind.PAGE:
        page = download_page(location, to_stem=stem, limits=bounds, progress=progress)
        return LocalSource(
            path=page.path,
            location=location,
            content_hash=content_hash(page.path),
            size_bytes=page.path.stat().st_size,
            suggested_title=page.title,
        )
    name = file_name_of(location)
    to = stem.with_name(stem.name + safe_extension(name))
    if kind is SourceKind.GOOGLE:
        sums = download_object(
            location, to=to, gcs_client=gcs_client, limits=bounds, progress=progress
        )
        return LocalSource(
            path=to,
            location=location,
            content_hash=sums.sha256,
            size_bytes=sums.size_bytes,
            suggested_title=title_of(name),
        )

    fetched = download(location, to=to, limits=bounds, progress=progress)
    return LocalSource(
        path=to,
        location=location,
        content_hash=fetched.content_hash,
        size_bytes=fetched.size_bytes,
        suggested_title=title_of(fetched.file_name or name),
    )
