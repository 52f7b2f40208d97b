"""What a run says of its long work, with work that counts as long from the start."""

from __future__ import annotations

import re

import pytest
from pipeline import Pipeline

from videomoments_dagster.base import progress

SENTENCE = re.compile(r"\w+: [A-Z0-9].*[^.]\.")


def test_every_long_step_says_how_far_it_is_in_whole_sentences(
    pipeline: Pipeline, talk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SILENT_SECONDS", 0.0)

    assert pipeline.run(talk).row.status == "completed"

    said = pipeline.last.said
    for step, what in {
        "video": r"[\d.]+ of [\d.]+ [KM]B of the source are read\.",
        "transcript": r"100% of the sound is transcribed\.",
        "clips": r"\d of \d clips are cut",
        "thumbnails": r"\d of \d thumbnails are made",
    }.items():
        assert any(re.match(f"{step}: {what}", one) for one in said), (step, said)
    # Also what the storage of its files says.
    assert any("of its files are stored" in one for one in said if one.startswith("video: "))
    for one in said:
        assert SENTENCE.fullmatch(one), one
