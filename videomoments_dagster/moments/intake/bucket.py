"""An inbox that is a prefix of a bucket of Google Cloud Storage.

Belongs here: listing it. Does not belong here: fetching objects (`sources.google_object`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from videomoments_dagster.base.failures import SettingsRejected, SourceRejected, SourceUnavailable
from videomoments_dagster.moments.intake.arrivals import Arrival, captions_beside, is_media_name
from videomoments_dagster.sources.google_transfer import (
    brief_reason,
    google_problem,
)
from videomoments_dagster.sources.limits import TransferLimits
from videomoments_dagster.sources.locations import parse_google_url

_FIELDS = "items(name,size,generation,crc32c),nextPageToken"


def list_bucket(url: str, *, client: Callable[[], Any]) -> list[Arrival]:
    """List the media objects under a prefix, in the order of their names.

    An object appears when it is whole, so that none has to be waited for.

    Args:
        url: `gs://bucket[/prefix]`; a prefix is a folder, so `videos` does not find `videos2/`.
        client: Gives a client of Google Cloud Storage.

    Raises:
        SettingsRejected: The address is malformed.
        SourceRejected: The bucket is missing, or it may not be listed.
        SourceUnavailable: It could not be listed just now. That is not an empty bucket.
    """
    address = parse_google_url(url)
    if address is None:
        raise SettingsRejected(
            f"the inbox {url} is no address of a bucket",
            remedy="Set VIDEOMOMENTS_INBOX to gs://bucket/prefix, or to a folder",
        )
    prefix = f"{address.path.rstrip('/')}/" if address.path else ""
    try:
        blobs = client().list_blobs(
            address.bucket,
            prefix=prefix or None,
            fields=_FIELDS,
            **TransferLimits().per_request,
        )
        found = {blob.name.removeprefix(prefix): blob for blob in blobs}
    except Exception as error:
        problem = google_problem(error)
        if problem is None:
            raise
        if problem == "unavailable":
            raise SourceUnavailable(
                f"the inbox {url} cannot be listed just now: {brief_reason(error)}"
            ) from error
        raise SourceRejected(
            f"the inbox {url} cannot be listed: {brief_reason(error)}",
            remedy="Check that the bucket exists and that the credentials may list it",
        ) from error
    arrivals = []
    for relative in sorted(found):
        blob = found[relative]
        if not is_media_name(relative) or not blob.size:
            continue
        captions = captions_beside(relative, found)
        arrivals.append(
            Arrival(
                location=f"gs://{address.bucket}/{blob.name}",
                state=str(blob.generation),
                size_bytes=int(blob.size),
                checksum=f"crc32c:{blob.crc32c}" if blob.crc32c else None,
                captions=f"gs://{address.bucket}/{prefix}{captions}" if captions else None,
            )
        )
    return arrivals
