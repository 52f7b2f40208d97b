"""What was stored while the first picture was presented time 0, also where sound comes earlier."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ffmpeg_readings import made
from pipeline import Pipeline, talk_captions

from videomoments_dagster.media.facts import MediaFacts


@pytest.fixture
def as_before() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        first_stream = property(lambda facts: facts.streams[0].start_seconds)
        patch.setattr(MediaFacts, "earliest_seconds", first_stream)
        yield patch


def stored_before(pipeline: Pipeline, video: str, as_before: pytest.MonkeyPatch) -> None:
    assert pipeline.run(video).row.status == "completed"
    pipeline.rows("UPDATE pipeline.video_files SET facts = facts - 'origin_seconds'")
    as_before.undo()


def test_a_video_whose_sound_comes_first_is_made_anew_without_its_source(
    pipeline: Pipeline, talk_video: Path, tmp_path: Path, as_before: pytest.MonkeyPatch
) -> None:
    inputs = ["-itsoffset", "2", "-i", str(talk_video), "-i", str(talk_video)]
    source = made(tmp_path / "late.mkv", *inputs, "-map", "0:v", "-map", "1:a", "-c", "copy")
    captions = tmp_path / "talk.srt"
    captions.write_text(talk_captions())
    video = pipeline.add(source, captions=str(captions))
    stored_before(pipeline, video, as_before)
    [(before,)] = pipeline.rows("SELECT duration_seconds FROM videos")
    source.unlink()
    assert pipeline.run(video).row.status == "completed"
    [(after,)] = pipeline.rows("SELECT duration_seconds FROM videos")
    assert float(after) == pytest.approx(float(before) + 2, abs=0.05)
    unchanged = pipeline.last.unchanged
    assert not any(unchanged[asset] for asset in ("video", "transcript", "moments", "clips"))
    assert pipeline.run(video).row.status == "completed"
    assert all(pipeline.last.unchanged.values())


def test_a_video_whose_picture_comes_first_stays(
    pipeline: Pipeline, talk: str, as_before: pytest.MonkeyPatch
) -> None:
    stored_before(pipeline, talk, as_before)
    assert pipeline.run(talk).row.status == "completed"
    assert all(pipeline.last.unchanged.values())
