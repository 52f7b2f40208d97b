"""Many short videos through the daemon: nothing lost, nothing doubled, and what it takes.

    make bench-backfill
    python benchmarks/backfill.py --videos 300 --soak-minutes 30 --json result.json

Belongs here: that one measurement. The videos have two seconds and captions, so that what is
measured is the orchestration.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from imageio_ffmpeg import get_ffmpeg_exe
from installation import Installation, installation, wait_for
from sqlalchemy import text

SECONDS = 2.0
CAPTIONS = (
    "1\n00:00:00,100 --> 00:00:00,900\nThe baker mixes flour and water.\n\n"
    "2\n00:00:01,000 --> 00:00:01,900\nThe moon pulls the tide up the beach.\n"
)
_LIMITS = {
    "min_moment_length": 0.5,
    "max_moment_length": 2,
    "min_moments": 1,
    "max_moments": 2,
}


def profile(longest: float) -> dict[str, Any]:
    return {
        "generation": {
            "model": "extractive",
            "user_prompt": "find",
            "system_prompt": "you find",
            **_LIMITS,
            "max_moment_length": longest,
        },
        "refinement": {"model": "extractive", "user_prompt": "mend", "system_prompt": "you mend"},
    }


@dataclass
class Samples:
    """What was seen while the work went on.

    Attributes:
        connections: Of clients to PostgreSQL, a second apart.
        memory: Seconds since the start, and resident bytes of daemon and code server.
    """

    connections: list[int] = field(default_factory=list)
    memory: list[tuple[float, int, int]] = field(default_factory=list)


def make_videos(place: Installation, count: int) -> None:
    """Register videos whose bytes all differ."""
    from videomoments_dagster.cli.dagster_instance import opened_instance
    from videomoments_dagster.core.configured_database import open_database
    from videomoments_dagster.core.settings import load_settings
    from videomoments_dagster.moments.registration import add_source

    template = place.home / "template.mp4"
    subprocess.run(
        [
            *(get_ffmpeg_exe(), "-v", "error"),
            *("-f", "lavfi", "-i", f"testsrc2=size=320x180:rate=25:duration={SECONDS}"),
            *("-f", "lavfi", "-i", f"sine=frequency=440:duration={SECONDS}"),
            *("-c:v", "libx264", "-preset", "veryfast", "-g", "25", "-pix_fmt", "yuv420p"),
            *("-c:a", "aac", str(template)),
        ],
        check=True,
    )
    content = template.read_bytes()
    folder = place.home / "archive"
    folder.mkdir()
    database = open_database(place.environment["DATABASE_URL"])
    with opened_instance(load_settings()) as instance:
        for number in range(count):
            path = folder / f"video-{number:04d}.mp4"
            path.write_bytes(content + f"{number:08d}".encode())
            path.with_suffix(".srt").write_text(CAPTIONS)
            add_source(
                instance,
                database,
                str(path),
                captions=str(path.with_suffix(".srt")),
                working_directory=folder,
            )


def sample(place: Installation, samples: Samples, stop: threading.Event) -> None:
    """Look at connections and memory once a second."""
    from db.session import new_engine

    engine = new_engine(place.environment["DATABASE_URL"], application_name="benchmark")
    begun = time.monotonic()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while not stop.wait(1):
            samples.connections.append(
                connection.scalar(
                    text(
                        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = "
                        "'client backend' AND application_name <> 'benchmark'"
                    )
                )
            )
            samples.memory.append(
                (
                    time.monotonic() - begun,
                    place.memory_bytes("daemon"),
                    place.memory_bytes("code"),
                )
            )
    engine.dispose()


def backfilled(place: Installation, *arguments: str) -> tuple[float, str, int]:
    """Run `videomoments backfill`: seconds, what it said, and its exit status."""
    begun = time.monotonic()
    done = place.ran("backfill", *arguments, seconds=4 * 3600)
    return time.monotonic() - begun, done.stdout, done.returncode


def outcome(place: Installation, *, videos: int) -> dict[str, Any]:
    """What there is afterwards, in our tables and in Dagster's."""
    from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

    from videomoments_dagster.core.configured_database import open_database

    database = open_database(place.environment["DATABASE_URL"])

    def rows(query: str) -> list[Any]:
        with database.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    def history() -> dict[str, int]:
        return dict(rows("SELECT status, count(*) FROM pipeline_history GROUP BY 1"))

    # The sensor follows a few seconds behind.
    wait_for(lambda: sum(history().values()) >= videos, what="the history", seconds=120, every=1)
    with DagsterInstance.get() as instance:
        records = instance.get_run_records(RunsFilter(statuses=[DagsterRunStatus.SUCCESS]))
    took = [(record.end_time or 0) - (record.start_time or 0) for record in records]
    return {
        "runs_completed": len(records),
        "videos_with_clips": rows(
            "SELECT count(DISTINCT m.video_id) FROM clips c JOIN moments m ON m.id = c.moment_id"
        )[0][0],
        "history": history(),
        "videos_with_two_rows": rows(
            "SELECT count(*) FROM (SELECT video_id FROM pipeline_history GROUP BY 1 "
            "HAVING count(*) > 1) doubled"
        )[0][0],
        "run_seconds_median": round(statistics.median(took), 2),
        "run_seconds_worst": round(max(took), 2),
    }


def soaked(place: Installation, samples: Samples, minutes: float) -> dict[str, Any]:
    """Go on working for some minutes: sensors tick, and every minute a few videos are run."""
    begun = time.monotonic()
    first = len(samples.memory)
    listed = place.home / "some.txt"
    listed.write_text("".join(f"video-{number:04d}\n" for number in range(5)))
    rounds = 0
    while time.monotonic() - begun < minutes * 60:
        round_begun = time.monotonic()
        name = ("default", "short")[rounds % 2]
        backfilled(place, "--only", str(listed), "--job", "moments_only", "--profile", name)
        backfilled(place, "--only", str(listed), "--job", "clips_only")
        rounds += 1
        time.sleep(max(60 - (time.monotonic() - round_begun), 0))
    of_soak = samples.memory[first:]
    end = of_soak[-1][0]
    figures: dict[str, Any] = {"rounds": rounds, "minutes": round((end - of_soak[0][0]) / 60, 1)}
    for column, name in ((1, "daemon"), (2, "code_server")):
        last = [one[column] for one in of_soak if one[0] > end - 600]
        before = [one[column] for one in of_soak if end - 1200 < one[0] <= end - 600]
        if last and before:
            growth = statistics.mean(last) / statistics.mean(before) - 1
            figures[f"{name}_mib"] = round(statistics.mean(last) / 1024**2, 1)
            figures[f"{name}_growth_percent"] = round(100 * growth, 2)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=300)
    parser.add_argument("--soak-minutes", type=float, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    profiles = {"default": profile(2), "short": profile(1)}
    with installation({"VIDEOMOMENTS_TRANSCRIPTION_ENGINE": "captions"}) as place:
        path = place.home / "profiles.yaml"
        path.write_text(yaml.safe_dump(profiles))
        place.environment["VIDEOMOMENTS_PROFILES"] = str(path)
        place.ran("db", "upgrade")
        make_videos(place, arguments.videos)
        place.start_code_server()
        place.start_daemon()
        samples, stop = Samples(), threading.Event()
        sampler = threading.Thread(target=sample, args=(place, samples, stop), daemon=True)
        sampler.start()
        time.sleep(40)  # A heartbeat of the daemon, without which the command would not trust it.
        seconds, said, status = backfilled(place, "--only", "all")
        figures: dict[str, Any] = {
            "videos": arguments.videos,
            "exit_status": status,
            "seconds": round(seconds, 1),
            **outcome(place, videos=arguments.videos),
        }
        if arguments.soak_minutes:
            figures["soak"] = soaked(place, samples, arguments.soak_minutes)
        stop.set()
        sampler.join()
        figures["connections_most"] = max(samples.connections)
        figures["connections_median"] = statistics.median(samples.connections)
        print("\n".join(said.splitlines()[-6:]), file=sys.stderr)
        if arguments.json:
            for name in ("daemon", "code"):
                log = (place.home / f"{name}.log").read_text(errors="replace")
                arguments.json.with_suffix(f".{name}.log").write_text(log)
    written = json.dumps(figures, indent=2)
    print(written)
    if arguments.json:
        arguments.json.write_text(written)


if __name__ == "__main__":
    main()
