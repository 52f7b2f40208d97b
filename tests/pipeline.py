"""The whole pipeline for tests: a database, an object store and a Dagster instance of its own.

Belongs here: fixtures that run jobs the way the command line does. The settings come from the
environment, as they do for users.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster import DagsterInstance
from filelock import FileLock
from media_samples import AAC, H264, MediaSamples, beeps, picture
from sqlalchemy import text

from db.session import Database
from videomoments_dagster.cli.running import RunOutcome, run_job
from videomoments_dagster.core.configured_database import open_database
from videomoments_dagster.moments.registration import add_source

ASSETS = (
    "video",
    "transcript",
    "generation_config",
    "moments",
    "refined_moments",
    "clips",
    "thumbnails",
)
"""All of them, spelled out: what is expected, not what the code says there is."""

SENTENCES = {
    "bread": "The baker mixes flour and water and salt and lets the dough rise in a warm bowl.",
    "tides": "The moon pulls the ocean and the tide climbs the beach twice on every single day.",
    "bees": "A bee carries nectar from flower to hive where it slowly thickens into honey.",
    "trains": "The engine pulls carriages along steel rails and stops at every country station.",
}
SECONDS_PER_CUE = 3
CUES_PER_TOPIC = 5
TALK_SECONDS = SECONDS_PER_CUE * CUES_PER_TOPIC * len(SENTENCES)

PROFILES = {
    name: {
        "generation": {
            "model": "extractive",
            "user_prompt": "find",
            "system_prompt": "you find",
            "min_moment_length": 6,
            "max_moment_length": longest,
            "min_moments": 3,
            "max_moments": 4,
        },
        "refinement": {"model": "extractive", "user_prompt": "mend", "system_prompt": "you mend"},
    }
    for name, longest in (("default", 15), ("short", 9))
}


def talk_captions() -> str:
    """SubRip captions for the talk: four topics, a cue of three seconds each sentence."""
    cues = [sentence for sentence in SENTENCES.values() for _ in range(CUES_PER_TOPIC)]

    def clock(seconds: float) -> str:
        return (
            f"00:{int(seconds) // 60:02d}:{int(seconds) % 60:02d},{int(seconds * 1000) % 1000:03d}"
        )

    return "\n".join(
        f"{number}\n{clock((number - 1) * SECONDS_PER_CUE)} --> "
        f"{clock(number * SECONDS_PER_CUE - 0.2)}\n{sentence}\n"
        for number, sentence in enumerate(cues, start=1)
    )


@pytest.fixture(scope="session")
def talk_video(media_samples: MediaSamples) -> Path:
    """A minute of 320x180 with a beep a second, keyframes every two seconds."""
    target = media_samples.folder / "talk.mp4"
    with FileLock(f"{target}.lock", timeout=120):
        if not target.exists():
            media_samples._make(
                target,
                [*picture(TALK_SECONDS), *beeps(TALK_SECONDS), *H264, "-g", "50", *AAC],
            )
    return target


class SilentReporter:
    """Keeps what a run said, for tests to look at."""

    def __init__(self) -> None:
        self.unchanged: dict[str, bool] = {}
        self.said: list[str] = []
        self.failures: dict[str, str] = {}

    def step_started(self, step: str) -> None:
        pass

    def step_said(self, step: str, message: str) -> None:
        self.said.append(f"{step}: {message}")

    def step_finished(self, step: str, *, seconds: float, unchanged: bool) -> None:
        del seconds
        self.unchanged[step] = unchanged

    def step_failed(self, step: str, message: str) -> None:
        self.failures[step] = message


@dataclass
class Pipeline:
    """One installation.

    Attributes:
        database: Its database.
        instance: Its Dagster instance.
        home: Its folder.
        last: What the last run said.
    """

    database: Database
    instance: DagsterInstance
    home: Path
    last: SilentReporter = field(default_factory=SilentReporter)

    def add(self, source: Path | str, **options: Any) -> str:
        registration = add_source(
            self.instance, self.database, str(source), working_directory=Path.cwd(), **options
        )
        return registration.source.identifier

    def add_copy(self, name: str, source: Path) -> str:
        """Add a copy of the talk under a name of its own: several videos share one config."""
        copy = self.home / f"{name}.mp4"
        shutil.copy(source, copy)
        captions = self.home / f"{name}.srt"
        captions.write_text(talk_captions())
        return self.add(copy, captions=str(captions), identifier=name)

    def run(self, video: str, job: str = "full", **options: Any) -> RunOutcome:
        self.last = SilentReporter()
        return run_job(
            self.instance, self.database, video=video, job=job, reporter=self.last, **options
        )

    def rows(self, query: str, **parameters: Any) -> list[Any]:
        with self.database.engine.begin() as connection:
            result = connection.execute(text(query), parameters)
            return [tuple(row) for row in result] if result.returns_rows else []

    def asset_rows(self) -> dict[str, list[Any]]:
        """Every row of the tables that assets write, ids and times of creation included."""
        tables = [
            "videos",
            "transcripts",
            "prompts",
            "generation_configs",
            "moments",
            "clips",
            "thumbnails",
        ]
        return {
            table: self.rows(f"SELECT row_to_json(t)::text FROM {table} t ORDER BY id")  # noqa: S608
            for table in tables
        }

    def objects(self) -> dict[str, int]:
        """Stored objects with their times of change, nanoseconds."""
        root = self.home / "objects"
        return {
            str(path.relative_to(root)): path.stat().st_mtime_ns
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }

    def scratch_is_empty(self) -> bool:
        scratch = self.home / "scratch"
        return not scratch.exists() or not [p for p in scratch.iterdir() if p.is_dir()]


@pytest.fixture
def pipeline(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pipeline]:
    """An installation with short moments, whose transcripts come from captions."""
    with new_pipeline(database_url, tmp_path / "home", monkeypatch) as made:
        yield made


@contextmanager
def new_pipeline(
    database_url: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pipeline]:
    """An installation as the fixture `pipeline` gives it, for as long as a module needs it, say."""
    home.mkdir()
    profiles = home / "profiles.yaml"
    profiles.write_text(yaml.safe_dump(PROFILES))
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("VIDEOMOMENTS_HOME", str(home))
    monkeypatch.setenv("VIDEOMOMENTS_PROFILES", str(profiles))
    monkeypatch.setenv("VIDEOMOMENTS_TRANSCRIPTION_ENGINE", "captions")
    monkeypatch.setenv("VIDEOMOMENTS_CLIP_PADDING_LEFT", "1")
    monkeypatch.setenv("VIDEOMOMENTS_CLIP_PADDING_RIGHT", "2")
    for variable in ("DATABASE_SYNC_URL", "VIDEOMOMENTS_OBJECT_STORE", "VIDEOMOMENTS_SCRATCH"):
        monkeypatch.delenv(variable, raising=False)
    database = open_database(database_url)
    try:
        with DagsterInstance.ephemeral() as instance:
            yield Pipeline(database=database, instance=instance, home=home)
    finally:
        database.dispose()


@pytest.fixture
def talk(pipeline: Pipeline, talk_video: Path, tmp_path: Path) -> str:
    """The talk, registered with captions; its identifier."""
    captions = tmp_path / "talk.srt"
    captions.write_text(talk_captions())
    return pipeline.add(talk_video, captions=str(captions), title="A talk")
