"""Sources in Google Cloud Storage: any object that the credentials may read.

Belongs here: what Google's answers mean for a source. Does not belong here: the project's own
objects (`videomoments_dagster.core.objects`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from videomoments_dagster.base.failures import SourceRejected, SourceUnavailable, VideoMomentsError
from videomoments_dagster.sources.google_transfer import (
    Checksums,
    TransferLimits,
    brief_reason,
    download_blob,
    google_problem,
)
from videomoments_dagster.sources.limits import FetchLimits, Progress
from videomoments_dagster.sources.locations import parse_google_url


def download_object(
    url: str,
    *,
    to: Path,
    gcs_client: Callable[[], Any],
    limits: FetchLimits,
    progress: Progress | None,
) -> Checksums:
    """Download `gs://bucket/object`, verified; the file appears complete or not at all.

    Raises:
        SourceRejected: It is missing, forbidden, empty or too large.
        SourceUnavailable: Google Cloud Storage could not be reached.
        ScratchExhausted: The local disk is full or not writable.
    """
    address = parse_google_url(url)
    if address is None or not address.path or address.path.endswith("/"):
        raise SourceRejected(
            f"the source {url} does not name an object", remedy="Write it as gs://bucket/object"
        )
    bounds = TransferLimits(
        connect_seconds=limits.connect_seconds,
        read_seconds=limits.read_seconds,
        retry_seconds=min(TransferLimits().retry_seconds, limits.total_seconds),
        first_wait_seconds=limits.first_wait_seconds,
        total_seconds=limits.total_seconds,
    )
    try:
        blob = (
            gcs_client()
            .bucket(address.bucket)
            .get_blob(address.path, timeout=bounds.timeout, retry=bounds.retry())
        )
        _require_usable(blob, url=url, limits=limits)
        return download_blob(blob, to=to, limits=bounds, on_progress=progress)
    except VideoMomentsError:
        raise
    except Exception as error:
        failure = _failure(url, address.bucket, error)
        if failure is None:
            raise
        raise failure from error


def _require_usable(blob: Any, *, url: str, limits: FetchLimits) -> None:
    if blob is None:
        raise SourceRejected(
            f"the source {url} does not exist", remedy="Check the bucket and the name"
        )
    size = int(blob.size or 0)
    if size == 0:
        raise SourceRejected(f"the source {url} is empty (0 bytes)")
    if size > limits.max_bytes:
        raise SourceRejected(
            f"the source {url} is larger than the limit of {limits.max_bytes} bytes",
            remedy="Raise the limit for downloads",
        )


def _failure(url: str, bucket: str, error: Exception) -> VideoMomentsError | None:
    problem = google_problem(error)
    if problem is None:
        return None
    if problem == "missing":
        return SourceRejected(
            f"the source {url} does not exist", remedy="Check the bucket and the name"
        )
    if problem == "forbidden":
        return SourceRejected(
            f"the source {url} may not be read by the account in use",
            remedy=(
                f"Grant it with: gcloud storage buckets add-iam-policy-binding gs://{bucket} "
                "--member=user:YOU --role=roles/storage.objectViewer"
            ),
        )
    if problem == "credentials":
        return SourceRejected(
            f"there are no usable Google credentials for the source {url}",
            remedy="Log in with: gcloud auth application-default login",
        )
    return SourceUnavailable(
        f"the source {url} could not be downloaded: {brief_reason(error)}",
        remedy="Check the network, then try again",
    )
