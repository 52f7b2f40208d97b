"""The object store: files by key below one root, whatever keeps them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from videomoments_dagster.base.failures import (
    ObjectConflict,
    ObjectMissing,
    ObjectStoreRefused,
    SourceUnavailable,
)

Written = Callable[[int], None]
"""Called with the bytes of a file that are written so far."""


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """What is known of a stored object without reading it.

    Attributes:
        url: Full address: `file:///...` or `gs://bucket/...`.
        key: Address below the store's root.
        size_bytes: Size.
        crc32c: Base64 of the big-endian CRC-32C, or None where the backend keeps none.
        written_at: When it was written, with zone; None where the backend does not say.
    """

    url: str
    key: str
    size_bytes: int
    crc32c: str | None
    written_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What storing a file led to.

    Attributes:
        url: Full address of the object.
        size_bytes: Size.
        created: False when the same bytes were there already and nothing was written.
    """

    url: str
    size_bytes: int
    created: bool


class ObjectStore(Protocol):
    """Files by key below one root.

    Keys are `/`-separated relative paths. Methods that take a URL refuse one that is not below
    this store's root with `ObjectStoreRefused`. Every method may raise `ObjectStoreRefused`
    (missing or forbidden root) and `ObjectStoreUnavailable` (may pass). Stores may be used from
    several threads at once.
    """

    @property
    def root_url(self) -> str:
        """Address of the root, without a trailing slash."""

    def url_of(self, key: str) -> str:
        """Give the address that an object under `key` has or would have."""

    def put_file(
        self,
        path: Path,
        *,
        key: str,
        content_type: str,
        sha256: str | None = None,
        progress: Written | None = None,
    ) -> StoredObject:
        """Store a file under a key that holds nothing yet, or the same bytes.

        Args:
            path: File to store; only read.
            key: Where to store it.
            content_type: MIME type, for backends that keep one.
            sha256: Expected SHA-256 of the file in hexadecimal, where the key promises it.
            progress: Called now and then with the bytes that are written so far.

        Returns:
            The object's address, and whether it was written by this call.

        Raises:
            ObjectConflict: The key holds other bytes; they are left alone.
            SourceUnavailable: The file cannot be read or is not what `sha256` promises.
        """

    def fetch(self, url: str, *, to: Path) -> Path:
        """Copy an object to a local file, which appears complete or not at all.

        Args:
            url: Address of the object.
            to: File to write; its folder must exist. An existing file is replaced.

        Returns:
            `to`.

        Raises:
            ObjectMissing: There is no such object.
            ScratchExhausted: The local disk is full or not writable.
        """

    def read_range(self, url: str, *, start: int, length: int) -> bytes:
        """Read some bytes of an object.

        Args:
            url: Address of the object.
            start: Where they start.
            length: How many; all of them must be there.

        Raises:
            ObjectMissing: There is no such object, or it is shorter.
        """

    def stat(self, url: str) -> ObjectStat | None:
        """Describe an object; None when there is none."""

    def delete(self, url: str) -> None:
        """Remove an object; nothing happens when there is none."""

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        """List the objects below a folder-like prefix, in order of their keys.

        Args:
            prefix: Whole path segments: `videos/vid1` finds `videos/vid1/a.mp4` and never
                `videos/vid10/a.mp4`. Empty for everything.
        """

    def remove_unfinished(self, *, before: datetime) -> int:
        """Remove what writes left behind that were killed, if it was begun before a time.

        Returns:
            How many such leftovers there were.
        """

    def local_path(self, url: str) -> Path | None:
        """Give the path of an object that can be read in place; None where it must be fetched.

        Raises:
            ObjectMissing: The backend reads in place and there is no such object.
        """

    def check(self) -> None:
        """Make sure within about 15 seconds that objects can be written and read.

        Raises:
            ObjectStoreRefused: The root is missing or forbidden; the remedy is the command that
                mends it.
            ObjectStoreUnavailable: It cannot be reached.
        """


def missing_object(url: str, how: str = "is not in the object store") -> ObjectMissing:
    """What a store says of an object that is not there, or not whole."""
    return ObjectMissing(
        f"the object {url} {how}", remedy="Materialise the asset that makes it again"
    )


def other_bytes(url: str, path: Path) -> ObjectConflict:
    """What a store says when a key is taken by another file than the one to be stored."""
    return ObjectConflict(
        f"{url} already holds other bytes than {path.name}",
        remedy="Find out who wrote there; keys are never overwritten",
    )


def changed_source(path: Path) -> SourceUnavailable:
    """What a store says of a file that is not what its SHA-256 promises."""
    return SourceUnavailable(
        f"{path} changed while it was being stored",
        remedy="Wait until nothing writes to it, then materialise again",
    )


def outside_root(url: str, root_url: str) -> ObjectStoreRefused:
    """What a store says of an address that is not below its root."""
    return ObjectStoreRefused(
        f"{url} is not below the object store's root {root_url}",
        remedy="Set the object storage root to the one that it was stored under",
    )
