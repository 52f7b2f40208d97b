"""What the UI is told about a whole run, and checks that see what somebody broke."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import AssetCheckEvaluation, AssetKey, DagsterEventType
from imitated_runs import JOB_ASSETS
from media_samples import MediaSamples
from pipeline import TALK_SECONDS, Pipeline

from videomoments_dagster.core.objects.local_folder import LocalFolderStore
from videomoments_dagster.definitions import build_definitions
from videomoments_dagster.moments import checks
from videomoments_dagster.moments.metadata.pictures import INLINE_CHARACTERS, MOST_CHARACTERS

MOST_METADATA_CHARACTERS = 60_000
OF_ONE_RUN = {"unchanged", "objects_written", "made_now", "cut_now", "counts"}
CHECKS_OF_A_FULL_RUN = {
    "transcript.word_times_are_in_order",
    "transcript.speech_share_is_plausible",
    "moments.moments_lie_in_the_video",
    "moments.moments_meet_their_config",
    "refined_moments.refined_moments_stay_near",
    "clips.every_moment_has_a_clip",
    "thumbnails.thumbnails_show_something",
}


def metadata(pipeline: Pipeline, asset: str) -> Mapping[str, Any]:
    [record] = pipeline.instance.fetch_materializations(AssetKey(asset), limit=1).records
    assert record.asset_materialization is not None
    return record.asset_materialization.metadata


def size(values: Mapping[str, Any]) -> int:
    return sum(len(dg.serialize_value(value)) for value in values.values())


def evaluations(pipeline: Pipeline, run_id: str) -> dict[str, AssetCheckEvaluation]:
    """Results of a run's checks, by asset and name."""
    records = pipeline.instance.get_records_for_run(
        run_id, of_type=DagsterEventType.ASSET_CHECK_EVALUATION
    ).records
    found = [
        record.event_log_entry.dagster_event.asset_check_evaluation_data
        for record in records
        if record.event_log_entry.dagster_event is not None
    ]
    return {f"{one.asset_key.to_user_string()}.{one.check_name}": one for one in found}


def stored(pipeline: Pipeline, video: str) -> dict[str, AssetCheckEvaluation]:
    """Run the job that checks what is stored."""
    result = (
        build_definitions()
        .resolve_job_def("check_stored_results")
        .execute_in_process(instance=pipeline.instance, partition_key=video)
    )
    assert result.success
    return evaluations(pipeline, result.run_id)


def failed(found: Mapping[str, AssetCheckEvaluation]) -> dict[str, str]:
    return {
        name.partition(".")[0]: str(one.description)
        for name, one in found.items()
        if not one.passed
    }


@pytest.fixture
def objects_touched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the object store's methods that read or write bytes, as they are called."""
    called: list[str] = []
    for name in ("put_file", "fetch", "read_range", "local_path"):
        real = getattr(LocalFolderStore, name)

        def counted(*args: Any, _real: Any = real, _name: str = name, **options: Any) -> Any:
            called.append(_name)
            return _real(*args, **options)

        monkeypatch.setattr(LocalFolderStore, name, counted)
    return called


def small_and_readable(asset: str, values: Mapping[str, Any]) -> None:
    assert size(values) < MOST_METADATA_CHARACTERS, asset
    for key, value in values.items():
        if "data:image" in str(value.value):
            assert len(value.value) <= MOST_CHARACTERS, (asset, key)
            assert re.match(r"!\[[^\]]{20,}\]\(data:image/", value.value), (asset, key)


def shown_at_once_and_as_numbers(told: Mapping[str, Mapping[str, Any]]) -> None:
    for asset, key in (
        ("video", "picture"),
        ("moments", "timeline"),
        ("refined_moments", "timeline"),
        ("transcript", "first_lines"),
    ):
        assert len(told[asset][key].value) <= INLINE_CHARACTERS, (asset, key)
    assert told["thumbnails"]["contact_sheet"].value.count("data:image/webp") == 1
    clips = told["clips"]["clips"].value
    numbers = {
        "video": {"duration_seconds": TALK_SECONDS, "width_pixels": 320, "frames_per_second": 25},
        "transcript": {"words": 300, "segments": 20, "speech_share": 1.0},
        "generation_config": {"max_shift_seconds": 5, "min_moment_length_seconds": 6},
        "moments": {"moments": clips},
        "clips": {"copied": clips, "encoded": 0},
    }
    for asset, expected in numbers.items():
        for key, number in expected.items():
            value = told[asset][key]
            assert isinstance(value, dg.FloatMetadataValue | dg.IntMetadataValue), (asset, key)
            assert value.value == pytest.approx(number, rel=0.01), (asset, key)
    assert told["generation_config"]["reused"].value is False
    rows = told["moments"]["table"].value.records
    assert {frozenset(row.data) for row in rows} == {
        frozenset({"start", "end", "seconds", "score", "title", "quote"})
    }
    assert len(rows) == len(told["clips"]["table"].value.records) == clips


def test_each_asset_tells_its_story_and_again_without_reading_an_object(
    pipeline: Pipeline, talk: str, objects_touched: list[str]
) -> None:
    first_run = pipeline.run(talk)
    assert first_run.row.status == "completed", pipeline.last.failures
    first = {asset: metadata(pipeline, asset) for asset in JOB_ASSETS["full"]}
    assert objects_touched
    objects_touched.clear()

    second_run = pipeline.run(talk)
    assert all(pipeline.last.unchanged.values())
    assert objects_touched == []
    for asset, values in first.items():
        small_and_readable(asset, values)
        again = metadata(pipeline, asset)
        for key in set(values) - OF_ONE_RUN:
            assert again[key] == values[key], (asset, key)
    shown_at_once_and_as_numbers(first)
    for run in (first_run, second_run):
        found = evaluations(pipeline, run.run_id)
        assert set(found) == CHECKS_OF_A_FULL_RUN
        assert failed(found) == {}
        assert {one.partition for one in found.values()} == {talk}

    # What another release remembered costs the picture, and nothing else.
    pipeline.rows(
        "UPDATE pipeline.materialisations SET details = "
        """jsonb_set(details, '{stored_sheet}', '{"of": 1}') WHERE asset = 'thumbnails'"""
    )
    assert pipeline.run(talk, "clips_only").row.status == "completed", pipeline.last.failures
    assert pipeline.last.unchanged["thumbnails"]
    assert "contact_sheet" not in metadata(pipeline, "thumbnails")


def broken_by_hand(pipeline: Pipeline) -> list[Path]:
    """Break something of each asset behind its back; give the files that are there and broken."""
    [(url,), (other,), *_] = pipeline.rows("SELECT cloud_url FROM clips ORDER BY start_time")
    Path(url.removeprefix("file://")).unlink()
    cut_short = Path(other.removeprefix("file://"))
    cut_short.chmod(0o644)
    cut_short.write_bytes(cut_short.read_bytes()[:4000])
    [(picture,)] = pipeline.rows("SELECT cloud_url FROM thumbnails WHERE video_id IS NOT NULL")
    black = Path(picture.removeprefix("file://"))
    _blacken(black)
    pipeline.rows(
        "UPDATE moments SET end_time = end_time + 30 WHERE id = "
        "(SELECT min(id) FROM moments WHERE is_refined)"
    )
    pipeline.rows(
        "UPDATE moments SET end_time = 999 WHERE id = "
        "(SELECT max(id) FROM moments WHERE NOT is_refined)"
    )
    pipeline.rows(
        "UPDATE transcripts SET word_timestamps = "
        "jsonb_set(word_timestamps::jsonb, '{3,start}', '0.0')"
    )
    return [cut_short, black]


def test_what_somebody_broke_is_seen_refused_and_mended(pipeline: Pipeline, talk: str) -> None:
    assert pipeline.run(talk).row.status == "completed", pipeline.last.failures
    assert failed(stored(pipeline, talk)) == {}
    files = broken_by_hand(pipeline)

    broken = failed(stored(pipeline, talk))
    assert set(broken) == {"transcript", "moments", "refined_moments", "clips", "thumbnails"}
    assert "Word 4, 'flour', starts at 0.00 s" in broken["transcript"]
    assert "is not inside the video" in broken["moments"]
    assert "away from the moment" in broken["refined_moments"]
    assert "is gone (and " in broken["clips"]
    assert "is black, white or blank" in broken["thumbnails"]
    for asset, sentence in broken.items():
        assert f"aterialise '{asset}' for this video again" in sentence

    # Whether or not a check is part of the run, nothing goes on with it.
    assert pipeline.run(talk, "clips_only").row.status == "failed"
    assert "is not inside the video" in pipeline.last.failures["clips"]
    assert pipeline.run(talk, "moments_only").row.status == "failed"
    assert "word 4" in pipeline.last.failures["moments"]

    assert pipeline.run(talk).row.status == "failed"
    assert "with `force`" in pipeline.last.failures["moments"]

    for file in files:
        file.unlink()
    assert pipeline.run(talk, force=True).row.status == "completed", pipeline.last.failures
    assert failed(stored(pipeline, talk)) == {}


def _blacken(path: Path) -> None:
    import av
    import numpy as np

    from videomoments_dagster.media import stills

    path.chmod(0o644)
    black = np.zeros((180, 320, 3), dtype=np.uint8)
    frame = av.VideoFrame.from_ndarray(black, format="rgb24")
    path.write_bytes(stills.encoded_jpeg(frame.reformat(format="yuvj420p")))


def test_a_blocking_check_holds_up_what_comes_after_it_and_says_why(
    pipeline: Pipeline, talk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        checks, "word_time_problems", lambda *_, **__: ("word 7, 'dough', comes too early",)
    )
    outcome = pipeline.run(talk)
    assert (outcome.row.status, outcome.row.error_stage) == ("failed", "transcript")
    said = "Word 7, 'dough', comes too early. Materialise 'transcript' for this video again"
    assert said in str(outcome.row.error_message)
    assert said in pipeline.last.failures["transcript"]
    assert set(pipeline.last.unchanged) == {"video", "generation_config"}
    assert pipeline.rows("SELECT 1 FROM moments") == []


def test_a_black_video_has_thumbnails_and_a_warning(
    pipeline: Pipeline, media_samples: MediaSamples, tmp_path: Path
) -> None:
    source = tmp_path / "dark.mp4"
    media_samples._make(
        source,
        [
            *("-f", "lavfi", "-i", "color=black:size=160x90:rate=10:duration=4"),
            *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"),
        ],
    )
    captions = tmp_path / "dark.vtt"
    captions.write_text("WEBVTT\n")
    video = pipeline.add(source, captions=str(captions))
    for _ in range(2):
        outcome = pipeline.run(video)
        assert outcome.row.status == "completed", pipeline.last.failures
        warned = failed(evaluations(pipeline, outcome.run_id))
        assert set(warned) == {"thumbnails"}
        assert "The thumbnail of the video is black, white or blank" in warned["thumbnails"]
    assert pipeline.last.unchanged["thumbnails"]
