"""Files from the wild: each is probed and cut, or refused in a sentence. Optional."""

from pathlib import Path

import pytest

from videomoments_dagster.base.failures import MediaFailed, SourceRejected
from videomoments_dagster.media.clip_cutting import cut_clip
from videomoments_dagster.media.clip_plan import ClipRequest
from videomoments_dagster.media.probe import probe

REAL = Path(__file__).parents[3].parent / "shared" / "realdata"
FILES = sorted(
    path
    for folder in ("odd", "speech", "speech/synth_5min")
    if (REAL / folder).is_dir()
    for path in (REAL / folder).iterdir()
    if path.suffix in {".mp4", ".mov", ".webm", ".mkv", ".avi", ".mp3", ".ogv", ".flac"}
)
REFUSED = {"result.webm"}
PROBED_ONLY = {
    "whatdoesitdo.mp4": "its only keyframe carries an absurd time, which ffmpeg cannot cut at",
}

pytestmark = pytest.mark.skipif(not FILES, reason="no real files beside the project")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_real_file_is_probed_and_cut_or_refused(path, tmp_path):
    if path.name in REFUSED:
        with pytest.raises(SourceRejected, match=path.name):
            probe(path)
        return
    facts = probe(path)
    assert 0 < facts.duration_seconds < 400
    duration = facts.duration_seconds
    start, end = 0.37 * duration, 0.37 * duration + min(0.4 * duration, 4.0)
    destination = tmp_path / "clip.mp4"
    cut = {"start_time": start, "end_time": end, "destination": destination}
    if path.name in PROBED_ONLY:
        with pytest.raises(MediaFailed, match="Cutting"):
            cut_clip(ClipRequest(path, facts, **cut))
        assert list(tmp_path.iterdir()) == []
        return
    clip = cut_clip(ClipRequest(path, facts, **cut))
    assert [left.name for left in tmp_path.iterdir()] == ["clip.mp4"]
    frame = 1 / facts.video.frame_rate if facts.video else 0.03
    assert clip.facts.duration_seconds == pytest.approx(end - start, abs=frame + 0.001)
