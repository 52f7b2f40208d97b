"""Files that went wrong in the wild, through the whole pipeline.

The files belong to others and are not part of the project; where they are absent, these tests
skip, and the generated samples of the other e2e tests cover the same code.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from pipeline import Pipeline, talk_captions

from videomoments_dagster.base.failures import SourceRejected

ODD = Path(__file__).parents[4] / "shared" / "realdata" / "odd"

REFUSED = {"result.webm"}
"""Files that hold nothing."""

UNCUTTABLE = {"whatdoesitdo.mp4"}
"""Files whose only keyframe has an absurd time stamp: no clip of them passes its proof."""


def _odd_files() -> list[Path]:
    return sorted(ODD.iterdir()) if ODD.is_dir() else []


@pytest.mark.skipif(not _odd_files(), reason=f"the odd files are not at {ODD}")
@pytest.mark.parametrize("path", _odd_files(), ids=lambda path: path.name)
def test_an_odd_file_goes_through_or_is_refused_in_one_sentence(
    pipeline: Pipeline, tmp_path: Path, path: Path
) -> None:
    captions = tmp_path / "captions.srt"
    captions.write_text(talk_captions())
    if path.name in REFUSED:
        with pytest.raises(SourceRejected) as refused:
            pipeline.add(path, captions=str(captions))
        assert path.name in str(refused.value)
        assert "\n" not in str(refused.value)
        assert pipeline.objects() == {}
        return
    video = pipeline.add(path, captions=str(captions))
    outcome = pipeline.run(video)
    assert pipeline.scratch_is_empty()
    assert "Traceback" not in str(outcome.row.error_message)
    expected = "failed" if path.name in UNCUTTABLE else "completed"
    assert outcome.row.status == expected, (outcome.row.error_message, pipeline.last.said)
    [(duration,)] = pipeline.rows("SELECT duration_seconds FROM videos")
    assert 0 < duration < 120
