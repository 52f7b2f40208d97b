"""Locations: the text that names a source, in its normal form, safe to show, and as a name.

Text alone is read here, and what a local file is by its metadata; never its bytes.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import unicodedata
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PurePosixPath
from urllib.parse import (
    SplitResult,
    parse_qs,
    unquote,
    unquote_to_bytes,
    urlsplit,
    urlunsplit,
)

from videomoments_dagster.base.failures import SourceRejected

YTDLP_PREFIX = "ytdlp:"

MEDIA_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".flv", ".ogv"}
    | {".mp3", ".m4a", ".aac", ".wav", ".flac", ".ogg", ".opus"}
)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,10}")
_PAGE_HOSTS = (
    *("youtube.com", "youtu.be", "youtube-nocookie.com"),
    *("vimeo.com", "dailymotion.com", "twitch.tv", "ted.com"),
)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_FORMS = "Give a file, an http(s):// address, gs://bucket/object, or ytdlp:https://page"
_KINDS = {"d": "a folder", "p": "a named pipe", "s": "a socket", "c": "a device", "b": "a device"}


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
        _web_parts(location)
        return SourceKind.PAGE
    match = _SCHEME.match(location)
    scheme = match[1].lower() if match else "file"
    if scheme in _DEFAULT_PORTS:
        return SourceKind.PAGE if _is_page(_web_parts(location)) else SourceKind.WEB
    if scheme not in {"file", "gs"}:
        raise SourceRejected(
            f"the source {redact(location)} has the scheme {scheme}://, which is not supported",
            remedy=_FORMS,
        )
    return SourceKind.LOCAL if scheme == "file" else SourceKind.GOOGLE


def path_of_file_url(url: str) -> str | None:
    """Give the decoded absolute path of a `file://` address; None when it is not one.

    Addresses of another machine, with a query or with a fragment are none; a `?` or `#` that
    belongs to a name has to be percent-encoded.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    path = os.fsdecode(unquote_to_bytes(parts.path))
    is_file = parts.scheme == "file" and parts.netloc in {"", "localhost"} and path.startswith("/")
    return path if is_file and not (parts.query or parts.fragment or "\0" in path) else None


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
    path = path_of_file_url(location) if _SCHEME.match(location) else location
    if path is None:
        raise SourceRejected(
            f"the source {location} is not a file URL of this machine",
            remedy="Give its path instead",
        )
    try:
        return (cwd / Path(path).expanduser()).resolve()
    except (OSError, RuntimeError) as error:
        # `RuntimeError` of a user's home that nobody knows says so; links in a circle say little.
        why = getattr(error, "strerror", None) or str(error).partition(" from ")[0]
        raise SourceRejected(f"the source {location} cannot be found: {why}") from error


def checked_local_file(path: Path) -> os.stat_result:
    """Look at a local source without reading it.

    Raises:
        SourceRejected: It is missing, unreadable, empty, or no regular file.
    """
    try:
        found = path.stat()
        if kind := _KINDS.get(stat.filemode(found.st_mode)[0]):
            raise SourceRejected(f"the source {path} is {kind}, not a file")
        if found.st_size == 0:
            raise SourceRejected(
                f"the source {path} is empty (0 bytes)", remedy="Copy or download it again"
            )
        path.open("rb").close()
    except FileNotFoundError:
        raise SourceRejected(
            f"the source {path} does not exist", remedy="Check the path for a typing error"
        ) from None
    except OSError as error:
        raise SourceRejected(
            f"the source {path} cannot be read: {error.strerror}",
            remedy="Make it readable for the user that runs this",
        ) from error
    return found


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
    parts = _web_parts(location)
    scheme = parts.scheme.lower()
    credentials, at, _ = parts.netloc.rpartition("@")
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port in {None, _DEFAULT_PORTS[scheme]} else f":{parts.port}"
    address = (scheme, f"{credentials}{at}{host}{port}", parts.path or "/", parts.query, "")
    return (YTDLP_PREFIX if location.startswith(YTDLP_PREFIX) else "") + urlunsplit(address)


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
    if match is None or match[1].lower() in {"gs", "file"}:
        return location
    bare = location.partition("://")[0] + "://..."
    if match[1].lower() not in _DEFAULT_PORTS:
        return bare
    try:
        parts = urlsplit(location.removeprefix(prefix))
        # What stands there without a name may itself be a token.
        named = [part.partition("=") for part in parts.query.split("&") if part]
    except ValueError:
        return bare
    _, at, host = parts.netloc.rpartition("@")
    query = "&".join(f"{unquote(name)}=..." if equals else "..." for name, equals, _ in named)
    shown = f"{prefix}{parts.scheme}://{'***@' if at else ''}{host}{parts.path}"
    return f"{shown}?{query}" if query else shown


def file_name_of(location: str) -> str:
    """Give the last part of a location's path, decoded; empty when it has none."""
    kind = kind_of(location)
    if kind is SourceKind.LOCAL:
        path = path_of_file_url(location) or "" if _SCHEME.match(location) else location
    elif kind is SourceKind.GOOGLE:
        path = location[len("gs://") :].partition("/")[2]
    else:
        path = unquote(_web_parts(location).path)
    return PurePosixPath(path).name


def suggest_identifier(location: str) -> str:
    """Suggest an identifier for the video at a location: `[A-Za-z0-9][A-Za-z0-9_-]*`.

    It comes from the file name, or for pages from the host and the video's own identifier
    ("youtube-dQw4w9WgXcQ"). Where that leaves nothing, it is "video-" and a short hash of the
    location. Any text gives a valid identifier.
    """
    digest = hashlib.sha256(location.encode("utf-8", "surrogatepass")).hexdigest()
    return _slug(_speaking_name(location)) or f"video-{digest[:8]}"


def title_of(file_name: str) -> str | None:
    """Make a title of a file name: its stem, with underscores as spaces; None if empty."""
    printable = "".join(c if c.isprintable() else " " for c in _stem_of(file_name))
    title = " ".join(printable.replace("_", " ").split())
    return title[:500].strip() or None


def safe_extension(file_name: str) -> str:
    """Give a file name's extension in lower case with its dot, or "" when it has no plain one."""
    suffix = PurePosixPath(file_name).suffix
    return suffix.lower() if _EXTENSION.fullmatch(suffix) else ""


def _stem_of(file_name: str) -> str:
    suffix = PurePosixPath(file_name).suffix
    return file_name.removesuffix(suffix) if safe_extension(file_name) else file_name


def _speaking_name(location: str) -> str:
    try:
        kind, name = kind_of(location), _stem_of(file_name_of(location))
    except SourceRejected:
        return location
    if kind is SourceKind.PAGE:
        parts = _web_parts(location)
        labels = (parts.hostname or "").split(".")
        site = "youtube" if labels[-2:] == ["youtu", "be"] else "".join(labels[-2:-1])
        return f"{site}-{parse_qs(parts.query).get('v', [name])[0]}"
    if kind is SourceKind.WEB and not _slug(name):
        return _web_parts(location).hostname or ""
    return name


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    words = re.sub(r"[^A-Za-z0-9_-]+", "-", plain.replace("'", ""))
    # Of 255, to leave room for suffixes and for readers.
    return re.sub(r"-{2,}", "-", words).lstrip("-_")[:100].rstrip("-_")


def _web_parts(location: str) -> SplitResult:
    """Take apart an http(s) address, with or without the prefix for pages.

    Raises:
        SourceRejected: It is none.
    """
    url = location.removeprefix(YTDLP_PREFIX)
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
