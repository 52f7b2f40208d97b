"""Sources that are files of this machine: read where they are, never copied or changed.

Belongs here: the reasons why a path is no source. Does not belong here: whether it is a video.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from videomoments_dagster.base.failures import SourceRejected, SourceUnavailable
from videomoments_dagster.base.files import blocks_of
from videomoments_dagster.sources.limits import Progress

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@dataclass(frozen=True, slots=True)
class HashedFile:
    """A readable file and the hash of its bytes.

    Attributes:
        size_bytes: Size.
        content_hash: SHA-256, 64 hexadecimal characters.
    """

    size_bytes: int
    content_hash: str


def hash_local_file(path: Path, *, progress: Progress | None = None) -> HashedFile:
    """Read a local source once and hash it.

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
        if progress is not None:
            progress(read, before.st_size)
    after = checked_local_file(path)
    unchanged = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    if not unchanged or read != before.st_size:
        raise SourceUnavailable(
            f"the source {path} changed while it was read",
            remedy="Wait until it is written completely, then try again",
        )
    return HashedFile(size_bytes=read, content_hash=digest.hexdigest())


def checked_local_file(path: Path) -> os.stat_result:
    """Look at a local source without reading it.

    Raises:
        SourceRejected: It is missing, unreadable, empty, or no regular file.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        raise SourceRejected(
            f"the source {path} does not exist", remedy="Check the path for a typing error"
        ) from None
    except OSError as error:
        raise _unreadable(path, error) from error
    for is_kind, kind in _KINDS:
        if is_kind(found.st_mode):
            raise SourceRejected(f"the source {path} is {kind}, not a file")
    if found.st_size == 0:
        raise SourceRejected(
            f"the source {path} is empty (0 bytes)", remedy="Copy or download it again"
        )
    try:
        path.open("rb").close()
    except OSError as error:
        raise _unreadable(path, error) from error
    return found


def _unreadable(path: Path, error: OSError) -> SourceRejected:
    return SourceRejected(
        f"the source {path} cannot be read: {error.strerror}",
        remedy="Make it readable for the user that runs this",
    )
