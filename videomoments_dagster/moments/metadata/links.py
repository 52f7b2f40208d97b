"""Where a file is, as the UI can lead there.

Belongs here: addresses that a browser opens. A page of the UI may not lead to local files; those
are shown as paths to copy.
"""

from __future__ import annotations

from urllib.parse import quote, urlsplit

import dagster as dg

from videomoments_dagster.sources.locations import path_of_file_url

_GOOGLE_CLOUD = "https://storage.cloud.google.com/"


def browsable(url: str) -> str | None:
    """An address that a browser can open, for whoever has the rights; None for a local file."""
    parts = urlsplit(url)
    if parts.scheme == "gs":
        return _GOOGLE_CLOUD + quote(url.removeprefix("gs://"))
    return url if parts.scheme in ("http", "https") else None


def link(url: str) -> dg.UrlMetadataValue | dg.PathMetadataValue:
    """A link to a stored file, or its path where it is local."""
    opened = browsable(url)
    if opened is not None:
        return dg.MetadataValue.url(opened)
    return dg.MetadataValue.path(local_path(url))


def local_path(url: str) -> str:
    """The path of a `file://` address; any other address as it is."""
    return path_of_file_url(url) or url
