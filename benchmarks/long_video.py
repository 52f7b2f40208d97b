"""What `make bench` says about a video of two hours: memory, and bytes fetched from far away.

Belongs here: what grows with a video's length. Does not belong here: time.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from backfill import profile
from clip_exactness import check_stored
from comparison import Row, Rows
from generated_media import looped, make_mp4
from installation import PROJECT, Installation, installation
from sqlalchemy import text

LONG_SECONDS = 7200
SHORT_SECONDS = 60
CLIPS = 3
_MIB = 1024**2
_SPEECH = (
    "the baker mixes flour and water and salt while the moon pulls the tide up the long beach "
    "and bees carry nectar home to a hive of wax"
)

_PEAK = """
import sys
sys.path.insert(0, {benchmarks!r})
from memory_peak import peak_bytes
from videomoments_dagster.cli.main import main
try:
    main()
finally:
    print("peak", peak_bytes(), file=sys.stderr)
"""


def captions(seconds: int) -> str:
    """A sentence of nine words every three seconds, as SRT."""
    words = itertools.cycle(_SPEECH.split())

    def clock(at: int, tenths: int) -> str:
        return f"{at // 3600:02d}:{at // 60 % 60:02d}:{at % 60:02d},{tenths}00"

    return "\n".join(
        f"{number}\n{clock(at, 0)} --> {clock(at + 2, 8)}\n"
        + " ".join(itertools.islice(words, 9))
        + ".\n"
        for number, at in enumerate(range(0, seconds - 3, 3), 1)
    )


@contextmanager
def _place(**settings: str) -> Iterator[Installation]:
    with installation({"VIDEOMOMENTS_TRANSCRIPTION_ENGINE": "captions", **settings}) as place:
        profiles = place.home / "profiles.yaml"
        wanted = profile(90)
        wanted["generation"] |= {
            "min_moment_length": 30,
            "min_moments": CLIPS,
            "max_moments": CLIPS,
        }
        profiles.write_text(yaml.safe_dump({"default": wanted}))
        for environment in (place.environment, os.environ):
            environment["VIDEOMOMENTS_PROFILES"] = str(profiles)
        place.ran("db", "upgrade")
        yield place


def _added(place: Installation, video: Path, *, seconds: int) -> str:
    subtitles = video.with_suffix(".srt")
    subtitles.write_text(captions(seconds))
    added = place.ran("add", str(video), f"--captions={subtitles}")
    if added.returncode != 0:
        raise SystemExit(added.stdout)
    return video.stem


def _peak(place: Installation, video: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", _PEAK.format(benchmarks=str(PROJECT / "benchmarks")), "run", video],
        check=False,
        env=place.environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    return int(done.stderr.split()[-1]) / _MIB


def memory(rows: Rows, folder: Path) -> None:
    """Memory of `full` on two hours, against a minute."""
    short = make_mp4(folder / "short.mp4", seconds=SHORT_SECONDS, keyframe_seconds=2.0)
    long = looped(short, folder / "long.mp4", times=LONG_SECONDS // SHORT_SECONDS)
    with _place() as place:
        files = {
            _added(place, video, seconds=seconds): video
            for video, seconds in ((short, SHORT_SECONDS), (long, LONG_SECONDS))
        }
        peaks = [_peak(place, video) for video in files]
        check_stored(place, files)
    size = f"{long.stat().st_size / 1e9:.1f} GB"
    # The index of a long file, half a million entries, is read by each of the cuts that go on at
    # once. Settings of the allocator kept it below 100 MB, for the price of a process-wide trick.
    limit = peaks[0] + 130e6 / _MIB
    what = f"memory of full, 2 h ({size})"
    rows.add(Row(what, peaks[1], "on 1 min, and 130 MB", limit, 1.0, unit="MiB"))


def ranges(rows: Rows, folder: Path) -> None:
    """Bytes that `clips_only` fetches of two hours in a bucket, against its clips' size."""
    sys.path.insert(0, str(PROJECT / "tests"))
    from gcs_emulator import BUCKET, google_storage

    # The emulator holds all objects in memory, and copies them there.
    short = make_mp4(folder / "short.mp4", seconds=SHORT_SECONDS, keyframe_seconds=2.0, factor=32)
    long = looped(short, folder / "long.mp4", times=LONG_SECONDS // SHORT_SECONDS)
    with (
        google_storage() as storage,
        _place(
            STORAGE_EMULATOR_HOST=storage.url,
            GOOGLE_CLOUD_PROJECT="bench",
            VIDEOMOMENTS_OBJECT_STORE=f"gs://{BUCKET}/films",
        ) as place,
    ):
        video = _added(place, long, seconds=LONG_SECONDS)
        done = place.ran("run", video, seconds=1800)
        if done.returncode != 0:
            raise SystemExit(done.stdout)
        fetched = _fetched_by_cutting_again(place, video)
        size = sum(_clip_sizes(place))
        check_stored(place, {video: long})
    what = f"bytes fetched by clips_only, {CLIPS} clips of {long.stat().st_size / 1e9:.1f} GB"
    rows.add(Row(what, fetched / _MIB, "the clips' size", size / _MIB, 3.0, unit="MiB"))


def _clip_sizes(place: Installation) -> list[int]:
    from videomoments_dagster.core.configured_database import open_database

    with open_database(place.environment["DATABASE_URL"]).read() as session:
        sizes = session.scalars(text("SELECT file_size_kb FROM clips")).all()
    if len(sizes) != CLIPS:
        raise SystemExit(f"there are {len(sizes)} clips")
    return [int(size) * 1024 for size in sizes]


def _fetched_by_cutting_again(place: Installation, video: str) -> int:
    from videomoments_dagster.cli.dagster_instance import opened_instance
    from videomoments_dagster.cli.running import run_job
    from videomoments_dagster.core.configured_database import open_database
    from videomoments_dagster.core.objects.google_cloud import GoogleCloudStore
    from videomoments_dagster.core.settings import load_settings

    counted: list[int] = []
    whole, part = GoogleCloudStore.fetch, GoogleCloudStore.read_range

    def fetch(self: GoogleCloudStore, url: str, *, to: Path) -> Path:
        path = whole(self, url, to=to)
        counted.append(path.stat().st_size)
        return path

    def read_range(self: GoogleCloudStore, url: str, *, start: int, length: int) -> bytes:
        found = part(self, url, start=start, length=length)
        counted.append(len(found))
        return found

    GoogleCloudStore.fetch = fetch  # type: ignore[method-assign]
    GoogleCloudStore.read_range = read_range  # type: ignore[method-assign]
    database = open_database(place.environment["DATABASE_URL"])
    with database.transaction() as session:
        session.execute(text("DELETE FROM clips"))
        session.execute(text("DELETE FROM pipeline.materialisations WHERE asset = 'clips'"))
    from whole_runs import Quiet

    with opened_instance(load_settings()) as instance:
        outcome = run_job(
            instance,
            database,
            video=video,
            job="clips_only",
            reporter=Quiet(),
        )
    if outcome.row.status != "completed":
        raise SystemExit(str(outcome.row.error_message))
    # Thumbnails are made from the clips, which are fetched too; they are what is compared with.
    return sum(counted)
