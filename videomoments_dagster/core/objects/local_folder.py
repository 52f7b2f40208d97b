"""An object store in a local folder: every object is a plain file below one root.

Belongs here: atomic create-only writes, `file://` addresses, and what the operating system's
errors mean to a user. Does not belong here: temporary files of runs (scratch).

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
from pathlib import Path

from filelock import FileLock

from videomoments_dagster.base.failures import (
    ObjectConflict,
    ObjectMissing,
    ObjectStoreRefused,
    ObjectStoreUnavailable,
    SourceUnavailable,
)
from videomoments_dagster.base.files import (
    BLOCK_BYTES,
    DISK_FULL,
    PART_PREFIX,
    blocks_of,
    part_path,
    removed_afterwards,
    scratch_errors,
    sync_folder,
)
from videomoments_dagster.core.objects.interface import ObjectStat, StoredObject, Written
from videomoments_dagster.core.objects.keys import check_key, check_prefix
from videomoments_dagster.sources.locations import path_of_file_url

_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS)
_LOCK_SECONDS = 60
_LOCK_NAME = f"{PART_PREFIX}create-only.lock"
# The lock is no leftover, whatever it is called.
_UNFINISHED = re.compile(rf"{re.escape(PART_PREFIX)}[0-9a-f]{{16}}")


class LocalFolderStore:
    """Objects as files below `root`, which is made when first written to."""

    def __init__(self, root: Path) -> None:
        self._root = Path(os.path.abspath(root.expanduser()))  # noqa: PTH100 - keep symlinks

    @property
    def root(self) -> Path:
        """The root folder, absolute; symbolic links are kept as they were given."""
        return self._root

    @property
    def root_url(self) -> str:
        """Address of the root folder, percent-encoded."""
        return self._root.as_uri()

    def url_of(self, key: str) -> str:
        """Give the percent-encoded `file://` address of a key."""
        return self._path_of_key(key).as_uri()

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
        target = self._inside(self._path_of_key(key))
        with self._store_errors():
            if target.exists():
                return self._unchanged(path, target)
            target.parent.mkdir(parents=True, exist_ok=True)
            with removed_afterwards(part_path(target)) as part:
                _copy_durably(path, part, sha256=sha256, progress=progress)
                if not self._claim(part, target):
                    return self._unchanged(part, target)
            sync_folder(target.parent)
            return StoredObject(url=target.as_uri(), size_bytes=target.stat().st_size, created=True)

    def fetch(self, url: str, *, to: Path) -> Path:
        """Copy an object to `to`."""
        found = self._existing(url)
        with removed_afterwards(part_path(to)) as part:
            with scratch_errors(to):
                copy = part.open("xb")
            with copy:
                for block in self._blocks_of_object(found, url):
                    with scratch_errors(to):
                        copy.write(block)
                with scratch_errors(to):
                    copy.flush()
            with scratch_errors(to):
                part.replace(to)
        return to

    def read_range(self, url: str, *, start: int, length: int) -> bytes:
        """Read some bytes of an object."""
        path = self._existing(url)
        with self._store_errors(), path.open("rb") as file:
            file.seek(start)
            content = file.read(length)
        if len(content) != length:
            raise ObjectMissing(
                f"the object {url} is shorter than it was",
                remedy="Materialise the asset that makes it again",
            )
        return content

    def stat(self, url: str) -> ObjectStat | None:
        """Describe a file; None for nothing and for folders."""
        return self._stat_path(self._inside(self._path_of_url(url)))

    def delete(self, url: str) -> None:
        """Remove a file, if it is there."""
        path = self._path_of_url(url)
        # The name itself may be a link, which is what is removed then.
        self._inside(path.parent)
        with self._store_errors():
            try:
                path.unlink()
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        """List the files below a folder, in order of their keys."""
        folder = self._root / check_prefix(prefix)
        with self._store_errors():
            keys = sorted(self._keys_below(folder))
        for key in keys:
            path = self._root / key
            found = self._stat_path(path) if self._is_inside(path) else None
            if found is not None:
                yield found

    def remove_unfinished(self, *, before: datetime) -> int:
        """Remove files of writes that were killed, if nobody has written to them since a time."""
        removed = 0
        with self._store_errors():
            for folder, _, names in os.walk(self._root):
                for name in names:
                    if not _UNFINISHED.fullmatch(name):
                        continue
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
            self._root.mkdir(parents=True, exist_ok=True)
            with removed_afterwards(part_path(self._root / "check")) as part:
                part.write_bytes(b"videomoments")
                part.read_bytes()

    def _path_of_key(self, key: str) -> Path:
        return self._root / check_key(key)

    def _path_of_url(self, url: str) -> Path:
        root = os.path.join(self._root, "")  # noqa: PTH118 - for its trailing slash
        path = path_of_file_url(url)
        if path is not None and path.startswith(root):
            with suppress(ValueError):
                return self._path_of_key(path.removeprefix(root))
        raise ObjectStoreRefused(
            f"{url} is not below the object store's root {self.root_url}",
            remedy="Set the object storage root to the one that it was stored under",
        )

    def _existing(self, url: str) -> Path:
        path = self._inside(self._path_of_url(url))
        if self._stat_path(path) is None:
            raise _missing(url)
        return path

    def _is_inside(self, path: Path) -> bool:
        try:
            return path.resolve().is_relative_to(self._root.resolve())
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
        with self._store_errors():
            try:
                found = path.stat()
            except OSError as error:
                if error.errno in _ABSENT:
                    return None
                raise
        if not stat.S_ISREG(found.st_mode):
            return None
        return ObjectStat(
            url=path.as_uri(),
            key=path.relative_to(self._root).as_posix(),
            size_bytes=found.st_size,
            crc32c=None,
            written_at=datetime.fromtimestamp(found.st_mtime, UTC),
        )

    def _keys_below(self, folder: Path) -> Iterator[str]:
        for parent, _, names in os.walk(folder, onerror=_raise_unless_absent):
            for name in names:
                if not name.startswith(PART_PREFIX):
                    yield (Path(parent) / name).relative_to(self._root).as_posix()

    def _blocks_of_object(self, path: Path, url: str) -> Iterator[bytes]:
        with self._store_errors():
            try:
                file = path.open("rb")
            except FileNotFoundError:
                raise _missing(url) from None
            with file:
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
        with FileLock(self._root / _LOCK_NAME, timeout=_LOCK_SECONDS):
            if target.exists():
                return False
            part.replace(target)
            return True

    def _unchanged(self, path: Path, target: Path) -> StoredObject:
        if not _same_bytes(path, target):
            raise ObjectConflict(
                f"{target.as_uri()} already holds other bytes than {path.name}",
                remedy="Find out who wrote there; keys are never overwritten",
            )
        return StoredObject(url=target.as_uri(), size_bytes=target.stat().st_size, created=False)

    @contextmanager
    def _store_errors(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise ObjectStoreUnavailable(
                f"the object store {self._root} was locked for more than {_LOCK_SECONDS} seconds"
            ) from error
        except OSError as error:
            if error.errno in DISK_FULL:
                raise ObjectStoreUnavailable(
                    f"the disk of the object store {self._root} is full",
                    remedy="Free some space there, or set the object storage root to a larger disk",
                ) from error
            if error.errno == errno.EIO:
                raise ObjectStoreUnavailable(
                    f"the disk of the object store {self._root} failed: {error.strerror}"
                ) from error
            raise ObjectStoreRefused(
                f"the object store's folder {self._root} cannot be used: {error.strerror}",
                remedy=f"Make it usable: mkdir -p '{self._root}' && chmod u+rwx '{self._root}'",
            ) from error


def _missing(url: str) -> ObjectMissing:
    return ObjectMissing(
        f"the object {url} is not in the object store",
        remedy="Materialise the asset that makes it again",
    )


def _raise_unless_absent(error: OSError) -> None:
    if error.errno not in _ABSENT:
        raise error


def _copy_durably(path: Path, part: Path, *, sha256: str | None, progress: Written | None) -> None:
    digest = hashlib.sha256()
    # Hashing a block and writing it take about as long, and neither holds the interpreter.
    with part.open("xb") as copy, ThreadPoolExecutor(max_workers=1) as beside:
        for block in blocks_of(path):
            hashed = beside.submit(digest.update, block) if sha256 is not None else None
            copy.write(block)
            if hashed is not None:
                hashed.result()
            if progress is not None:
                progress(copy.tell())
        copy.flush()
        os.fsync(copy.fileno())
    if sha256 is not None and digest.hexdigest() != sha256:
        raise SourceUnavailable(
            f"{path} changed while it was being stored",
            remedy="Wait until nothing writes to it, then materialise again",
        )


def _same_bytes(path: Path, stored: Path) -> bool:
    try:
        if path.stat().st_size != stored.stat().st_size:
            return False
    except FileNotFoundError as error:
        raise SourceUnavailable(f"{path} cannot be read: {error.strerror}") from error
    with stored.open("rb") as other:
        return all(block == other.read(BLOCK_BYTES) for block in blocks_of(path))
