"""Writing files that appear complete or not at all, and reading them in blocks."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from videomoments_dagster.base.failures import ScratchExhausted, SourceUnavailable

BLOCK_BYTES = 1024 * 1024

PART_PREFIX = ".part-"
"""Names that begin so are unfinished writes, never results."""

_HASHED = re.compile(r"(stretches-)?[0-9a-f]{16}([0-9a-f]{48})?")

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def blocks_of(path: Path) -> Iterator[bytes]:
    """Read a file in blocks of 1 MiB.

    Raises:
        SourceUnavailable: It cannot be opened or read.
    """
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                yield block
    except OSError as error:
        raise SourceUnavailable(
            f"{path} cannot be read: {error.strerror}", remedy="Make the file readable again"
        ) from error


def content_hash(path: Path) -> str:
    """Compute the SHA-256 of a file, 64 hexadecimal characters."""
    digest = hashlib.sha256()
    for block in blocks_of(path):
        digest.update(block)
    return digest.hexdigest()


def spoken_name(path: Path) -> str:
    """What to call a file in a message: its name, unless that is only a hash of its content.

    Args:
        path: A file of a user, or a stored one, whose video the message names anyway.
    """
    return "the stored file" if _HASHED.fullmatch(path.stem) else f"'{path.name}'"


def kibibytes(size_bytes: int) -> int:
    """Size in units of 1,024 bytes, rounded up, so that no file has size 0."""
    return -(-size_bytes // 1024)


def part_path(target: Path) -> Path:
    """Give a fresh temporary path in the target's folder, so that renaming stays on one disk."""
    return target.parent / f"{PART_PREFIX}{secrets.token_hex(8)}"


@contextmanager
def replaced_whole(target: Path, *, suffix: str = "") -> Iterator[Path]:
    """A temporary path that becomes `target` when the block ends without an exception.

    Args:
        target: The file that appears complete or not at all; one that is there is replaced.
        suffix: End of the temporary name, for programs that go by it, such as ".mp4".
    """
    part = part_path(target)
    with removed_afterwards(part.with_name(part.name + suffix)) as part:
        yield part
        part.replace(target)


@contextmanager
def removed_afterwards(part: Path) -> Iterator[Path]:
    """Remove a temporary file at the end, whatever happened; it may have been renamed."""
    try:
        yield part
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def scratch_errors(path: Path) -> Iterator[None]:
    """Turn a failure to write below scratch into `ScratchExhausted`."""
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise ScratchExhausted(
                f"the disk of the scratch folder {path.parent} is full",
                remedy="Free some space there, or set VIDEOMOMENTS_SCRATCH to a larger disk",
            ) from error
        raise ScratchExhausted(
            f"the scratch folder {path.parent} cannot be written: {error.strerror}",
            remedy=f"Make it writable: mkdir -p '{path.parent}' && chmod u+rwx '{path.parent}', or"
            " set VIDEOMOMENTS_SCRATCH to another folder",
        ) from error


@contextmanager
def scratch_file(target: Path) -> Iterator[IO[bytes]]:
    """A file to write that becomes `target` when the block ends without an exception.

    Args:
        target: The file below scratch that appears complete or not at all.

    Raises:
        ScratchExhausted: It could not be opened, closed or put into place. What is raised inside
            the block is left as it is: failures of the network are `OSError` as well.
    """
    with removed_afterwards(part_path(target)) as part:
        with scratch_errors(target):
            file = part.open("xb")
        with file:
            yield file
            with scratch_errors(target):
                file.flush()
        with scratch_errors(target):
            part.replace(target)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut, where the file system can do that."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
