"""Names for videos, made from where they come from.

Belongs here: identifiers and titles suggested by file names and addresses. Does not belong
here: whether an identifier is taken, and the rule for identifiers that users give.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from pathlib import PurePosixPath
from urllib.parse import parse_qs, urlsplit

from videomoments_dagster.base.failures import SourceRejected
from videomoments_dagster.sources.locations import (
    YTDLP_PREFIX,
    SourceKind,
    file_name_of,
    kind_of,
)

_MAX_IDENTIFIER = 100  # of 255, to leave room for suffixes and for readers
_MAX_TITLE = 500
_HASH_CHARACTERS = 8
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,10}")


def suggest_identifier(location: str) -> str:
    """Suggest an identifier for the video at a location: `[A-Za-z0-9][A-Za-z0-9_-]*`.

    It comes from the file name, or for pages from the host and the video's own identifier
    ("youtube-dQw4w9WgXcQ"). Where that leaves nothing, it is "video-" and a short hash of the
    location. Any text gives a valid identifier.
    """
    return _slug(_speaking_name(location)) or f"video-{_short_hash(location)}"


def title_of(file_name: str) -> str | None:
    """Make a title of a file name: its stem, with underscores as spaces; None if empty."""
    printable = "".join(c if c.isprintable() else " " for c in stem_of(file_name))
    title = " ".join(printable.replace("_", " ").split())
    return title[:_MAX_TITLE].strip() or None


def stem_of(file_name: str) -> str:
    """Give a file name without its extension, if it has a plain one."""
    suffix = PurePosixPath(file_name).suffix
    return file_name.removesuffix(suffix) if _EXTENSION.fullmatch(suffix) else file_name


def safe_extension(file_name: str) -> str:
    """Give a file name's extension in lower case with its dot, or "" when it has no plain one."""
    suffix = PurePosixPath(file_name).suffix
    return suffix.lower() if _EXTENSION.fullmatch(suffix) else ""


def _speaking_name(location: str) -> str:
    try:
        kind = kind_of(location)
    except SourceRejected:
        return location
    if kind is SourceKind.PAGE:
        return _page_name(location.removeprefix(YTDLP_PREFIX))
    name = stem_of(file_name_of(location))
    if kind is SourceKind.WEB and not _slug(name):
        return urlsplit(location).hostname or ""
    return name


def _page_name(url: str) -> str:
    parts = urlsplit(url)
    labels = (parts.hostname or "").split(".")
    site = "youtube" if labels[-2:] == ["youtu", "be"] else "".join(labels[-2:-1])
    shown = parse_qs(parts.query).get("v") or [stem_of(file_name_of(f"{YTDLP_PREFIX}{url}"))]
    return f"{site}-{shown[0]}"


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    words = re.sub(r"[^A-Za-z0-9_-]+", "-", plain.replace("'", ""))
    return re.sub(r"-{2,}", "-", words).lstrip("-_")[:_MAX_IDENTIFIER].rstrip("-_")


def _short_hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:_HASH_CHARACTERS]
