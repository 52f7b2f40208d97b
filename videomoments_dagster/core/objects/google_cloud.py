"""An object store in a Google Cloud Storage bucket; the client is handed in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from videomoments_dagster.base.failures import (
    ObjectStoreRefused,
    ObjectStoreUnavailable,
    SourceUnavailable,
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
from videomoments_dagster.sources.google_transfer import (
    Checksums,
    ProgressReader,
    brief_reason,
    checksums_of,
    download_blob,
    google_problem,
    is_google_answer,
    within,
)
from videomoments_dagster.sources.limits import TransferLimits
from videomoments_dagster.sources.patience import Alive, Patience

T = TypeVar("T")
Requests = dict[str, Any]
"""How Google's client takes the limits of one request."""

WAIT_SECONDS = 180.0
_CHECK_SECONDS = 15.0
_SLOWEST_BYTES_PER_SECOND = 32 * 1024
_CHECK_LIMITS = TransferLimits(connect_seconds=4.0, read_seconds=6.0, retry_seconds=8.0)
_NEEDED_PERMISSIONS = tuple(
    f"storage.objects.{permission}" for permission in ("create", "delete", "get", "list")
)


class GoogleCloudStore:
    """Objects below `gs://bucket/prefix`.

    Args:
        client: Makes a `google.cloud.storage.Client`; called once, at the first use.
        bucket: Name of the bucket.
        prefix: Path below which all keys lie, without slashes at its ends; may be empty.
        limits: Time limits and retries.
        wait_seconds: How long a server that does not answer is waited for, over all attempts.
    """

    def __init__(
        self,
        client: Callable[[], Any],
        *,
        bucket: str,
        prefix: str = "",
        limits: TransferLimits | None = None,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._make_client = client
        self._bucket_name = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._limits = limits or TransferLimits()
        self._patience = Patience(self.root_url, seconds=wait_seconds)
        self._lock = threading.Lock()
        self._made: Any = None

    @property
    def root_url(self) -> str:
        """Address of the root."""
        return self._url("").rstrip("/")

    def url_of(self, key: str) -> str:
        """Give the `gs://` address of a key, taken literally, as Google's own tools do."""
        return self._url(check_key(key))

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
        if sha256 not in (None, sums.sha256):
            raise changed_source(path)
        found = self.stat(url)
        if found is None:

            def upload(limits: TransferLimits, alive: Alive) -> bool:
                def noted(done: int) -> None:
                    alive()
                    if progress is not None:
                        progress(done)

                return self._upload(path, key, content_type, sums, noted, limits)

            if self._asked(
                f"{url} could not be uploaded",
                upload,
                slack_seconds=self._limits.block_bytes / _SLOWEST_BYTES_PER_SECOND,
            ):
                return StoredObject(url, sums.size_bytes, created=True)
            found = self.stat(url)
        if found is None:
            raise ObjectStoreUnavailable(f"{url} was there a moment ago and is gone")
        if (found.size_bytes, found.crc32c) != (sums.size_bytes, sums.crc32c):
            raise other_bytes(url, path)
        return StoredObject(url, sums.size_bytes, created=False)

    def fetch(self, url: str, *, to: Path) -> Path:
        """Download an object to `to`, verified against its CRC-32C."""
        key = self._key_of_url(url)

        def fetch(limits: TransferLimits, alive: Alive) -> bool:
            blob = self._get_blob(key, limits)
            alive()
            if blob is None:
                self._require_bucket(limits)
                return False
            download_blob(blob, to=to, limits=limits, alive=alive)
            return True

        if not self._asked(f"{url} could not be downloaded", fetch):
            raise missing_object(url)
        return to

    def read_range(self, url: str, *, start: int, length: int) -> bytes:
        """Read some bytes of an object; a dropped connection is tried again."""
        key = self._key_of_url(url)

        def read(limits: TransferLimits, _: Alive) -> bytes:
            content: bytes = b""
            with _missing_ignored():
                content = self._blob(key).download_as_bytes(
                    start=start,
                    end=start + length - 1,
                    raw_download=True,
                    checksum=None,
                    **limits.per_request,
                )
            return content  # noqa: RET504 - what is missing ends the block early

        content = self._asked(f"{url} could not be read", read)
        if len(content) != length:
            raise missing_object(url, "is not in the object store, or is shorter than it was")
        return content

    def stat(self, url: str) -> ObjectStat | None:
        """Describe an object; None when there is none."""
        key = self._key_of_url(url)
        blob = self._asked(
            f"{url} could not be looked up", lambda limits, _: self._get_blob(key, limits)
        )
        return None if blob is None else self._describe(blob)

    def delete(self, url: str) -> None:
        """Delete an object, if it is there."""
        key = self._key_of_url(url)

        def delete(limits: TransferLimits, _: Alive) -> None:
            with _missing_ignored():
                self._blob(key).delete(**limits.per_request)

        self._asked(f"{url} could not be deleted", delete)

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        """List the objects below a prefix, page by page."""
        below = f"{self._prefix}{check_prefix(prefix)}"
        pages: Iterator[Any] | None = None

        def next_page(limits: TransferLimits, _: Alive) -> list[Any] | None:
            nonlocal pages
            if pages is None:
                found = self._client().list_blobs(
                    self._bucket_name,
                    prefix=below or None,
                    fields="items(name,size,crc32c,updated),nextPageToken",
                    **limits.per_request,
                )
                pages = found.pages
            page = next(pages, None)
            return None if page is None else [*page]

        failed = f"gs://{self._bucket_name}/{below} could not be listed"
        while (page := self._asked(failed, next_page)) is not None:
            for blob in page:
                if not blob.name.endswith("/"):  # the folder markers of Google's console
                    yield self._describe(blob)

    def remove_unfinished(self, *, before: datetime) -> int:  # noqa: ARG002
        """Nothing: an object appears when it is whole, and Google forgets the rest in a week."""
        return 0

    def local_path(self, url: str) -> Path | None:
        """Objects in a bucket cannot be read in place."""
        self._key_of_url(url)
        return None

    def check(self) -> None:
        """Make sure the bucket is there and that its objects may be written and read."""
        checked: Future[None] = Future()

        def check() -> None:
            try:
                self._check_now()
                checked.set_result(None)
            except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
                checked.set_exception(error)

        # It may hang where no time limit reaches, such as looking a host name up.
        threading.Thread(target=check, name="object-store-check", daemon=True).start()
        try:
            checked.result(_CHECK_SECONDS)
        except TimeoutError as error:
            raise ObjectStoreUnavailable(
                f"{self.root_url} did not answer within {_CHECK_SECONDS:g} seconds",
                remedy="Check the network, then try again",
            ) from error

    def _check_now(self) -> None:
        # A server without IAM, such as an emulator, does not know the question.
        granted: set[str] = set(_NEEDED_PERMISSIONS)
        with self._google_errors(f"{self.root_url} could not be reached"):
            self._require_bucket(_CHECK_LIMITS)
            bucket = self._client().bucket(self._bucket_name)
            with _missing_ignored():
                asked = list(_NEEDED_PERMISSIONS)
                granted = set(bucket.test_iam_permissions(asked, **_CHECK_LIMITS.per_request))
        if missing := sorted(set(_NEEDED_PERMISSIONS) - granted):
            raise self._forbidden(f"lacks the permissions {', '.join(missing)}")

    def _require_bucket(self, limits: TransferLimits) -> None:
        # Listing needs `storage.objects.list`; `get_bucket` would need `storage.buckets.get`,
        # which the role for objects does not include.
        any(
            self._client().list_blobs(
                self._bucket_name,
                prefix=self._prefix or None,
                max_results=1,
                fields="items(name),nextPageToken",
                **limits.per_request,
            )
        )

    def _asked(
        self,
        failed: str,
        work: Callable[[TransferLimits, Alive], T],
        *,
        slack_seconds: float = 0.0,
    ) -> T:
        """Ask the server, for as long as it is waited for.

        Args:
            failed: Begins the sentence where it fails in a way that may pass.
            work: Makes requests within those limits.
            slack_seconds: For which it may be silent beyond that.
        """
        limits = within(self._limits, self._patience)
        with self._google_errors(failed):
            return self._patience.call(
                lambda alive: work(limits, alive),
                is_answer=is_google_answer,
                slack_seconds=slack_seconds,
            )

    def _upload(
        self,
        path: Path,
        key: str,
        content_type: str,
        sums: Checksums,
        progress: Written,
        limits: TransferLimits,
    ) -> bool:
        """Upload a file; False when another writer took the key first."""
        for is_last in (False, True):
            blob = self._blob(key)
            blob.chunk_size = self._limits.block_bytes
            # Part of the request, so that the server itself refuses other bytes. Google's client
            # is kept from putting the sum of what it happens to read in its place.
            blob.crc32c = sums.crc32c
            try:
                with ProgressReader(path, progress) as file:
                    blob.upload_from_file(
                        file,
                        size=sums.size_bytes,
                        content_type=content_type,
                        if_generation_match=0,
                        checksum=None,
                        **limits.per_request,
                    )
            except FileNotFoundError as error:
                raise SourceUnavailable(f"{path} cannot be read: {error.strerror}") from error
            except ValueError as error:
                # Google's client gives up on a session whose server kept part of a block.
                if is_last:
                    raise ObjectStoreUnavailable(
                        f"{self.url_of(key)} could not be uploaded: the session was lost"
                    ) from error
            except Exception as error:
                if google_problem(error) == "exists":
                    return False
                raise
            else:
                break
        if (blob.crc32c, int(blob.size or 0)) != (sums.crc32c, sums.size_bytes):
            blob.delete(if_generation_match=blob.generation, **limits.per_request)
            raise ObjectStoreUnavailable(f"{self.url_of(key)} was stored damaged")
        return True

    def _client(self) -> Any:
        with self._lock:
            if self._made is None:
                self._made = self._make_client()
            return self._made

    def _blob(self, key: str) -> Any:
        return self._client().bucket(self._bucket_name).blob(f"{self._prefix}{key}")

    def _get_blob(self, key: str, limits: TransferLimits) -> Any:
        bucket = self._client().bucket(self._bucket_name)
        return bucket.get_blob(f"{self._prefix}{key}", **limits.per_request)

    def _describe(self, blob: Any) -> ObjectStat:
        key = blob.name.removeprefix(self._prefix)
        return ObjectStat(self._url(key), key, int(blob.size or 0), blob.crc32c, blob.updated)

    def _url(self, key: str) -> str:
        return f"gs://{self._bucket_name}/{self._prefix}{key}"

    def _key_of_url(self, url: str) -> str:
        root = self._url("")
        if url.startswith(root):
            with suppress(ValueError):
                return check_key(url.removeprefix(root))
        raise outside_root(url, self.root_url)

    def _forbidden(self, how: str) -> ObjectStoreRefused:
        bucket = f"gs://{self._bucket_name}"
        return ObjectStoreRefused(
            f"the account in use {how} in the bucket {bucket}",
            remedy="Grant it with: gcloud storage buckets add-iam-policy-binding "
            f"{bucket} --member=user:YOU --role=roles/storage.objectUser",
        )

    @contextmanager
    def _google_errors(self, doing: str) -> Iterator[None]:
        bucket = f"gs://{self._bucket_name}"
        try:
            yield
        except Exception as error:
            match google_problem(error):
                case None:
                    raise
                case "missing":
                    raise ObjectStoreRefused(
                        f"the bucket {bucket} does not exist",
                        remedy=f"Make it with: gcloud storage buckets create {bucket}",
                    ) from error
                case "forbidden":
                    raise self._forbidden("may not do this") from error
                case "credentials":
                    raise ObjectStoreRefused(
                        f"there are no usable Google credentials for {bucket}",
                        remedy="Log in with: gcloud auth application-default login",
                    ) from error
                case _:
                    raise ObjectStoreUnavailable(
                        f"{doing}: {brief_reason(error)}",
                        remedy="Check the network and https://status.cloud.google.com, then try "
                        "again",
                    ) from error


@contextmanager
def _missing_ignored() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if google_problem(error) != "missing":
            raise
