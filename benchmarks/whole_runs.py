"""What `make bench` says about runs of one short video: in this process, again, from the cold, and
from the UI.

Belongs here: whole runs. Does not belong here: single parts.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from backfill import profile
from clip_exactness import check_stored
from comparison import RUNS, Row, Rows
from generated_media import make_mp4
from installation import PROJECT, Installation, installation

SECONDS = 10.0
VIDEOS = 3
LONGEST = 120.0
_SENTENCES = (
    "The baker mixes flour and water.",
    "The moon pulls the tide up the beach.",
    "A bee carries nectar to its hive.",
    "The engine pulls carriages along the rails.",
)


@dataclass(frozen=True, slots=True)
class WholeRuns:
    """Seconds of wall-clock time.

    Attributes:
        full: A first `full`, everything being imported already.
        ffmpeg: What of that ffmpeg took.
        again: A second `full` with nothing changed.
        cold: The command `videomoments run` for another video, from its start to its end.
        cold_again: The same for that video again.
    """

    full: float
    ffmpeg: float
    again: float
    cold: float
    cold_again: float


class Quiet:
    """Says nothing of a run."""

    def step_started(self, step: str) -> None:
        pass

    def step_said(self, step: str, message: str) -> None:
        pass

    def step_finished(self, step: str, *, seconds: float, unchanged: bool) -> None:
        pass

    def step_failed(self, step: str, message: str) -> None:
        raise SystemExit(f"{step} failed: {message}")


def captions() -> str:
    """A cue of 2.4 s for each sentence."""
    return "\n".join(
        f"{number}\n00:00:{number * 2.4:06.3f} --> 00:00:{number * 2.4 + 2.2:06.3f}\n{text}\n"
        for number, text in enumerate(_SENTENCES)
    )


def measure() -> WholeRuns:
    """Run them in an installation of their own."""
    with installation({"VIDEOMOMENTS_TRANSCRIPTION_ENGINE": "captions"}) as place:
        videos = add_videos(place)
        warm, again, ffmpeg = _in_process(place)
        cold = [_timed(place) for _ in range(2)]
        check_stored(place, added_files(place, videos))
    return WholeRuns(full=warm, ffmpeg=ffmpeg, again=again, cold=cold[0], cold_again=cold[1])


def add_videos(place: Installation) -> list[str]:
    """Register some videos of ten seconds; give their identifiers."""
    profiles = place.home / "profiles.yaml"
    profiles.write_text(yaml.safe_dump({"default": profile(4)}))
    for environment in (place.environment, os.environ):
        environment["VIDEOMOMENTS_PROFILES"] = str(profiles)
    place.ran("db", "upgrade")
    source = place.home / "source.mp4"
    make_mp4(source, seconds=SECONDS, keyframe_seconds=2.0)
    for number in range(VIDEOS):
        path = place.home / f"video-{number}.mp4"
        path.write_bytes(source.read_bytes() + str(number).encode())
        srt = path.with_suffix(".vtt")
        srt.write_text(f"WEBVTT\n\n{captions()}")
        added = place.ran("add", str(path), f"--captions={srt}")
        if added.returncode != 0:
            raise SystemExit(added.stdout)
    return [f"video-{number}" for number in range(VIDEOS)]


def added_files(place: Installation, videos: list[str]) -> dict[str, Path]:
    """The files of videos that `add_videos` registered."""
    return {video: place.home / f"{video}.mp4" for video in videos}


def _in_process(place: Installation) -> tuple[float, float, float]:
    from videomoments_dagster.cli.dagster_instance import opened_instance
    from videomoments_dagster.cli.running import run_job
    from videomoments_dagster.core.configured_database import open_database
    from videomoments_dagster.core.settings import load_settings
    from videomoments_dagster.media import ffmpeg as module

    database = open_database(place.environment["DATABASE_URL"])
    spent = 0.0
    original = module.wait_for

    def wait_for(*arguments: Any, **named: Any) -> bytes:
        nonlocal spent
        begun = time.perf_counter()
        try:
            return original(*arguments, **named)
        finally:
            spent += time.perf_counter() - begun

    times = []
    with opened_instance(load_settings()) as instance:
        for video in ("video-0", "video-1", "video-1"):
            module.wait_for = wait_for
            spent = 0.0
            begun = time.perf_counter()
            outcome = run_job(instance, database, video=video, job="full", reporter=Quiet())
            times.append((time.perf_counter() - begun, spent))
            module.wait_for = original
            if outcome.row.status != "completed":
                raise SystemExit(f"{video}: {outcome.row.error_message}")
    # The first has imported everything.
    return times[1][0], times[2][0], times[1][1]


def runs(rows: Rows, folder: Path) -> None:  # noqa: ARG001 - every part gets one
    """Runs of ten seconds, against what was promised."""
    taken = [measure() for _ in range(RUNS)]

    def middle(name: str) -> float:
        return statistics.median(getattr(one, name) for one in taken)

    limit = statistics.median(one.ffmpeg for one in taken) + 1.5
    promised = "the promised limit"
    rows.add(Row("full of 10 s, imported", middle("full"), "its ffmpeg and 1.5 s", limit, 1.0))
    rows.add(Row("the same again, unchanged", middle("again"), promised, 2.0, 1.0))
    rows.add(Row("videomoments run, cold", middle("cold"), promised, 6.0, 1.0))
    rows.add(Row("the same again, unchanged", middle("cold_again"), promised, 6.0, 1.0))


def dev(rows: Rows, folder: Path) -> None:  # noqa: ARG001 - every part gets one
    """A full run that is launched in `videomoments dev` as the UI does it, until it is green."""
    sys.path.insert(0, str(PROJECT / "tests"))
    from dev_process import asked

    with installation({"VIDEOMOMENTS_TRANSCRIPTION_ENGINE": "captions"}) as place:
        videos = add_videos(place)
        with dev_server(place) as port:
            times = []
            for video in videos:
                begun = time.perf_counter()
                run = asked(port, _LAUNCH % video)["launchPipelineExecution"]["run"]["runId"]
                while (status := _status(asked, port, run)) != "SUCCESS":
                    if status in ("FAILURE", "CANCELED") or time.perf_counter() - begun > LONGEST:
                        raise SystemExit(f"the run from the UI: {status}")
                    time.sleep(0.05)
                times.append(time.perf_counter() - begun)
        check_stored(place, added_files(place, videos))
    rows.add(
        Row("full of 10 s from the UI", statistics.median(times), "the promised limit", 12.0, 1.0)
    )


@contextmanager
def dev_server(place: Installation) -> Iterator[int]:
    """Run `videomoments dev` over an installation; give the port of its UI when it is up."""
    sys.path.insert(0, str(PROJECT / "tests"))
    from dev_process import dev as started
    from dev_process import free_port, until_up

    port = free_port()
    wanted = {
        name: value
        for name, value in place.environment.items()
        if name.startswith(("DATABASE_", "VIDEOMOMENTS_"))
    }
    with started(place.home, port=port, **wanted) as process:
        until_up(port, process=process, home=place.home, seconds=LONGEST)
        yield port


_LAUNCH = """
mutation { launchPipelineExecution(executionParams: {
    selector: {
        repositoryLocationName: "videomoments", repositoryName: "__repository__",
        pipelineName: "full"
    }
    runConfigData: "{}"
    executionMetadata: {tags: [{key: "dagster/partition", value: "%s"}]}
}) { ... on LaunchRunSuccess { run { runId } } } }
"""


def _status(asked: Callable[[int, str], Any], port: int, run: str) -> str:
    found = asked(port, f'{{ runOrError(runId: "{run}") {{ ... on Run {{ status }} }} }}')
    return str(found["runOrError"]["status"])


def _timed(place: Installation) -> float:
    begun = time.perf_counter()
    done = place.ran("run", "video-2")
    if done.returncode != 0:
        raise SystemExit(done.stdout)
    return time.perf_counter() - begun
