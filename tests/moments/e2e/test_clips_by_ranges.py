"""Clips of a large video that is far away: cut from a few of its bytes, and the same."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gcs_emulator import BUCKET, GoogleStorage
from pipeline import Pipeline, talk_captions

from videomoments_dagster.core import media_files, resources
from videomoments_dagster.core.objects.google_cloud import GoogleCloudStore
from videomoments_dagster.media.ffmpeg import ffmpeg_executable


@pytest.fixture
def fetched(
    pipeline: Pipeline, gcs: GoogleStorage, gcs_client: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, list[int]]]:
    """The bucket as the object store; how many bytes were read, whole objects and ranges."""
    counted: dict[str, list[int]] = {"whole": [], "ranges": []}
    whole, part = GoogleCloudStore.fetch, GoogleCloudStore.read_range

    def fetch(self: GoogleCloudStore, url: str, *, to: Path) -> Path:
        path = whole(self, url, to=to)
        counted["whole"].append(path.stat().st_size)
        return path

    def read_range(self: GoogleCloudStore, url: str, *, start: int, length: int) -> bytes:
        counted["ranges"].append(length)
        return part(self, url, start=start, length=length)

    monkeypatch.setattr(GoogleCloudStore, "fetch", fetch)
    monkeypatch.setattr(GoogleCloudStore, "read_range", read_range)
    monkeypatch.setattr(media_files, "_WORTH_IT_BYTES", 1_000_000)
    monkeypatch.setenv("VIDEOMOMENTS_OBJECT_STORE", f"gs://{BUCKET}/films")
    resources.google_client.cache_clear()
    resources._store.cache_clear()
    yield counted
    resources.google_client("").close()
    resources.google_client.cache_clear()
    resources._store.cache_clear()


def looped(source: Path, to: Path, *options: str) -> Path:
    """The talk, thirty times over: half an hour."""
    subprocess.run(
        [
            *(ffmpeg_executable(), "-v", "error", "-y", "-stream_loop", "29"),
            *("-i", str(source), "-c", "copy", *options, str(to)),
        ],
        check=True,
    )
    return to


@pytest.mark.parametrize("where", ["end", "front"])
def test_clips_of_a_large_video_are_the_same_as_from_the_whole_and_cost_few_bytes(
    pipeline: Pipeline,
    talk_video: Path,
    fetched: dict[str, list[int]],
    gcs_client: Any,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    options = ("-movflags", "+faststart") if where == "front" else ()
    film = looped(talk_video, pipeline.home / "film.mp4", *options)
    captions = pipeline.home / "film.srt"
    captions.write_text(talk_captions())
    video = pipeline.add(film, captions=str(captions))
    assert pipeline.run(video).row.status == "completed", pipeline.last.failures
    bucket = gcs_client.bucket(BUCKET)

    def clips() -> dict[str, bytes]:
        return {
            blob.name.split("-")[0]: blob.download_as_bytes()
            for blob in bucket.list_blobs(prefix="films/clips/")
        }

    first = clips()
    cut_anew(pipeline, bucket)
    for counts in fetched.values():
        counts.clear()
    assert pipeline.run(video, "clips_only").row.status == "completed", pipeline.last.failures
    by_ranges = sum(fetched["ranges"])
    assert 0 < by_ranges <= 3 * sum(map(len, first.values())) + 2_000_000
    assert by_ranges < film.stat().st_size / 4
    assert film.stat().st_size not in fetched["whole"]
    assert clips() == first

    monkeypatch.setattr(media_files, "_WORTH_IT_BYTES", 10**12)
    cut_anew(pipeline, bucket)
    assert pipeline.run(video, "clips_only").row.status == "completed"
    assert film.stat().st_size in fetched["whole"]
    assert clips() == first


def cut_anew(pipeline: Pipeline, bucket: Any) -> None:
    """Forget the clips, rows and objects."""
    pipeline.rows("DELETE FROM clips")
    pipeline.rows("DELETE FROM pipeline.materialisations WHERE asset = 'clips'")
    for blob in bucket.list_blobs(prefix="films/clips/"):
        blob.delete()


def test_a_clip_that_cannot_be_cut_from_ranges_is_cut_from_the_whole(
    pipeline: Pipeline,
    talk_video: Path,
    fetched: dict[str, list[int]],
    gcs_client: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    film = looped(talk_video, pipeline.home / "film.mp4")
    captions = pipeline.home / "film.srt"
    captions.write_text(talk_captions())
    video = pipeline.add(film, captions=str(captions))
    assert pipeline.run(video).row.status == "completed", pipeline.last.failures
    cut_anew(pipeline, gcs_client.bucket(BUCKET))
    fetched["whole"].clear()
    # As if the index had lied about where the frames are.
    monkeypatch.setattr(media_files, "stretch_ranges", lambda _path, _facts, _stretches: [])
    assert pipeline.run(video, "clips_only").row.status == "completed", pipeline.last.failures
    assert film.stat().st_size in fetched["whole"]
    assert any("from the whole video" in said for said in pipeline.last.said)
