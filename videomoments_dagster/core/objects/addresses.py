"""The object storage root as a setting: what it may look like, and which store it means."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from videomoments_dagster.base.failures import SettingsRejected
from videomoments_dagster.core.objects.google_cloud import WAIT_SECONDS, GoogleCloudStore
from videomoments_dagster.core.objects.keys import check_key
from videomoments_dagster.core.objects.local_folder import LocalFolderStore
from videomoments_dagster.core.objects.store import ObjectStore
from videomoments_dagster.sources.locations import GoogleAddress, parse_google_url, path_of_file_url

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/")


def parse_root(root: str) -> Path | GoogleAddress:
    """Parse an object storage root into an absolute folder, or a bucket and prefix.

    Args:
        root: `file:///folder`, a plain folder (`~` and relative paths are made absolute), or
            `gs://bucket[/prefix]`.

    Raises:
        SettingsRejected: It is none of them.
    """
    if not root.strip() or "\0" in root:
        raise _rejected(root, "has a NUL character" if root.strip() else "is empty")
    scheme = _SCHEME.match(root)
    match scheme and scheme[1].lower():
        case None:
            return Path(os.path.abspath(Path(root).expanduser()))  # noqa: PTH100 - keep symlinks
        case "file":
            path = path_of_file_url(root)
            if path is None or ".." in Path(path).parts:
                raise _rejected(root, "does not name an absolute folder of this machine")
            return Path(path)
        case "gs":
            address = parse_google_url(root)
            if address is None:
                raise _rejected(root, "has no valid bucket name")
            prefix = address.path.rstrip("/")
            try:
                return GoogleAddress(address.bucket, prefix and check_key(prefix))
            except ValueError as error:
                raise _rejected(root, "has an invalid prefix") from error
        case _:
            scheme_as_given = root.partition(":")[0]
            raise _rejected(root, f"has the unsupported scheme {scheme_as_given}://")


def object_store_at(
    root: str, *, gcs_client: Callable[[], Any], wait_seconds: float = WAIT_SECONDS
) -> ObjectStore:
    """Give the object store that a root means; nothing is opened yet.

    Args:
        root: See `parse_root`.
        gcs_client: Makes a `google.cloud.storage.Client`; called at most once, when a `gs://`
            root is first used.
        wait_seconds: How long a server that does not answer is waited for, over all attempts.

    Raises:
        SettingsRejected: The root is invalid.
    """
    address = parse_root(root)
    if isinstance(address, Path):
        return LocalFolderStore(address)
    return GoogleCloudStore(
        gcs_client, bucket=address.bucket, prefix=address.path, wait_seconds=wait_seconds
    )


def root_url_of(root: str) -> str:
    """The address of the store that a root means, as those of its objects begin with.

    Raises:
        SettingsRejected: The root is invalid.
    """
    return object_store_at(root, gcs_client=lambda: None).root_url


def _rejected(root: str, reason: str) -> SettingsRejected:
    return SettingsRejected(
        f"the object storage root '{root}' {reason}",
        remedy="Use a folder, file:///absolute/folder, or gs://bucket/prefix",
    )
