"""The object store as a Dagster resource: a local folder, or Google Cloud Storage.

Belongs here: which store this process uses. Does not belong here: how either works
(`videomoments_dagster.core.objects`).
"""

from functools import cache
from typing import TYPE_CHECKING, Any

import dagster as dg

from videomoments_dagster.core.objects.addresses import object_store_at
from videomoments_dagster.core.objects.interface import ObjectStore

if TYPE_CHECKING:
    from google.cloud.storage import Client


@cache
def google_client(project: str) -> "Client":
    """A client of Google Cloud Storage, through `dagster_gcp`.

    Imported at first use: `dagster_gcp` brings BigQuery and pandas, seconds that a local folder
    does not need.
    """
    from dagster_gcp import GCSResource  # noqa: PLC0415

    return GCSResource(project=project or None).get_client()


class ObjectStoreResource(dg.ConfigurableResource[Any]):
    """Where files are kept: `gs://bucket[/prefix]`, or a local folder.

    Reads and writes videos, clips, thumbnails and records of model calls; never overwrites an
    object. If it fails, the bucket or folder is missing or forbidden, or away for now: the message
    names the right or command that mends it.
    """

    root: str
    gcp_project: str = ""

    @property
    def store(self) -> "ObjectStore":
        """The store at `root`."""
        return _store(self.root, self.gcp_project)

    def client(self) -> "Client":
        """A client of Google Cloud Storage, for sources at `gs://`."""
        return google_client(self.gcp_project)


@cache
def _store(root: str, project: str) -> "ObjectStore":

    return object_store_at(root, gcs_client=lambda: google_client(project))
