"""An object store in a Google Cloud Storage bucket.

Belongs here: keys below a bucket's prefix, create-only uploads, and the words that a user reads
when the bucket is missing, forbidden or out of reach. Does not belong here: credentials and
projects (the client is handed in), sources in other people's buckets
(`videomoments_dagster.sources`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from videomoments_dagster.base.failures import (
    ObjectConflict,
    ObjectMissing,
    ObjectStoreRefused,
    ObjectStoreUnavailable,
    SourceUnavailable,
    VideoMomentsError,
)
from videomoments_dagster.core.objects.interface import ObjectStat, StoredObject, Written
from videomoments_dagster.core.objects.keys import check_key, check_prefix
from videomoments_dagster.sources.google_transfer import (
    Checksums,
    ReadAloud,
    TransferLimits,
    brief_reason,
    checksums_of,
    download_blob,
    google_problem,
)

_UPLOAD_SESSIONS = 2
_CHECK_SECONDS = 15.0
_CHECK_LIMITS = TransferLimits(connect_seconds=4.0, read_seconds=6.0, retry_seconds=8.0)
_NEEDED_PERMISSIONS = (
    "storage.objects.create",
    "storage.objects.delete",
    "storage.objects.get",
    "storage.objects.list",
)


class GoogleCloudStore:
    """Objects below `gs://bucket/prefix`.

    Args:
        client: Makes a `google.cloud.storage.Client`; called once, at the first use.
        bucket: Name of the bucket.
        prefix: Path below which all keys lie, without slashes at its ends; may be empty.
        limits: Time limits and retries.
    """

    def __init__(
        self,
        client: Callable[[], Any],
        *,
        bucket: str,
        prefix: str = "",
        limits: TransferLimits | None = None,
    ) -> None:
        self._make_client = client
        self._bucket_name = bucket
        self._prefix = f"{check_key(prefix)}/" if prefix else ""
        self._limits = limits or TransferLimits()
        self._lock = threading.Lock()
        self._made: Any = None

    @property
    def root_url(self) -> str:
        """Address of the root."""
        return f"gs://{self._bucket_name}/{self._prefix}".rstrip("/")

    def url_of(self, key: str) -> str:
        """Give the `gs://` address of a key, taken literally, as Google's own tools do."""
        return f"gs://{self._bucket_name}/{self._prefix}{check_key(key)}"

    def put_file(
        self,
        path: Path,
        *,
        key: str,
        content_type: str,
        sha256: str | None = None,
        progress: Written | None = None,
    ) -> StoredObject:
        """Upload a file in blocks, unless its key is taken.

        The key is looked up first, because that is cheap and an upload is not; the precondition
        decides between writers that arrive together.
        """
        url = self.url_of(key)
        sums = checksums_of(path)
        if sha256 is not None and sums.sha256 != sha256:
            raise SourceUnavailable(
                f"{path} changed while it was being stored",
                remedy="Wait until nothing writes to it, then materialise again",
            )
        existing = self.stat(url)
        if existing is not None:
            return _unchanged(existing, sums, path)
        if self._upload(path, key=key, content_type=content_type, sums=sums, progress=progress):
            return StoredObject(url=url, size_bytes=sums.size_bytes, created=True)
        existing = self.stat(url)
        if existing is None:
            raise ObjectStoreUnavailable(f"{url} was there a moment ago and is gone")
        return _unchanged(existing, sums, path)

    def fetch(self, url: str, *, to: Path) -> Path:
        """Download an object to `to`, verified against its CRC-32C."""
        key = self._key_of_url(url)
        with self._google_errors(f"{url} could not be downloaded"):
            blob = self._get_blob(key)
            if blob is not None:
                download_blob(blob, to=to, limits=self._limits)
                return to
            self._require_bucket(self._limits)
        raise ObjectMissing(
            f"the object {url} is not in the object store",
            remedy="Materialise the asset that makes it again",
        )

    def read_range(self, url: str, *, start: int, length: int) -> bytes:
        """Read some bytes of an object; a dropped connection is tried again."""
        key = self._key_of_url(url)
        with self._google_errors(f"{url} could not be read"):
            try:
                content: bytes = self._blob(key).download_as_bytes(
                    start=start,
                    end=start + length - 1,
                    raw_download=True,
                    checksum=None,
                    timeout=self._limits.timeout,
                    retry=self._limits.retry(),
                )
            except Exception as error:
                if google_problem(error) != "missing":
                    raise
                content = b""
        if len(content) != length:
            raise ObjectMissing(
                f"the object {url} is not in the object store, or is shorter than it was",
                remedy="Materialise the asset that makes it again",
            )
        return content

    def stat(self, url: str) -> ObjectStat | None:
        """Describe an object; None when there is none."""
        key = self._key_of_url(url)
        with self._google_errors(f"{url} could not be looked up"):
            blob = self._get_blob(key)
        return None if blob is None else self._describe(blob)

    def delete(self, url: str) -> None:
        """Delete an object, if it is there."""
        key = self._key_of_url(url)
        with self._google_errors(f"{url} could not be deleted"):
            try:
                self._blob(key).delete(timeout=self._limits.timeout, retry=self._limits.retry())
            except Exception as error:
                if google_problem(error) != "missing":
                    raise

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        """List the objects below a prefix, page by page."""
        below = f"{self._prefix}{check_prefix(prefix)}"
        with self._google_errors(f"gs://{self._bucket_name}/{below} could not be listed"):
            for blob in self._client().list_blobs(
                self._bucket_name,
                prefix=below or None,
                fields="items(name,size,crc32c,updated),nextPageToken",
                timeout=self._limits.timeout,
                retry=self._limits.retry(),
            ):
                if not blob.name.endswith("/"):  # the folder markers of Google's console
                    yield self._describe(blob)

    def local_path(self, url: str) -> Path | None:
        """Objects in a bucket cannot be read in place."""
        self._key_of_url(url)
        return None

    def check(self) -> None:
        """Make sure the bucket is there and that its objects may be written and read."""
        _within(_CHECK_SECONDS, self._check_now, name=self.root_url)

    def close(self) -> None:
        """Close the client's connections, if it was ever made."""
        with self._lock:
            if self._made is not None:
                self._made.close()
                self._made = None

    def _check_now(self) -> None:
        with self._google_errors(f"{self.root_url} could not be reached"):
            self._require_bucket(_CHECK_LIMITS)
            missing = sorted(set(_NEEDED_PERMISSIONS) - self._permissions())
        if missing:
            raise self._forbidden(f"lacks the permissions {', '.join(missing)}")

    def _permissions(self) -> set[str]:
        """Ask which of the needed permissions the credentials have."""
        try:
            return set(
                self._client()
                .bucket(self._bucket_name)
                .test_iam_permissions(
                    list(_NEEDED_PERMISSIONS),
                    timeout=_CHECK_LIMITS.timeout,
                    retry=_CHECK_LIMITS.retry(),
                )
            )
        except Exception as error:
            # Listing has just worked, so this is a server without IAM, such as an emulator.
            if google_problem(error) == "missing":
                return set(_NEEDED_PERMISSIONS)
            raise

    def _require_bucket(self, limits: TransferLimits) -> None:
        # Listing needs `storage.objects.list`; `get_bucket` would need `storage.buckets.get`,
        # which the role for objects does not include.
        next(
            iter(
                self._client().list_blobs(
                    self._bucket_name,
                    prefix=self._prefix or None,
                    max_results=1,
                    fields="items(name),nextPageToken",
                    timeout=limits.timeout,
                    retry=limits.retry(),
                )
            ),
            None,
        )

    def _upload(
        self,
        path: Path,
        *,
        key: str,
        content_type: str,
        sums: Checksums,
        progress: Written | None,
    ) -> bool:
        """Upload a file; False when another writer took the key first."""
        with self._google_errors(f"{self.url_of(key)} could not be uploaded"):
            for session in range(_UPLOAD_SESSIONS):
                blob = self._blob(key)
                blob.chunk_size = self._limits.block_bytes
                # Part of the request, so that the server itself refuses other bytes. Google's
                # client is kept from putting the sum of what it happens to read in its place.
                blob.crc32c = sums.crc32c
                try:
                    with ReadAloud(path, progress) as file:
                        blob.upload_from_file(
                            file,
                            size=sums.size_bytes,
                            content_type=content_type,
                            if_generation_match=0,
                            checksum=None,
                            timeout=self._limits.timeout,
                            retry=self._limits.retry(),
                        )
                except FileNotFoundError as error:
                    raise SourceUnavailable(f"{path} cannot be read: {error.strerror}") from error
                except ValueError as error:
                    # Google's client gives up on a session whose server kept part of a block.
                    if session + 1 == _UPLOAD_SESSIONS:
                        raise ObjectStoreUnavailable(
                            f"{self.url_of(key)} could not be uploaded: the session was lost"
                        ) from error
                except Exception as error:
                    if google_problem(error) == "exists":
                        return False
                    raise
                else:
                    self._require_stored(blob, sums)
                    return True
        raise AssertionError  # pragma: no cover - the loop returns or raises

    def _require_stored(self, blob: Any, sums: Checksums) -> None:
        """Take back an upload that the server stored with another checksum than was asked."""
        if blob.crc32c == sums.crc32c and int(blob.size or 0) == sums.size_bytes:
            return
        blob.delete(
            if_generation_match=blob.generation,
            timeout=self._limits.timeout,
            retry=self._limits.retry(),
        )
        raise ObjectStoreUnavailable(f"gs://{self._bucket_name}/{blob.name} was stored damaged")

    def _client(self) -> Any:
        with self._lock:
            if self._made is None:
                self._made = self._make_client()
            return self._made

    def _blob(self, key: str) -> Any:
        return self._client().bucket(self._bucket_name).blob(f"{self._prefix}{key}")

    def _get_blob(self, key: str) -> Any:
        return (
            self._client()
            .bucket(self._bucket_name)
            .get_blob(
                f"{self._prefix}{key}", timeout=self._limits.timeout, retry=self._limits.retry()
            )
        )

    def remove_unfinished(self, *, before: datetime) -> int:  # noqa: ARG002
        """Nothing: an object appears when it is whole, and Google forgets the rest in a week."""
        return 0

    def _describe(self, blob: Any) -> ObjectStat:
        return ObjectStat(
            url=f"gs://{self._bucket_name}/{blob.name}",
            key=blob.name.removeprefix(self._prefix),
            size_bytes=int(blob.size or 0),
            crc32c=blob.crc32c,
            written_at=blob.updated,
        )

    def _key_of_url(self, url: str) -> str:
        root = f"gs://{self._bucket_name}/{self._prefix}"
        if url.startswith(root):
            try:
                return check_key(url.removeprefix(root))
            except ValueError:
                pass
        raise ObjectStoreRefused(
            f"{url} is not below the object store's root {self.root_url}",
            remedy="Set the object storage root to the one that it was stored under",
        )

    def _forbidden(self, how: str) -> ObjectStoreRefused:
        return ObjectStoreRefused(
            f"the account in use {how} in the bucket gs://{self._bucket_name}",
            remedy=(
                "Grant it with: gcloud storage buckets add-iam-policy-binding "
                f"gs://{self._bucket_name} --member=user:YOU --role=roles/storage.objectUser"
            ),
        )

    @contextmanager
    def _google_errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except VideoMomentsError:
            raise
        except Exception as error:
            problem = google_problem(error)
            if problem is None:
                raise
            raise self._failure(problem, doing=doing, error=error) from error

    def _failure(self, problem: str, *, doing: str, error: Exception) -> VideoMomentsError:
        if problem == "missing":
            return ObjectStoreRefused(
                f"the bucket gs://{self._bucket_name} does not exist",
                remedy=f"Make it with: gcloud storage buckets create gs://{self._bucket_name}",
            )
        if problem == "forbidden":
            return self._forbidden("may not do this")
        if problem == "credentials":
            return ObjectStoreRefused(
                f"there are no usable Google credentials for gs://{self._bucket_name}",
                remedy="Log in with: gcloud auth application-default login",
            )
        return ObjectStoreUnavailable(
            f"{doing}: {brief_reason(error)}",
            remedy="Check the network and https://status.cloud.google.com, then try again",
        )


def _unchanged(existing: ObjectStat, sums: Checksums, path: Path) -> StoredObject:
    if existing.size_bytes != sums.size_bytes or existing.crc32c != sums.crc32c:
        raise ObjectConflict(
            f"{existing.url} already holds other bytes than {path.name}",
            remedy="Find out who wrote there; keys are never overwritten",
        )
    return StoredObject(url=existing.url, size_bytes=existing.size_bytes, created=False)


def _within(seconds: float, action: Callable[[], None], *, name: str) -> None:
    """Run an action that may hang where no time limit reaches, such as looking a host name up."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            action()
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
            raised.append(error)

    thread = threading.Thread(target=run, name="object-store-check", daemon=True)
    thread.start()
    thread.join(seconds)
    if raised:
        raise raised[0]
    if thread.is_alive():
        raise ObjectStoreUnavailable(
            f"{name} did not answer within {seconds:g} seconds",
            remedy="Check the network, then try again",
        )
