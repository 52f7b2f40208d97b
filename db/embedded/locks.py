"""Locks on files, which the kernel lets go of however their holder ends.

Belongs here: `flock` with a time limit. Does not belong here: what the locks mean.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from db.errors import EmbeddedServerFailed


class FileLock:
    """A lock held on an open file; several may hold it shared, or one exclusively."""

    def __init__(self, path: Path) -> None:
        """Open the file, making it if need be; nothing is locked yet."""
        self.path = path
        self._file = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def try_exclusive(self) -> bool:
        """Take the lock alone if nobody holds it. A shared hold of this object is lost if not."""
        return self._try(fcntl.LOCK_EX)

    def share(self) -> None:
        """Take the lock together with others.

        Raises:
            EmbeddedServerFailed: Somebody holds it alone.
        """
        if not self._try(fcntl.LOCK_SH):
            raise EmbeddedServerFailed(
                f"Another process holds {self.path} for itself",
                remedy="End that process and try again",
            )

    def close(self) -> None:
        """Let go of the lock and the file."""
        os.close(self._file)

    def _try(self, kind: int) -> bool:
        try:
            fcntl.flock(self._file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def is_current(self) -> bool:
        """Whether the path still leads to the open file; not so once the folder was deleted."""
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return False
        here = os.fstat(self._file)
        return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


@contextmanager
def alone(path: Path, *, timeout_seconds: float) -> Iterator[None]:
    """Be the only process inside this block for that path.

    Raises:
        EmbeddedServerFailed: Somebody else was inside for the whole time limit.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        lock = FileLock(path)
        try:
            while not lock.try_exclusive():
                if time.monotonic() > deadline:
                    raise EmbeddedServerFailed(
                        f"Another process has been starting or stopping the embedded database for"
                        f" {timeout_seconds:.0f} seconds (it holds {path})",
                        remedy="End that process and try again",
                    )
                time.sleep(0.01)
            if lock.is_current():
                yield
                return
        finally:
            lock.close()
