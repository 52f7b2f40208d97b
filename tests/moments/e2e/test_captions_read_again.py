"""What an earlier release read of captions is read again, and stays where nothing differs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pipeline import Pipeline, talk_captions

from videomoments_dagster.base.files import content_hash
from videomoments_dagster.moments.assets import transcript as asset


@pytest.fixture
def as_before() -> Iterator[pytest.MonkeyPatch]:
    """The release before remembered the hash of a caption file alone."""

    def version(captions: Path | None, *, kept: str | None) -> str | None:
        return content_hash(captions) if captions is not None else kept

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asset, "_captions_version", version)
        yield patch


def stored(pipeline: Pipeline) -> tuple[str, str]:
    [(row,)] = pipeline.rows("SELECT row_to_json(t)::text FROM transcripts t")
    [(fingerprint,)] = pipeline.rows(
        "SELECT fingerprint FROM pipeline.materialisations WHERE asset = 'transcript'"
    )
    return row, fingerprint


def test_a_transcript_that_reads_the_same_stays_and_nothing_after_it_is_made_again(
    pipeline: Pipeline, talk: str, as_before: pytest.MonkeyPatch
) -> None:
    assert pipeline.run(talk).row.status == "completed"
    row, fingerprint = stored(pipeline)
    as_before.undo()
    assert pipeline.run(talk).row.status == "completed"
    assert not pipeline.last.unchanged.pop("transcript")
    assert all(pipeline.last.unchanged.values())
    assert stored(pipeline)[0] == row
    assert stored(pipeline)[1] != fingerprint
    assert pipeline.run(talk).row.status == "completed"
    assert pipeline.last.unchanged["transcript"]


def test_one_that_reads_otherwise_is_replaced(
    pipeline: Pipeline, talk_video: Path, tmp_path: Path, as_before: pytest.MonkeyPatch
) -> None:
    captions = tmp_path / "talk.srt"
    captions.write_text(talk_captions())
    video = pipeline.add(talk_video, captions=str(captions))
    assert pipeline.run(video).row.status == "completed"
    pipeline.rows("UPDATE transcripts SET language = 'und'")
    as_before.undo()
    assert pipeline.run(video).row.status == "completed"
    assert json.loads(stored(pipeline)[0])["language"] == "en"


def test_one_whose_captions_are_gone_stays(
    pipeline: Pipeline, talk_video: Path, tmp_path: Path, as_before: pytest.MonkeyPatch
) -> None:
    captions = tmp_path / "talk.srt"
    captions.write_text(talk_captions())
    video = pipeline.add(talk_video, captions=str(captions))
    assert pipeline.run(video).row.status == "completed"
    before = stored(pipeline)
    captions.unlink()
    as_before.undo()
    assert pipeline.run(video).row.status == "completed"
    assert pipeline.last.unchanged["transcript"]
    assert stored(pipeline) == before
