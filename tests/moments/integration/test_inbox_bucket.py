"""An inbox in a bucket, over the protocol of Google Cloud Storage."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from dagster import DagsterInstance
from gcs_emulator import BUCKET, Fault, GoogleStorage
from stored_records import Storage

from videomoments_dagster.base.failures import SettingsRejected, SourceRejected, SourceUnavailable
from videomoments_dagster.core import resources
from videomoments_dagster.core.resources import DatabaseResource, ObjectStoreResource
from videomoments_dagster.moments.intake import arrivals as module
from videomoments_dagster.moments.intake.arrivals import list_bucket
from videomoments_dagster.moments.intake.intake import InboxResource
from videomoments_dagster.sources.limits import TransferLimits

INBOX = f"gs://{BUCKET}/in"


@pytest.fixture
def bucket(gcs: GoogleStorage, gcs_client: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The bucket, and a client that gives up soon."""
    monkeypatch.setattr(
        module, "TransferLimits", lambda: TransferLimits(retry_seconds=2, first_wait_seconds=0.1)
    )
    monkeypatch.setattr(resources, "google_client", lambda _project: gcs_client)
    return gcs_client.bucket(BUCKET)


def put(bucket: Any, name: str, content: bytes = b"film") -> None:
    bucket.blob(name).upload_from_string(content)


def test_only_media_under_the_prefix_counts_and_captions_come_along(
    bucket: Any, gcs_client: Any
) -> None:
    for name in (
        *("in/talk.mp4", "in/talk.srt", "in/deep/other.webm"),
        *("in/notes.txt", "in/.hidden.mp4", "in2/else.mp4", "talk.mp4"),
    ):
        put(bucket, name)
    put(bucket, "in/empty.mp4", b"")
    other, talk = list_bucket(INBOX, client=lambda: gcs_client)
    assert (other.location, other.captions) == (f"{INBOX}/deep/other.webm", None)
    assert (talk.location, talk.captions) == (f"{INBOX}/talk.mp4", f"{INBOX}/talk.srt")
    assert talk.size_bytes == 4
    assert str(talk.checksum).startswith("crc32c:")


def test_an_object_that_is_written_again_has_another_state(bucket: Any, gcs_client: Any) -> None:
    put(bucket, "in/talk.mp4")
    [before] = list_bucket(INBOX, client=lambda: gcs_client)
    put(bucket, "in/talk.mp4", b"another")
    [after] = list_bucket(INBOX, client=lambda: gcs_client)
    assert before.state != after.state
    assert before.key == after.key


def test_a_store_that_does_not_answer_is_not_an_empty_one(
    bucket: Any, gcs_client: Any, gcs: GoogleStorage
) -> None:
    put(bucket, "in/talk.mp4")
    gcs.faults.append(Fault(times=10_000, method="GET", status=503))
    with pytest.raises(SourceUnavailable, match="cannot be listed just now"):
        list_bucket(INBOX, client=lambda: gcs_client)
    gcs.faults[:] = [Fault(times=1, method="GET", status=503)]
    assert len(list_bucket(INBOX, client=lambda: gcs_client)) == 1


def test_a_bucket_that_is_missing_or_malformed_is_said_so(gcs_client: Any, bucket: Any) -> None:
    with pytest.raises(SourceRejected, match=r"nobody-made-this.*cannot be listed"):
        list_bucket("gs://nobody-made-this/in", client=lambda: gcs_client)
    with pytest.raises(SettingsRejected, match="VIDEOMOMENTS_INBOX"):
        list_bucket("gs://", client=lambda: gcs_client)


def test_objects_are_registered_once_and_the_same_bytes_are_recognised(
    bucket: Any, storage: Storage, database_url: str
) -> None:
    put(bucket, "in/talk.mp4", b"a film")
    put(bucket, "in/zcopy.mp4", b"a film")
    put(bucket, "in/other.mp4", b"no film")
    resource = InboxResource(
        database=DatabaseResource(url=database_url),
        object_store=ObjectStoreResource(root=str(storage.folder / "objects")),
        root=INBOX,
    )
    with DagsterInstance.ephemeral() as instance:
        taken = resource.take_in(
            instance, after="", most=10, seconds=20, log=logging.getLogger(__name__)
        )
        assert taken.registered == ("other", "talk")
        assert taken.duplicates == ((f"{INBOX}/zcopy.mp4", "talk"),)
        again = resource.take_in(
            instance, after="", most=10, seconds=20, log=logging.getLogger(__name__)
        )
        assert (again.registered, again.duplicates, again.rejected) == ((), (), ())
        wanted = resource.wanted_runs(lambda _key: False, most=10)
        assert sorted(run.identifier for run in wanted) == ["other", "talk"]


def test_a_manifest_may_be_an_object(bucket: Any, storage: Storage, database_url: str) -> None:
    put(bucket, "list.jsonl", b'{"source": "https://example.org/a.mp4", "title": "A"}\n')
    resource = InboxResource(
        database=DatabaseResource(url=database_url),
        object_store=ObjectStoreResource(root=str(storage.folder / "objects")),
        root=str(storage.folder / "none"),
        manifest=f"gs://{BUCKET}/list.jsonl",
    )
    [arrival] = resource.arrivals()
    assert (arrival.location, arrival.title) == ("https://example.org/a.mp4", "A")
