"""Locations: the text that names a source, in its normal form and safe to show.

Belongs here: telling kinds of locations apart, normalising, redacting, and the cheap
fingerprint that tells whether a source may have changed. Does not belong here: reading bytes.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PurePosixPath
from urllib.parse import SplitResult, unquote, unquote_to_bytes, urlsplit, urlunsplit

from videomoments_dagster.base.failures import SourceRejected

YTDLP_PREFIX = "ytdlp:"

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_PAGE_HOSTS = (
    "youtube.com",
    "youtu.be",
    "youtube-nocookie.com",
    "vimeo.com",
    "dailymotion.com",
    "twitch.tv",
    "ted.com",
)
MEDIA_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".flv", ".ogv"}
    | {".mp3", ".m4a", ".aac", ".wav", ".flac", ".ogg", ".opus"}
)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_FORMS = "Give a file, an http(s):// address, gs://bucket/object, or ytdlp:https://page"


class SourceKind(Enum):
    """How a source is fetched."""

    LOCAL = "local"
    WEB = "web"
    GOOGLE = "google"
    PAGE = "page"


@dataclass(frozen=True, slots=True)
class GoogleAddress:
    """A root in, or an object of, Google Cloud Storage.

    Attributes:
        bucket: Name of the bucket.
        path: What follows the bucket and its slash; empty for the whole bucket.
    """

    bucket: str
    path: str


def kind_of(location: str) -> SourceKind:
    """Tell how a location is fetched.

    A page is an address with the prefix `ytdlp:`, or one of a host that is known to serve pages
    rather than files; any other address is taken for a file.

    Raises:
        SourceRejected: It is empty or has a scheme that nothing here fetches.
    """
    if not location.strip() or "\0" in location:
        raise SourceRejected("the source is empty or not printable", remedy=_FORMS)
    if location.startswith(YTDLP_PREFIX):
        _web_parts(location.removeprefix(YTDLP_PREFIX))
        return SourceKind.PAGE
    match = _SCHEME.match(location)
    scheme = match[1].lower() if match else "file"
    if scheme == "file":
        return SourceKind.LOCAL
    if scheme == "gs":
        return SourceKind.GOOGLE
    if scheme in _DEFAULT_PORTS:
        return SourceKind.PAGE if _is_page(_web_parts(location)) else SourceKind.WEB
    raise SourceRejected(
        f"the source {redact(location)} has the scheme {scheme}://, which is not supported",
        remedy=_FORMS,
    )


def path_of_file_url(url: str) -> str | None:
    """Give the decoded absolute path of a `file://` address; None when it is not one.

    Addresses of another machine, with a query or with a fragment are none; a `?` or `#` that
    belongs to a name has to be percent-encoded.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        return None
    path = os.fsdecode(unquote_to_bytes(parts.path))
    if parts.query or parts.fragment or "\0" in path or not path.startswith("/"):
        return None
    return path


def parse_google_url(url: str) -> GoogleAddress | None:
    """Split `gs://bucket/path`; None when it has no valid bucket.

    Paths are taken literally, as Google's own tools do: `%`, `#` and `?` are part of a name.
    """
    rest = url[len("gs://") :] if url.lower().startswith("gs://") else ""
    bucket, _, path = rest.partition("/")
    return GoogleAddress(bucket, path) if _BUCKET.fullmatch(bucket) else None


def local_path_of(location: str, *, cwd: Path) -> Path:
    """Give the absolute path of a local location; symbolic links are followed.

    Args:
        location: A path (absolute, relative to `cwd`, or below `~`) or a `file://` URL.
        cwd: Folder that relative paths are relative to.

    Raises:
        SourceRejected: It is a `file://` URL of another machine, or loops through links.
    """
    if _SCHEME.match(location):
        decoded = path_of_file_url(location)
        if decoded is None:
            raise SourceRejected(
                f"the source {location} is not a file URL of this machine",
                remedy="Give its path instead",
            )
        path = Path(decoded)
    else:
        path = Path(location)
    try:
        return (cwd / path.expanduser()).resolve()
    except (OSError, RuntimeError) as error:
        raise SourceRejected(f"the source {location} cannot be found: {error}") from error


def normalise_location(location: str, *, cwd: Path) -> str:
    """Bring a location into the one form under which the same source is the same text.

    Local files become absolute paths. Addresses get a lower-case scheme and host, lose a default
    port and a fragment, and keep their query as it is. `gs://` names are taken literally.

    Args:
        location: What the user gave.
        cwd: Folder that relative paths are relative to.

    Raises:
        SourceRejected: Nothing here fetches it.
    """
    kind = kind_of(location)
    if kind is SourceKind.LOCAL:
        return str(local_path_of(location, cwd=cwd))
    if kind is SourceKind.GOOGLE:
        return f"gs://{location[len('gs://') :]}"
    prefix = YTDLP_PREFIX if location.startswith(YTDLP_PREFIX) else ""
    parts = _web_parts(location.removeprefix(prefix))
    return prefix + urlunsplit(
        (parts.scheme.lower(), _canonical_host(parts), parts.path or "/", parts.query, "")
    )


def source_fingerprint(location: str) -> str | None:
    """Give a cheap text that changes when a source may have changed.

    For a local file it is made of path, size and time of change; for everything else it is the
    location itself, so that a remote source counts as unchanged.

    Args:
        location: A normalised location.

    Returns:
        The fingerprint; None when a local file is gone.
    """
    if kind_of(location) is not SourceKind.LOCAL:
        return location
    path = local_path_of(location, cwd=Path.cwd())
    try:
        found = path.stat()
    except OSError:
        return None
    return f"{path}|{found.st_size}|{found.st_mtime_ns}"


def redact(location: str) -> str:
    """Make a location safe to show: no credentials, no values of query parameters."""
    prefix = YTDLP_PREFIX if location.startswith(YTDLP_PREFIX) else ""
    match = _SCHEME.match(location.removeprefix(prefix))
    if match is None or match[1].lower() not in _DEFAULT_PORTS:
        return location if match is None or match[1].lower() in ("gs", "file") else _bare(location)
    try:
        parts = urlsplit(location.removeprefix(prefix))
        host = parts.netloc.rpartition("@")[2]
        # What stands there without a name may itself be a token.
        named = [part.partition("=") for part in parts.query.split("&") if part]
    except ValueError:
        return _bare(location)
    credentials = "***@" if "@" in parts.netloc else ""
    query = "&".join(f"{unquote(name)}=..." if equals else "..." for name, equals, _ in named)
    return f"{prefix}{parts.scheme}://{credentials}{host}{parts.path}" + (
        f"?{query}" if query else ""
    )


def file_name_of(location: str) -> str:
    """Give the last part of a location's path, decoded; empty when it has none."""
    kind = kind_of(location)
    if kind is SourceKind.LOCAL:
        if not _SCHEME.match(location):
            return PurePosixPath(location).name
        return PurePosixPath(path_of_file_url(location) or "").name
    if kind is SourceKind.GOOGLE:
        return PurePosixPath(location[len("gs://") :].partition("/")[2]).name
    return PurePosixPath(unquote(_web_parts(location.removeprefix(YTDLP_PREFIX)).path)).name


def _bare(location: str) -> str:
    return location.partition("://")[0] + "://..."


def _web_parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        valid = parts.scheme.lower() in _DEFAULT_PORTS and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        valid = False
    if not valid or re.search(r"\s", url):
        raise SourceRejected(
            f"the source {redact(url)} is not a valid http(s) address", remedy=_FORMS
        )
    return parts


def _is_page(parts: SplitResult) -> bool:
    host = (parts.hostname or "").rstrip(".")
    known = any(host == page or host.endswith(f".{page}") for page in _PAGE_HOSTS)
    return known and PurePosixPath(parts.path).suffix.lower() not in MEDIA_SUFFIXES


def _canonical_host(parts: SplitResult) -> str:
    credentials, at, _ = parts.netloc.rpartition("@")
    host = (parts.hostname or "").lower()
    bracketed = f"[{host}]" if ":" in host else host
    default = parts.port is None or parts.port == _DEFAULT_PORTS[parts.scheme.lower()]
    return f"{credentials}{at}{bracketed}" + ("" if default else f":{parts.port}")
