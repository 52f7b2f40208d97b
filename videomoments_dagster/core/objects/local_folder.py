"""An object store in a local folder: every object is a plain file below one root.

The root may be a symbolic link. Links below it are not followed out of it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from itertools import zip_longest
from pathlib import Path

from filelock import FileLock

from videomoments_dagster.base.failures import ObjectStoreRefused, ObjectStoreUnavailable
from videomoments_dagster.base.files import (
    BLOCK_BYTES,
    DISK_FULL,
    PART_PREFIX,
    blocks_of,
    part_path,
    removed_afterwards,
    replaced_whole,
    scratch_errors,
    sync_folder,
)
from videomoments_dagster.core.objects.keys import check_key, check_prefix
from videomoments_dagster.core.objects.store import (
    ObjectStat,
    StoredObject,
    Written,
    changed_source,
    missing_object,
    other_bytes,
    outside_root,
)
from videomoments_dagster.sources.locations import path_of_file_url

_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS)
_LOCK_SECONDS = 60
# The lock is no leftover, whatever it is called.
_LOCK_NAME = f"{PART_PREFIX}create-only.lock"
_UNFINISHED = re.compile(rf"{re.escape(PART_PREFIX)}[0-9a-f]{{16}}")


class LocalFolderStore:
    """Objects as files below a folder, which is made when first written to.

    Args:
        root: The folder; made absolute, with its symbolic links kept.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.abspath(root.expanduser()))  # noqa: PTH100 - keep symlinks

    @property
    def root_url(self) -> str:
        """Address of the root folder, percent-encoded."""
        return self.root.as_uri()

    def url_of(self, key: str) -> str:
        """Give the percent-encoded `file://` address of a key."""
        return (self.root / check_key(key)).as_uri()

    def put_file(
        self,
        path: Path,
        *,
        key: str,
        content_type: str,  # noqa: ARG002 - files keep no MIME type
        sha256: str | None = None,
        progress: Written | None = None,
    ) -> StoredObject:
        """Copy a file below the root, unless its key is taken."""
        target = self._inside(self.root / check_key(key))
        with self._store_errors():
            created = not target.exists()
            if created:
                target.parent.mkdir(parents=True, exist_ok=True)
                with removed_afterwards(part_path(target)) as part:
                    _copy_durably(path, part, sha256=sha256, progress=progress)
                    created = self._claim(part, target)
                sync_folder(target.parent)
            if not created and not _same_bytes(path, target):
                raise other_bytes(target.as_uri(), path)
            return StoredObject(target.as_uri(), target.stat().st_size, created=created)

    def fetch(self, url: str, *, to: Path) -> Path:
        """Copy an object to `to`."""
        with scratch_errors(to), replaced_whole(to) as part, part.open("xb") as copy:
            for block in self._blocks_of(url):
                copy.write(block)
        return to

    def read_range(self, url: str, *, start: int, length: int) -> bytes:
        """Read some bytes of an object."""
        path = self._existing(url)
        with self._store_errors(url), path.open("rb") as file:
            file.seek(start)
            content = file.read(length)
        if len(content) != length:
            raise missing_object(url, "is shorter than it was")
        return content

    def stat(self, url: str) -> ObjectStat | None:
        """Describe a file; None for nothing and for folders."""
        return self._stat_path(self._inside(self._path_of_url(url)))

    def delete(self, url: str) -> None:
        """Remove a file, if it is there."""
        path = self._path_of_url(url)
        # The name itself may be a link, which is what is removed then.
        self._inside(path.parent)
        with self._store_errors(), _absence_ignored():
            path.unlink()

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        """List the files below a folder, in order of their keys."""
        folder = self.root / check_prefix(prefix)
        with self._store_errors():
            keys = sorted(
                Path(parent, name).relative_to(self.root).as_posix()
                for parent, _, names in os.walk(folder, onerror=_raise_unless_absent)
                for name in names
                if not name.startswith(PART_PREFIX)
            )
        for key in keys:
            path = self.root / key
            if self._is_inside(path) and (found := self._stat_path(path)):
                yield found

    def remove_unfinished(self, *, before: datetime) -> int:
        """Remove files of writes that were killed, if nobody has written to them since a time."""
        removed = 0
        with self._store_errors():
            for folder, _, names in os.walk(self.root):
                for name in filter(_UNFINISHED.fullmatch, names):
                    path = Path(folder, name)
                    with suppress(FileNotFoundError):
                        if path.lstat().st_mtime < before.timestamp():
                            path.unlink()
                            removed += 1
        return removed

    def local_path(self, url: str) -> Path | None:
        """Give the file itself, to be read in place."""
        return self._existing(url)

    def check(self) -> None:
        """Make the root where it is missing, and write, read and remove a small file in it."""
        with self._store_errors():
            self.root.mkdir(parents=True, exist_ok=True)
            with removed_afterwards(part_path(self.root / "check")) as part:
                part.write_bytes(b"videomoments")
                part.read_bytes()

    def _path_of_url(self, url: str) -> Path:
        root = os.path.join(self.root, "")  # noqa: PTH118 - for its trailing slash
        path = path_of_file_url(url) or ""
        if path.startswith(root):
            with suppress(ValueError):
                return self.root / check_key(path.removeprefix(root))
        raise outside_root(url, self.root_url)

    def _existing(self, url: str) -> Path:
        path = self._inside(self._path_of_url(url))
        if self._stat_path(path) is None:
            raise missing_object(url)
        return path

    def _is_inside(self, path: Path) -> bool:
        try:
            return path.resolve().is_relative_to(self.root.resolve())
        except (OSError, RuntimeError):  # Links that go round in circles.
            return False

    def _inside(self, path: Path) -> Path:
        if not self._is_inside(path):
            raise ObjectStoreRefused(
                f"{path.as_uri()} leads out of the object store's root {self.root_url} by a "
                "symbolic link",
                remedy="Put the files there themselves, or set the object storage root to where "
                "they are",
            )
        return path

    def _stat_path(self, path: Path) -> ObjectStat | None:
        found = None
        with self._store_errors(), _absence_ignored():
            found = path.stat()
        if found is None or not stat.S_ISREG(found.st_mode):
            return None
        key = path.relative_to(self.root).as_posix()
        written_at = datetime.fromtimestamp(found.st_mtime, UTC)
        return ObjectStat(path.as_uri(), key, found.st_size, None, written_at)

    def _blocks_of(self, url: str) -> Iterator[bytes]:
        path = self._existing(url)
        with self._store_errors(url), path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                yield block

    def _claim(self, part: Path, target: Path) -> bool:
        """Give a finished file its name; False when another writer was first."""
        try:
            os.link(part, target)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
        else:
            return True
        # exFAT and some network file systems have no hard links, and rename overwrites.
        with FileLock(self.root / _LOCK_NAME, timeout=_LOCK_SECONDS):
            if target.exists():
                return False
            part.replace(target)
            return True

    @contextmanager
    def _store_errors(self, read_url: str | None = None) -> Iterator[None]:
        """Say what the operating system's errors mean.

        Args:
            read_url: Object that is read, and whose file may be gone since it was looked up.
        """
        try:
            yield
        except TimeoutError as error:
            raise ObjectStoreUnavailable(
                f"the object store {self.root} was locked for more than {_LOCK_SECONDS} seconds"
            ) from error
        except OSError as error:
            if read_url and error.errno == errno.ENOENT:
                raise missing_object(read_url) from error
            if error.errno in DISK_FULL:
                raise ObjectStoreUnavailable(
                    f"the disk of the object store {self.root} is full",
                    remedy="Free some space there, or set the object storage root to a larger disk",
                ) from error
            if error.errno == errno.EIO:
                raise ObjectStoreUnavailable(
                    f"the disk of the object store {self.root} failed: {error.strerror}"
                ) from error
            raise ObjectStoreRefused(
                f"the object store's folder {self.root} cannot be used: {error.strerror}",
                remedy=f"Make it usable: mkdir -p '{self.root}' && chmod u+rwx '{self.root}'",
            ) from error


def _raise_unless_absent(error: OSError) -> None:
    if error.errno not in _ABSENT:
        raise error


@contextmanager
def _absence_ignored() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        _raise_unless_absent(error)


def _copy_durably(path: Path, part: Path, *, sha256: str | None, progress: Written | None) -> None:
    digest = hashlib.sha256()
    # Hashing a block and writing it take about as long, and neither holds the interpreter.
    with part.open("xb") as copy, ThreadPoolExecutor(max_workers=1) as beside:
        for block in blocks_of(path):
            hashed = beside.submit(digest.update, block)
            copy.write(block)
            hashed.result()
            if progress is not None:
                progress(copy.tell())
        copy.flush()
        os.fsync(copy.fileno())
    if sha256 not in (None, digest.hexdigest()):
        raise changed_source(path)


def _same_bytes(path: Path, stored: Path) -> bool:
    with stored.open("rb") as other:
        theirs = iter(partial(other.read, BLOCK_BYTES), b"")
        return all(one == two for one, two in zip_longest(blocks_of(path), theirs))
