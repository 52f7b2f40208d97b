"""An object store that answers badly while a whole run works with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gcs_emulator import BUCKET, Fault, GoogleStorage
from pipeline import Pipeline, talk_captions

from videomoments_dagster.core.objects import google_cloud
from videomoments_dagster.sources.limits import TransferLimits

UPLOAD = "/upload/storage/"


def rows_have_whole_objects(pipeline: Pipeline, bucket: Any) -> bool:
    sizes = {f"gs://{BUCKET}/{blob.name}": blob.size for blob in bucket.list_blobs()}
    stored = pipeline.rows(
        "SELECT cloud_url, file_size_kb FROM videos UNION ALL "
        "SELECT cloud_url, file_size_kb FROM clips"
    )
    return all(abs(sizes[url] / 1024 - size_kb) <= 1 for url, size_kb in stored)


def test_a_store_that_is_unavailable_three_times_is_asked_again(
    pipeline: Pipeline, talk: str, pipeline_bucket: Any, gcs: GoogleStorage
) -> None:
    gcs.faults.append(Fault(times=3, method="POST", path=UPLOAD, status=503))
    assert pipeline.run(talk).row.status == "completed", pipeline.last.failures
    assert gcs.faults[0].times == 0
    assert rows_have_whole_objects(pipeline, pipeline_bucket)
    assert pipeline.scratch_is_empty()


def test_a_store_that_forbids_writing_fails_at_once_and_leaves_no_row(
    pipeline: Pipeline, talk: str, pipeline_bucket: Any, gcs: GoogleStorage
) -> None:
    gcs.faults.append(Fault(times=10_000, method="POST", path=UPLOAD, status=403))
    outcome = pipeline.run(talk)
    assert (outcome.row.status, outcome.row.error_stage) == ("failed", "video")
    assert f"gs://{BUCKET}" in str(outcome.row.error_message)
    assert not any("tried again" in said for said in pipeline.last.said)
    assert pipeline.rows("SELECT 1 FROM videos") == []
    assert pipeline.scratch_is_empty()
    gcs.faults.clear()
    assert pipeline.run(talk).row.status == "completed"


@pytest.fixture
def large(pipeline: Pipeline, talk_video: Path) -> str:
    """The talk with 200 MB more in its file, registered."""
    path = pipeline.home / "large.mp4"
    content = talk_video.read_bytes()
    # A box of its own that players skip, as the format has it.
    filler = 200_000_000
    path.write_bytes(content + filler.to_bytes(4, "big") + b"free" + bytes(filler - 8))
    captions = pipeline.home / "large.srt"
    captions.write_text(talk_captions())
    return pipeline.add(path, captions=str(captions))


def test_a_connection_that_drops_half_way_through_a_large_upload_is_taken_up_again(
    pipeline: Pipeline, large: str, pipeline_bucket: Any, gcs: GoogleStorage
) -> None:
    gcs.faults.append(Fault(times=1, method="PUT", path=UPLOAD, skip=2))
    assert pipeline.run(large).row.status == "completed", pipeline.last.failures
    assert gcs.faults[0].times == 0, "the upload was not in parts, so nothing was dropped"
    [(size_kb,)] = pipeline.rows("SELECT file_size_kb FROM videos")
    assert size_kb > 195_000
    assert rows_have_whole_objects(pipeline, pipeline_bucket)


def test_a_large_upload_that_never_gets_through_leaves_no_row_and_no_object(
    pipeline: Pipeline,
    large: str,
    pipeline_bucket: Any,
    gcs: GoogleStorage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    impatient = TransferLimits(retry_seconds=3.0, first_wait_seconds=0.2)
    monkeypatch.setattr(google_cloud, "TransferLimits", lambda: impatient)
    gcs.faults.append(Fault(times=10_000, method="PUT", path=UPLOAD, skip=2))
    outcome = pipeline.run(large)
    assert (outcome.row.status, outcome.row.error_stage) == ("failed", "video")
    assert pipeline.rows("SELECT 1 FROM videos") == []
    assert list(pipeline_bucket.list_blobs()) == []
    assert pipeline.scratch_is_empty()
    gcs.faults.clear()
    assert pipeline.run(large).row.status == "completed"
    assert rows_have_whole_objects(pipeline, pipeline_bucket)
