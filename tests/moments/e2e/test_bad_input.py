"""Bad input and bad surroundings, given to the real command: one sentence, and nothing lost."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg2
import pytest
from gcs_emulator import GoogleStorage
from pipeline import PROFILES, talk_captions
from postgres import fresh_database
from whisper_model import Shape, make_whisper_model

from db.urls import normalised, rendered

COMMAND = (sys.executable, "-P", "-c", "from videomoments_dagster.cli.main import main; main()")
TALK = Path(__file__).parents[3] / "demo" / "talk.mp4"


class Installation:
    """The command with a home, a database and a Dagster database of its own."""

    def __init__(self, home: Path, variables: dict[str, str]) -> None:
        self.home = home
        self.variables = variables

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, *arguments],
            env={**os.environ, **self.variables, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def says(self, *arguments: str, status: int = 1, **variables: str) -> str:
        """Run to the end; what it said, on either stream."""
        process = self.start(*arguments, **variables)
        out, err = process.communicate(timeout=120)
        said = out + err
        assert process.returncode == status, said
        assert "Traceback" not in said
        assert "Warning" not in said
        return said

    def refuses(self, *arguments: str, **variables: str) -> str:
        """The one line with which it refuses."""
        lines = self.says(*arguments, **variables).strip().splitlines()
        assert len(lines) == 1, lines
        assert lines[0].startswith("videomoments: ")
        return lines[0]

    def count(self, table: str) -> int:
        url = normalised(self.variables["DATABASE_URL"]).set(drivername="postgresql")
        connection = psycopg2.connect(rendered(url))
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT count(*) FROM {table}")  # noqa: S608
                [number] = cursor.fetchone() or [0]
                return int(number)
        finally:
            connection.close()

    def left_in_scratch(self) -> list[Path]:
        scratch = self.home / "scratch"
        return [p for p in scratch.iterdir() if p.is_dir()] if scratch.exists() else []


@pytest.fixture
def installation(tmp_path: Path, database_url: str, postgres_server: str) -> Iterator[Installation]:
    import yaml

    home = tmp_path / "home"
    home.mkdir()
    profiles = home / "profiles.yaml"
    profiles.write_text(yaml.safe_dump(PROFILES))
    with fresh_database(postgres_server) as dagster_url:
        yield Installation(
            home,
            {
                "VIDEOMOMENTS_HOME": str(home),
                "VIDEOMOMENTS_PROFILES": str(profiles),
                "DATABASE_URL": database_url,
                "VIDEOMOMENTS_DAGSTER_DATABASE_URL": dagster_url,
            },
        )


def test_files_that_are_no_videos_are_refused_with_their_name_and_leave_nothing(
    installation: Installation, tmp_path: Path
) -> None:
    playlist = tmp_path / "list.mp4"
    playlist.write_text("#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n")
    truncated = tmp_path / "cut.mp4"
    truncated.write_bytes(TALK.read_bytes()[:500_000])
    latin_1 = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4")
    Path(latin_1).write_bytes(TALK.read_bytes())
    assert "caf\ufffd.mp4 is not valid UTF-8" in installation.refuses("add", latin_1)
    for source, reason in (
        (tmp_path / "nowhere.mp4", "does not exist"),
        (tmp_path, "is a folder"),
        (playlist, "playlist"),
        (truncated, "truncated"),
    ):
        line = installation.refuses("add", str(source))
        assert source.name in line
        assert reason in line
    assert installation.count("pipeline.sources") == 0
    assert not (installation.home / "objects").exists()


def test_of_several_sources_one_that_is_refused_keeps_none_of_the_others_from_it(
    installation: Installation, tmp_path: Path
) -> None:
    other = tmp_path / "other.mp4"
    other.write_bytes(TALK.read_bytes())
    said = installation.says("add", str(TALK), str(tmp_path / "nowhere.mp4"), str(other))
    assert "Registered as 'talk'." in said
    assert "Registered as 'other'." in said
    assert re.search(r"^videomoments: .*nowhere.mp4 does not exist", said, re.MULTILINE)
    assert "Next: videomoments backfill" in said
    assert installation.count("pipeline.sources") == 2
    usage = installation.says("add", str(TALK), str(other), "--title=Both", status=2)
    assert "--title is of one video, and there are 2" in usage


def test_a_part_of_a_new_video_says_what_makes_all_of_it(installation: Installation) -> None:
    installation.says("add", str(TALK), status=0)
    for job in ("moments_only", "clips_only"):
        assert "`videomoments run talk`" in installation.says("run", "talk", f"--job={job}")


def test_identifiers_and_profiles_are_refused_before_anything_is_written(
    installation: Installation,
) -> None:
    for identifier in ("a/b", "..", "with space", ""):
        line = installation.refuses("add", str(TALK), f"--identifier={identifier}")
        assert "begins with an ASCII letter or digit" in line
    assert "default, short" in installation.refuses("add", str(TALK), "--profile=loud")
    bad = installation.home / "bad.yaml"
    bad.write_text("default: {generation: {surprise: 1}, refinement: {}}")
    line = installation.refuses("run", "talk", VIDEOMOMENTS_PROFILES=str(bad))
    assert "'default'" in line
    assert "bad.yaml" in line
    assert installation.count("pipeline.sources") == 0


def test_surroundings_that_are_wrong_are_named_with_what_mends_them(
    installation: Installation, empty_database_url: str, gcs: GoogleStorage
) -> None:
    closed = "postgresql://somebody:hidden@127.0.0.1:1/nothing"
    line = installation.refuses("list", DATABASE_URL=closed)
    assert "127.0.0.1:1" in line
    assert "hidden" not in line
    assert "videomoments db upgrade" in installation.refuses(
        "list", DATABASE_URL=empty_database_url
    )
    url = normalised(installation.variables["DATABASE_URL"])
    assert "no_such" in installation.refuses(
        "list", DATABASE_URL=rendered(url.set(database="no_such"))
    )
    assert "VIDEOMOMENTS_CLIP_METHOD" in installation.refuses("list", VIDEOMOMENTS_CLIP_METHOD="x")

    installation.says("add", str(TALK), status=0)
    bucket = {"VIDEOMOMENTS_OBJECT_STORE": "gs://not-there", "STORAGE_EMULATOR_HOST": gcs.url}
    said = installation.says("run", "talk", **bucket)
    assert "not-there" in said
    assert "gcloud storage buckets create" in said or "gsutil mb" in said
    assert installation.count("videos") == 0


def test_a_missing_whisper_model_is_said_at_once_with_where_to_put_it(
    installation: Installation,
) -> None:
    installation.says("add", str(TALK), status=0)
    began = time.monotonic()
    said = installation.says("run", "talk", VIDEOMOMENTS_WHISPER_MODEL="base")
    assert time.monotonic() - began < 30
    assert str(installation.home / "models" / "whisper" / "base") in said
    assert "hf download Systran/faster-whisper-base" in said
    assert installation.count("transcripts") == 0
    assert "failed" in installation.says("history", status=0)
    assert "failed" in installation.says("list", status=0)
    found = installation.says("backfill", "--only", "failed", "--dry-run", status=0)
    assert "for 1 videos" in found
    assert "talk" in found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_interrupted_ends_soon_and_leaves_nothing_and_can_be_run_again(
    installation: Installation, number: signal.Signals, tmp_path: Path
) -> None:
    # As large as "tiny", and never at an end: tens of seconds for the talk.
    model = make_whisper_model(tmp_path / "slow", shape=Shape(384, 6, 4), endless=True)
    installation.says("add", str(TALK), status=0)
    process = installation.start("run", "talk", VIDEOMOMENTS_WHISPER_MODEL=str(model))
    assert process.stderr is not None
    for line in process.stderr:
        if "Transcribing" in line:
            break
    time.sleep(2)
    assert process.poll() is None
    children = psutil.Process(process.pid).children(recursive=True)
    asked_at = time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    took = time.monotonic() - asked_at
    assert process.returncode == 1, said
    assert "Traceback" not in said
    assert took < 15, took
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive
    assert installation.left_in_scratch() == []

    captions = tmp_path / "talk.srt"
    captions.write_text(talk_captions())
    installation.says("add", str(TALK), f"--captions={captions}", status=0)
    installation.says("run", "talk", status=0)


def test_two_runs_of_one_video_at_once_leave_each_row_once(
    installation: Installation, tmp_path: Path
) -> None:
    captions = tmp_path / "talk.srt"
    captions.write_text(talk_captions())
    installation.says("add", str(TALK), f"--captions={captions}", status=0)
    runs = [installation.start("run", "talk") for _ in range(2)]
    for process in runs:
        _, said = process.communicate(timeout=180)
        assert "Traceback" not in said
    installation.says("run", "talk", status=0)
    assert installation.count("videos") == installation.count("transcripts") == 1
    roots = installation.count("moments WHERE NOT is_refined")
    assert roots >= 3
    assert roots == installation.count("moments WHERE is_refined") == installation.count("clips")
    assert installation.count("thumbnails") == roots + 1
