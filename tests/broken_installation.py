"""Installations whose processes are killed or starved at a moment that the test chooses.

Belongs here: a run as a process that says when it has come to that moment, and what must be true of
the stored rows and objects whatever happened. Does not belong here: the faults themselves.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from installation import PROJECT, Installation, installation
from pipeline import PROFILES, talk_captions
from sqlalchemy import text

from db.session import Database
from videomoments_dagster.core.objects.local_folder import LocalFolderStore

ASSETS = (
    "video",
    "generation_config",
    "transcript",
    "moments",
    "clips",
    "refined_moments",
    "thumbnails",
)
"""In the order in which a run comes to them."""

# Stops between the rows' being written and their being committed, the objects being there already.
STALLING = """
import pathlib, sys, time
asset, marker, go = sys.argv[1:4]
del sys.argv[1:4]
import videomoments_dagster.core.storage as module
remember = module.remember

def stalled(session, partition, storage, *others):
    stored = remember(session, partition, storage, *others)
    if storage.name == asset:
        session.flush()
        pathlib.Path(marker).touch()
        while not pathlib.Path(go).exists():
            time.sleep(0.05)
    return stored

module.remember = stalled
from videomoments_dagster.cli.main import main
main()
"""


@dataclass
class Broken:
    """An installation with a registered talk, and eyes on it.

    Attributes:
        place: Its processes and settings.
        database: Its database.
        video: The talk's identifier.
    """

    place: Installation
    database: Database
    video: str

    @contextmanager
    def stalled_in(self, asset: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """A run that has come to the end of an asset, and waits for `go` before it commits."""
        for path in (self.marker, self.go):
            path.unlink(missing_ok=True)
        command = ["run", self.video, *arguments]
        process = subprocess.Popen(
            [sys.executable, "-c", STALLING, asset, str(self.marker), str(self.go), *command],
            env=self.place.environment,
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        deadline = time.monotonic() + 120
        while not self.marker.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                pytest.fail(f"the run did not come to {asset}:\n{process.communicate()[0]}")
            time.sleep(0.05)
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    @property
    def marker(self) -> Path:
        return self.place.home / "reached"

    @property
    def go(self) -> Path:
        return self.place.home / "go"

    def rows(self, query: str, **parameters: Any) -> list[Any]:
        with self.database.engine.begin() as connection:
            result = connection.execute(text(query), parameters)
            return [tuple(row) for row in result] if result.returns_rows else []

    def history(self) -> list[str]:
        return [s for (s,) in self.rows("SELECT status FROM pipeline_history ORDER BY started_at")]

    def assert_consistent(self) -> None:
        """Every row has its object, whole; rows hang together; nothing is there in part."""
        store = LocalFolderStore(self.place.home / "objects")
        urls = self.rows(
            "SELECT cloud_url, file_size_kb FROM videos UNION ALL "
            "SELECT cloud_url, file_size_kb FROM clips UNION ALL "
            "SELECT cloud_url, NULL FROM thumbnails"
        )
        for url, size_kb in urls:
            found = store.stat(url)
            assert found is not None, f"a row refers to {url}, which is not there"
            if size_kb is not None:
                assert abs(found.size_bytes / 1024 - size_kb) <= 1
        # What an asset is remembered to have made is there as a whole.
        for asset, table in (("transcript", "transcripts"), ("moments", "moments")):
            remembered = self.rows(
                "SELECT 1 FROM pipeline.materialisations WHERE asset = :asset", asset=asset
            )
            there = self.rows(f"SELECT 1 FROM {table} LIMIT 1")  # noqa: S608 - names of ours
            assert bool(remembered) == bool(there), asset

    def scratch(self) -> list[str]:
        folder = self.place.home / "scratch"
        return [one.name for one in folder.iterdir() if one.is_dir()] if folder.exists() else []


@pytest.fixture
def broken(talk_video: Path) -> Iterator[Broken]:
    """An installation with PostgreSQL of its own and the talk registered."""
    with installation(
        {
            "VIDEOMOMENTS_TRANSCRIPTION_ENGINE": "captions",
            "VIDEOMOMENTS_CLIP_PADDING_LEFT": "1",
            "VIDEOMOMENTS_CLIP_PADDING_RIGHT": "2",
        }
    ) as place:
        profiles = place.home / "profiles.yaml"
        profiles.write_text(yaml.safe_dump(PROFILES))
        place.environment["VIDEOMOMENTS_PROFILES"] = str(profiles)
        captions = place.home / "talk.srt"
        captions.write_text(talk_captions())
        assert place.ran("db", "upgrade").returncode == 0
        added = place.ran("add", str(talk_video), "--identifier=talk", f"--captions={captions}")
        assert added.returncode == 0, added.stdout
        database = Database(place.environment["DATABASE_URL"], pool_size=2)
        yield Broken(place=place, database=database, video="talk")
        database.dispose()
