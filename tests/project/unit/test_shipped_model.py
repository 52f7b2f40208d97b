"""The model that comes along is pinned where it is installed as where it is checked."""

from __future__ import annotations

import tomllib
from pathlib import Path

import videomoments_dagster
from videomoments_dagster.speech.whisper_models import SHIPPED_IN

PROJECT = Path(videomoments_dagster.__file__).parents[1]


def test_the_wheel_of_the_model_is_the_same_in_the_extra_and_the_lock_with_its_hash() -> None:
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert extras["optional-dependencies"]["whisper-tiny-en"] == [SHIPPED_IN]
    lock = (PROJECT / "requirements.lock").read_text()
    assert f"\n{SHIPPED_IN} \\\n    --hash=sha256:" in lock
