"""Whole runs whose objects are in Google Cloud Storage, through `dagster_gcp` as in production."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gcs_emulator import BUCKET, GoogleStorage
from gcs_fixtures import PIPELINE_ROOT
from pipeline import Pipeline, talk_captions

DOWNLOAD = "alt=media"


def generations(bucket: Any) -> dict[str, int]:
    """Every object's name, and the number that changes whenever it is written."""
    return {blob.name: blob.generation for blob in bucket.list_blobs()}


def written_and_read(gcs: GoogleStorage) -> tuple[list[str], list[str]]:
    written = [path for how, path in gcs.requests if how in ("POST", "PUT", "PATCH", "DELETE")]
    return written, gcs.seen("GET", DOWNLOAD)


def test_a_talk_goes_through_the_bucket_once_and_only_what_is_gone_is_made_again(
    pipeline: Pipeline, talk: str, pipeline_bucket: Any, gcs: GoogleStorage
) -> None:
    assert pipeline.run(talk).row.status == "completed", pipeline.last.failures

    rows, objects = pipeline.asset_rows(), generations(pipeline_bucket)
    urls = pipeline.rows(
        "SELECT cloud_url FROM videos UNION ALL SELECT cloud_url FROM clips "
        "UNION ALL SELECT cloud_url FROM thumbnails UNION ALL SELECT cloud_url FROM pipeline.pages"
    )
    assert {url for (url,) in urls} == {f"gs://{BUCKET}/{name}" for name in objects}
    assert all(url.startswith(f"{PIPELINE_ROOT}/") for (url,) in urls)
    assert len(objects) == 2 * len(rows["clips"]) + 3
    assert pipeline.objects() == {}
    assert pipeline.scratch_is_empty()
    _, read = written_and_read(gcs)
    # Every step of a run works on one copy of the video.
    assert len([path for path in read if "/videos/" in path]) == 1

    for job in ("full", "moments_only", "clips_only"):
        gcs.requests.clear()
        assert pipeline.run(talk, job).row.status == "completed"
        assert all(pipeline.last.unchanged.values()), job
        assert written_and_read(gcs) == ([], []), job
    assert pipeline.asset_rows() == rows
    assert generations(pipeline_bucket) == objects

    gone = next(name for name in sorted(objects) if "/clips/" in name)
    pipeline_bucket.blob(gone).delete()
    gcs.requests.clear()
    assert pipeline.run(talk, "clips_only").row.status == "completed"
    assert "Cut 1 of 1 clips" in "\n".join(pipeline.last.said)
    after = generations(pipeline_bucket)
    assert set(after) == set(objects)
    assert {name for name in objects if after[name] != objects[name]} == {gone}
    assert pipeline.asset_rows() == rows
    assert pipeline.scratch_is_empty()


def test_a_video_of_the_bucket_that_is_gone_names_itself_and_is_stored_again_by_a_full_run(
    pipeline: Pipeline, talk: str, pipeline_bucket: Any
) -> None:
    assert pipeline.run(talk).row.status == "completed", pipeline.last.failures
    objects = generations(pipeline_bucket)
    [name] = [name for name in objects if "/videos/" in name]
    pipeline_bucket.blob(name).delete()

    outcome = pipeline.run(talk, "clips_only")
    assert outcome.row.status == "failed"
    assert f"gs://{BUCKET}/{name}" in str(outcome.row.error_message)
    assert "Materialise 'video'" in str(outcome.row.error_message)
    assert pipeline.run(talk).row.status == "completed"
    assert set(generations(pipeline_bucket)) == set(objects)


def test_a_missing_bucket_fails_at_once_with_the_command_that_makes_it(
    pipeline: Pipeline, talk: str, pipeline_bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOMOMENTS_OBJECT_STORE", "gs://nobody-made-this")
    outcome = pipeline.run(talk)
    assert (outcome.row.status, outcome.row.error_stage) == ("failed", "video")
    message = pipeline.last.failures["video"]
    assert "nobody-made-this" in message
    assert "gcloud storage buckets create" in message
    assert "\n" not in message
    assert not any("tried again" in said for said in pipeline.last.said)
    assert pipeline.rows("SELECT 1 FROM videos") == []
    assert pipeline.scratch_is_empty()


def test_a_source_in_another_bucket_is_fetched_and_kept_in_ours(
    pipeline: Pipeline, talk_video: Path, pipeline_bucket: Any, gcs_client: Any, tmp_path: Path
) -> None:
    elsewhere = gcs_client.bucket("elsewhere")
    if not elsewhere.exists():
        elsewhere.create()
    elsewhere.blob("in/My Talk.mp4").upload_from_filename(talk_video)
    captions = tmp_path / "talk.srt"
    captions.write_text(talk_captions())
    video = pipeline.add("gs://elsewhere/in/My Talk.mp4", captions=str(captions))

    outcome = pipeline.run(video)
    assert outcome.row.status == "completed", pipeline.last.failures
    [(source, url)] = pipeline.rows("SELECT source_url, cloud_url FROM videos")
    assert source == "gs://elsewhere/in/My Talk.mp4"
    assert url.startswith(f"{PIPELINE_ROOT}/videos/{video}/")
    assert pipeline.scratch_is_empty()
    assert pipeline.run(video).row.status == "completed"
    assert pipeline.last.unchanged["video"]
