"""The keys that objects have, and the rule that every key keeps.

Belongs here: where videos, clips, thumbnails, pages and records of model calls lie in the store.
Does not belong here: roots and addresses (`addresses`), or the making of identifiers.

A key contains a hash of its bytes, so it is never reused for others.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from videomoments_dagster.base.files import PART_PREFIX

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_EXTENSION = re.compile(r"[a-z0-9]{1,10}")

_SHORT_HASH = 16
_MODEL_CALLS = "model-calls"
_KINDS = ("videos", "clips", "thumbnails", "pages")
_TIME_IN_KEY = "%Y%m%dT%H%M%S.%fZ"
_MAX_KEY_BYTES = 1024  # Google Cloud Storage's limit for object names
_MAX_SEGMENT_BYTES = 255  # what Linux's file systems take as one name
_FIRST_PRINTABLE = 32


def check_key(key: str) -> str:
    """Return a key that stays below its root on every backend.

    Raises:
        ValueError: It has an empty, `.` or `..` segment, a control character or a backslash, or
            is too long.
    """
    if len(key.encode("utf-8", "surrogatepass")) > _MAX_KEY_BYTES:
        raise ValueError(f"object key longer than {_MAX_KEY_BYTES} bytes: {key[:80]!r}...")
    for segment in key.split("/"):
        if (
            segment in ("", ".", "..")
            or segment.startswith(PART_PREFIX)
            or "\\" in segment
            or any(ord(character) < _FIRST_PRINTABLE for character in segment)
            or len(segment.encode("utf-8", "surrogatepass")) > _MAX_SEGMENT_BYTES
        ):
            raise ValueError(f"object key {key!r} has the invalid segment {segment!r}")
    return key


def check_prefix(prefix: str) -> str:
    """Return a listing prefix as whole path segments: empty, or ending with one slash."""
    trimmed = prefix.rstrip("/")
    return f"{check_key(trimmed)}/" if trimmed else ""


def video_key(identifier: str, content_hash: str, extension: str) -> str:
    """Build the key of a video's bytes: `videos/<identifier>/<sha256>.<extension>`.

    Args:
        identifier: The video's business identifier.
        content_hash: SHA-256 of the bytes, 64 hexadecimal characters.
        extension: File name extension, with or without its dot; "bin" when it is no plain word.
    """
    _require(_IDENTIFIER, identifier, "video identifier")
    _require(_SHA256, content_hash, "SHA-256")
    plain = extension.lower().removeprefix(".")
    suffix = plain if _EXTENSION.fullmatch(plain) else "bin"
    return f"videos/{identifier}/{content_hash}.{suffix}"


def clip_key(identifier: str, moment: str, content_hash: str) -> str:
    """Build the key of a clip: `clips/<identifier>/<moment>-<16 characters of sha256>.mp4`."""
    _require(_IDENTIFIER, identifier, "video identifier")
    _require(_IDENTIFIER, moment, "moment identifier")
    _require(_SHA256, content_hash, "SHA-256")
    return f"clips/{identifier}/{moment}-{content_hash[:_SHORT_HASH]}.mp4"


def thumbnail_key(identifier: str, moment: str | None, content_hash: str) -> str:
    """Build the key of a thumbnail: of a moment's clip, or of the video itself for None.

    It is `thumbnails/<identifier>/<moment or "video">-<16 characters of sha256>.jpg`.
    """
    subject = "video" if moment is None else moment
    _require(_IDENTIFIER, identifier, "video identifier")
    _require(_IDENTIFIER, subject, "moment identifier")
    _require(_SHA256, content_hash, "SHA-256")
    return f"thumbnails/{identifier}/{subject}-{content_hash[:_SHORT_HASH]}.jpg"


def page_key(identifier: str, content_hash: str) -> str:
    """Build the key of a video's page: `pages/<identifier>/<16 characters of sha256>.html`."""
    _require(_IDENTIFIER, identifier, "video identifier")
    _require(_SHA256, content_hash, "SHA-256")
    return f"pages/{identifier}/{content_hash[:_SHORT_HASH]}.html"


def model_calls_prefix(identifier: str | None = None) -> str:
    """Give the prefix of the records of model calls: of one video, or of all for None."""
    if identifier is None:
        return _MODEL_CALLS
    _require(_IDENTIFIER, identifier, "video identifier")
    return f"{_MODEL_CALLS}/{identifier}"


def model_call_key(
    identifier: str, *, run_id: str, sent_at: datetime, purpose: str, content_hash: str
) -> str:
    """Build the key of the record of one call to a language model.

    It is `model-calls/<identifier>/<run>/<UTC time>-<purpose>-<16 characters of sha256>.json`.
    The time is in the name since not every store tells when an object was made.
    """
    _require(_IDENTIFIER, run_id, "run id")
    _require(_IDENTIFIER, purpose, "purpose of a call")
    _require(_SHA256, content_hash, "SHA-256")
    stamp = sent_at.astimezone(UTC).strftime(_TIME_IN_KEY)
    prefix = model_calls_prefix(identifier)
    return f"{prefix}/{run_id}/{stamp}-{purpose}-{content_hash[:_SHORT_HASH]}.json"


def model_call_time(key: str) -> datetime | None:
    """When the call of a record was sent, UTC; None for a key that is not such a record's."""
    name = key.rpartition("/")[2]
    if not key.startswith(f"{_MODEL_CALLS}/") or not name.endswith(".json"):
        return None
    try:
        return datetime.strptime(name.partition("-")[0], _TIME_IN_KEY).replace(tzinfo=UTC)
    except ValueError:
        return None


def owner_of(key: str) -> str | None:
    """The video that an object belongs to, by its key; None for keys that are not ours."""
    kind, _, rest = key.partition("/")
    identifier, slash, _ = rest.partition("/")
    ours = kind in (*_KINDS, _MODEL_CALLS) and slash and _IDENTIFIER.fullmatch(identifier)
    return identifier if ours else None


def video_prefixes(identifier: str) -> tuple[str, ...]:
    """Give the prefixes under which everything lies that is stored of a video."""
    _require(_IDENTIFIER, identifier, "video identifier")
    return tuple(f"{kind}/{identifier}" for kind in (*_KINDS, _MODEL_CALLS))


def _require(pattern: re.Pattern[str], value: str, name: str) -> None:
    if not pattern.fullmatch(value):
        raise ValueError(f"{value!r} is not a {name}, so it cannot be part of an object key")
