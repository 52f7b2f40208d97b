"""Refined boundaries lie in the pauses of the sound, and clips can be cut from them."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
import yaml
from filelock import FileLock
from media_samples import AAC, H264, MediaSamples, picture
from pipeline import Pipeline

from videomoments_dagster.definitions import current_definitions
from videomoments_dagster.moments.backlog import unfinished_assets

# Sentences of three seconds. The words end when the sound does, 2.5 s after they began, and the
# captions say that it is later; the sound sets in again 0.1 s before the captions say so.
SENTENCES, SECONDS, PAUSE, CAPTIONED = 20, 3.0, (2.5, 2.9), 2.7
REFINED = """
    SELECT m.start_time, m.end_time, r.start_time, r.end_time
    FROM moments r JOIN moments m ON m.id = r.parent_id ORDER BY r.start_time
"""
CLIPS = """
    SELECT m.is_refined, m.identifier, c.start_time, c.end_time, c.padding_left, c.padding_right
    FROM clips c JOIN moments m ON m.id = c.moment_id ORDER BY c.start_time
"""
TOPICS = (
    "The baker mixes flour and water and lets the dough rise.",
    "The moon pulls the ocean and the tide climbs the beach.",
    "A bee carries nectar from flower to hive for its honey.",
    "The engine pulls carriages along rails to every station.",
)


def captions() -> str:
    return "\n".join(
        f"{n + 1}\n{clock(n * SECONDS)} --> {clock(n * SECONDS + CAPTIONED)}\n"
        f"{TOPICS[n * len(TOPICS) // SENTENCES]}\n"
        for n in range(SENTENCES)
    )


def clock(seconds: float) -> str:
    return f"00:00:{int(seconds):02d},{round(seconds % 1 * 1000):03d}"


@pytest.fixture(scope="module")
def humming(media_samples: MediaSamples) -> Path:
    """A minute of hum with hiss under it, silent but for the hiss in each sentence's pause."""
    target = media_samples.folder / "humming.mp4"
    lasts, (quiet, until) = int(SENTENCES * SECONDS), PAUSE
    hum = (
        f"aevalsrc='0.3*sin(2*PI*180*t)*(0.6+0.4*sin(2*PI*4*t))"
        f"*(lt(mod(t,{SECONDS}),{quiet})+gt(mod(t,{SECONDS}),{until}))"
        f"+0.002*(random(0)-0.5)':s=48000:d={lasts}"
    )
    with FileLock(f"{target}.lock", timeout=120):
        if not target.exists():
            sound = ["-f", "lavfi", "-i", hum]
            media_samples._make(target, [*picture(lasts), *sound, *H264, "-g", "50", *AAC])
    return target


@pytest.fixture
def hum(pipeline: Pipeline, humming: Path, tmp_path: Path) -> str:
    """It, registered with captions; its identifier."""
    written = tmp_path / "hum.srt"
    written.write_text(captions())
    return pipeline.add(humming, captions=str(written), title="Hum")


def refined(pipeline: Pipeline) -> np.ndarray:
    """Start and end of each root and of what it was refined to."""
    return np.array(pipeline.rows(REFINED))


def refine_by(pipeline: Pipeline, max_shift: float) -> None:
    """Let boundaries be moved so many seconds."""
    profiles = pipeline.home / "profiles.yaml"
    written = yaml.safe_load(profiles.read_text())
    written["default"]["refinement"]["max_shift_seconds"] = max_shift
    profiles.write_text(yaml.safe_dump(written))


def summary(pipeline: Pipeline) -> str:
    """What the UI says of the last materialisation of refined moments."""
    event = pipeline.instance.get_latest_materialization_event(dg.AssetKey("refined_moments"))
    assert event is not None
    assert event.asset_materialization is not None
    return str(event.asset_materialization.metadata["summary"].value)


def test_boundaries_go_into_the_pauses_that_are_heard(pipeline: Pipeline, hum: str) -> None:
    pipeline.run(hum)
    rows = refined(pipeline)
    assert len(rows) >= 3
    # A tenth of a second before the sound sets in, but for the one at the very start.
    later = rows[:, 0] > 0
    assert rows[later, 2] % SECONDS == pytest.approx(PAUSE[1] - 0.1, abs=0.03)
    assert rows[:, 3] % SECONDS == pytest.approx(CAPTIONED, abs=0.03)
    assert all(before[3] <= after[2] for before, after in pairwise(rows.tolist()))
    assert f"Refining moved {sum(later)} of {2 * len(rows)} boundaries, by 0.2" in summary(pipeline)
    assert "Pauses were taken from the sound." in summary(pipeline)


def test_without_sound_pauses_are_the_gaps_between_words(
    pipeline: Pipeline, media_samples: MediaSamples, tmp_path: Path
) -> None:
    silent, written = tmp_path / "silent.mp4", tmp_path / "silent.srt"
    media_samples._make(silent, [*picture(int(SENTENCES * SECONDS)), *H264, "-g", "50"])
    written.write_text(captions())
    pipeline.run(pipeline.add(silent, captions=str(written)))
    rows = refined(pipeline)
    later = rows[:, 0] > 0
    assert rows[later, 2] % SECONDS == pytest.approx(SECONDS - 0.1)
    assert "Pauses were taken from the gaps between words." in summary(pipeline)


def test_what_changed_nothing_says_so(pipeline: Pipeline, hum: str) -> None:
    refine_by(pipeline, 0)
    pipeline.run(hum)
    rows = refined(pipeline)
    assert (rows[:, :2] == rows[:, 2:]).all()
    assert "Refining changed nothing: no boundary was moved." in summary(pipeline)


def test_what_is_refined_again_stays_as_it_is(pipeline: Pipeline, hum: str) -> None:
    pipeline.run(hum)
    before = pipeline.asset_rows()["moments"]
    pipeline.run(hum, job="moments_only", force=True)
    assert [json.loads(row)["identifier"] for [row] in pipeline.asset_rows()["moments"]] == [
        json.loads(row)["identifier"] for [row] in before
    ]


BOUNDARIES = "VIDEOMOMENTS_CLIP_BOUNDARIES"


def stale(pipeline: Pipeline) -> set[str]:
    """Assets that SQL finds out of date, by setting and by what is stored."""
    # Opened as the commands open it: the setting decides what clips are made from.
    current_definitions()
    found = unfinished_assets(pipeline.database, ["humming"], job="full")
    return set(found.get("humming", ()))


def test_clips_are_cut_from_refined_boundaries_where_the_setting_says_so(
    pipeline: Pipeline, hum: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BOUNDARIES, "refined")
    outcome = pipeline.run(hum)
    assert outcome.row.status == "completed"
    clips = np.array([row[2:] for row in pipeline.rows(CLIPS)])
    rows = refined(pipeline)
    assert (rows[:, 2] != rows[:, 0]).any()
    assert clips[:, 0] + clips[:, 2] == pytest.approx(rows[:, 2])
    assert clips[:, 1] - clips[:, 3] == pytest.approx(rows[:, 3])
    assert not any(is_refined for is_refined, *_ in pipeline.rows(CLIPS))
    pipeline.run(hum)
    assert all(pipeline.last.unchanged.values())


def test_the_setting_makes_clips_out_of_date_and_nothing_else(
    pipeline: Pipeline, hum: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.run(hum)
    before, roots = pipeline.rows(CLIPS), refined(pipeline)[:, 0]
    assert stale(pipeline) == set()
    monkeypatch.setenv(BOUNDARIES, "refined")
    assert stale(pipeline) == {"clips", "thumbnails"}
    pipeline.run(hum)
    changed = {name for name, unchanged in pipeline.last.unchanged.items() if not unchanged}
    assert changed == {"clips", "thumbnails"}
    assert stale(pipeline) == set()
    # The one at the very start has nowhere to go, and is not cut again.
    assert [row == old for row, old in zip(pipeline.rows(CLIPS), before, strict=True)] == [
        root == 0 for root in roots
    ]
    monkeypatch.delenv(BOUNDARIES)
    assert stale(pipeline) == {"clips", "thumbnails"}
    pipeline.run(hum, job="clips_only")
    assert pipeline.rows(CLIPS) == before
    assert stale(pipeline) == set()


def test_other_refined_boundaries_make_the_clips_that_are_cut_from_them_out_of_date(
    pipeline: Pipeline, hum: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.run(hum)
    refine_by(pipeline, 0)
    pipeline.run(hum, job="moments_only")
    assert stale(pipeline) == set()
    monkeypatch.setenv(BOUNDARIES, "refined")
    pipeline.run(hum)
    refine_by(pipeline, 5)
    pipeline.run(hum, job="moments_only")
    assert stale(pipeline) == {"clips", "thumbnails"}


def test_without_refined_moments_the_failure_names_them(
    pipeline: Pipeline, hum: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.run(hum)
    pipeline.rows("DELETE FROM moments WHERE is_refined")
    pipeline.rows("DELETE FROM pipeline.materialisations WHERE asset = 'refined_moments'")
    assert pipeline.run(hum, job="clips_only").row.status == "completed"
    monkeypatch.setenv(BOUNDARIES, "refined")
    assert pipeline.run(hum, job="clips_only").row.status == "failed"
    assert "'refined_moments'" in pipeline.last.failures["clips"]
