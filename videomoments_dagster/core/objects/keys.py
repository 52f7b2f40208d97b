"""The rule that every key of an object keeps.

A key contains a hash of its bytes, so it is never reused for others. It is
`<folder of the system and kind>/<partition>/<name>`.
"""

from __future__ import annotations

import re

from videomoments_dagster.base.files import PART_PREFIX

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}")
_SEGMENT = re.compile(r"(?!\.\.?$)[^\\\x00-\x1f]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_KEY_BYTES = 1024  # Google Cloud Storage's limit for object names
_MAX_SEGMENT_BYTES = 255  # what Linux's file systems take as one name


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
            not _SEGMENT.fullmatch(segment)
            or segment.startswith(PART_PREFIX)
            or len(segment.encode("utf-8", "surrogatepass")) > _MAX_SEGMENT_BYTES
        ):
            raise ValueError(f"object key {key!r} has the invalid segment {segment!r}")
    return key


def check_prefix(prefix: str) -> str:
    """Return a listing prefix as whole path segments: empty, or ending with one slash."""
    trimmed = prefix.rstrip("/")
    return f"{check_key(trimmed)}/" if trimmed else ""


def key_in(folder: str, subject: str, name: str, *, noun: str = "identifier") -> str:
    """Build the key `<folder>/<subject>/<name>`.

    Args:
        folder: Folder of a system and a kind of objects, or below it.
        subject: What the object belongs to, mostly a partition.
        name: Last segment, with a hash of the bytes in it.
        noun: What people call the subject, for the message.

    Raises:
        ValueError: The subject is no identifier, or the key leaves its root.
    """
    return check_key(f"{folder}/{checked_segment(subject, noun)}/{name}")


def checked_segment(value: str, noun: str) -> str:
    """Return a value that keeps the rule for identifiers, and cannot leave its folder."""
    if not _IDENTIFIER.fullmatch(value):
        raise ValueError(f"{value!r} is not a {noun}, so it cannot be part of an object key")
    return value


def checked_hash(content_hash: str) -> str:
    """Return a SHA-256 of 64 hexadecimal characters."""
    if not _SHA256.fullmatch(content_hash):
        raise ValueError(
            f"{content_hash!r} is not a SHA-256, so it cannot be part of an object key"
        )
    return content_hash


def short_hash(content_hash: str) -> str:
    """The 16 characters of a SHA-256 that tell small objects of one subject apart."""
    return checked_hash(content_hash)[:16]
