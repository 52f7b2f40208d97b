"""Runs whose process is killed, and servers that go away while they work."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from broken_installation import ASSETS, Broken
from dagster import DagsterInstance
from installation import PROJECT, wait_for

from db.embedded.placement import place as placement_of
from db.embedded.postmaster import Postmaster
from db.embedded.server import alone
from videomoments_dagster.cli.backfill import daemon_is_there
from videomoments_dagster.cli.dagster_instance import opened_instance
from videomoments_dagster.core.settings import load_settings
from videomoments_dagster.moments.registration import add_source


@pytest.mark.timeout(600)
def test_a_run_that_is_killed_in_any_asset_leaves_all_consistent_and_the_next_one_completes(
    broken: Broken,
) -> None:
    for asset in ASSETS:
        with broken.stalled_in(asset) as process:
            process.kill()
            process.wait(timeout=10)
        broken.assert_consistent()
        remembered = broken.rows("SELECT asset FROM pipeline.materialisations")
        assert (asset,) not in remembered

    done = broken.place.ran("run", "talk")
    assert done.returncode == 0, done.stdout
    broken.assert_consistent()
    assert broken.history() == ["failed"] * 7 + ["completed"]
    assert broken.scratch() == []
    [(why,)] = broken.rows(
        "SELECT DISTINCT error_message FROM pipeline_history WHERE status = 'failed'"
    )
    assert "process of this run is gone" in why
    again = broken.place.ran("run", "talk")
    assert again.stdout.count("unchanged") == len(ASSETS), again.stdout


def test_a_run_outlives_a_postgresql_that_is_stopped_for_twenty_seconds(
    broken: Broken,
) -> None:
    server = Postmaster(placement_of(broken.place.server.home), durable=False)
    with broken.stalled_in("moments") as process:
        # Who uses it would start it again within a second.
        with alone(server.placement, timeout_seconds=60):
            assert server.stop()
            broken.go.touch()
            time.sleep(20)
            server.ensure_running().close()
        output, _ = process.communicate(timeout=120)
    assert "Traceback" not in output, output
    assert process.returncode == 0, output
    assert "cannot be reached" in output
    assert "It is tried again." in output
    broken.assert_consistent()
    assert broken.history() == ["completed"]
    assert broken.scratch() == []


@pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=pytest.mark.faults)])
def test_two_runs_of_one_video_in_the_same_second_take_turns(
    broken: Broken,
    rounds: int,
) -> None:
    for number in range(rounds):
        both = [broken.place.command("run", "talk", "--force") for _ in range(2)]
        outputs = [one.communicate(timeout=120)[0] for one in both]
        assert [one.returncode for one in both] == [0, 0], outputs
        broken.assert_consistent()
        assert broken.history() == ["completed"] * 2 * (number + 1)
        spans = broken.rows(
            "SELECT started_at, completed_at FROM pipeline_history ORDER BY completed_at DESC "
            "LIMIT 2"
        )
        assert spans[0][1] > spans[1][1]
    [(moments, clips)] = broken.rows(
        "SELECT (SELECT count(*) FROM moments WHERE NOT is_refined), (SELECT count(*) FROM clips)"
    )
    assert moments == clips
    assert broken.scratch() == []


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own that is soon full."""
    folder.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a file system to fill")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_under_scratch_fails_clearly_and_touches_nothing_else(
    broken: Broken,
) -> None:
    with small_disk(broken.place.home / "small", "200k") as scratch:
        broken.place.environment["VIDEOMOMENTS_SCRATCH"] = str(scratch)
        failed = broken.place.ran("run", "talk")
        assert failed.returncode == 1
        assert "Traceback" not in failed.stdout, failed.stdout
        assert "clips FAILED" in failed.stdout, failed.stdout
        assert [one for one in scratch.iterdir() if one.is_dir()] == []
    broken.assert_consistent()
    assert broken.rows("SELECT 1 FROM clips") == []
    assert broken.history() == ["failed"]
    del broken.place.environment["VIDEOMOMENTS_SCRATCH"]
    done = broken.place.ran("run", "talk")
    assert done.returncode == 0, done.stdout


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("count", "killed_after"),
    [(4, (1,)), pytest.param(50, (1, 10, 25), marks=pytest.mark.faults)],
    ids=["a few", "fifty"],
)
def test_a_backfill_goes_on_after_the_daemon_was_killed_and_runs_each_video_once(
    broken: Broken, count: int, killed_after: tuple[int, ...]
) -> None:
    place = broken.place
    names = [f"copy-{number:02d}" for number in range(count)]
    registered_copies(broken, names)
    listed = place.home / "list.txt"
    listed.write_text("\n".join(names))
    place.start_code_server()
    place.start_daemon()
    with DagsterInstance.get() as instance:
        wait_for(lambda: daemon_is_there(instance), what="the daemon's heartbeat")
    command = place.command("backfill", "--only", str(listed))
    outputs: list[str] = []
    reader = threading.Thread(target=lambda: outputs.append(command.communicate()[0]))
    reader.start()

    def done() -> int:
        [(completed,)] = broken.rows(
            "SELECT count(DISTINCT video_id) FROM pipeline_history WHERE status = 'completed'"
        )
        return int(completed)

    for some in killed_after:
        wait_for(partial(at_least, done, some), what=f"{some} videos", seconds=900)
        place.processes["daemon"].kill()
        place.processes["daemon"].wait(timeout=10)
        time.sleep(3)
        place.start_daemon()
    reader.join(timeout=2400)
    assert not reader.is_alive()
    assert command.returncode == 0, outputs
    assert f"{count} completed, 0 in part, 0 failed." in outputs[0]
    wait_for(partial(at_least, done, count), what="the history", seconds=60)
    doubled = broken.rows(
        "SELECT count(*) FROM pipeline_history GROUP BY video_id HAVING count(*) > 1"
    )
    assert doubled == []
    broken.assert_consistent()


def at_least(counted: Callable[[], int], number: int) -> bool:
    return counted() >= number


def registered_copies(broken: Broken, names: list[str]) -> None:
    """Copies of the talk that differ in their last bytes."""
    captions = broken.place.home / "talk.srt"
    [(talk,)] = broken.rows("SELECT location FROM pipeline.sources")
    with opened_instance(load_settings()) as instance:
        for name in names:
            path = broken.place.home / f"{name}.mp4"
            path.write_bytes(Path(talk).read_bytes() + name.encode())
            add_source(
                instance,
                broken.database,
                str(path),
                identifier=name,
                captions=str(captions),
                working_directory=broken.place.home,
            )


# Kills the process when the record of its run is there, and nothing has begun.
KILLED_BEFORE_THE_START = """
import os, signal
from dagster import DagsterInstance
create = DagsterInstance.create_run_for_job

def create_and_die(*given, **named):
    create(*given, **named)
    os.kill(os.getpid(), signal.SIGKILL)

DagsterInstance.create_run_for_job = create_and_die
from videomoments_dagster.cli.main import main
main()
"""


def test_a_run_that_is_killed_before_it_begins_keeps_nobody_from_deleting_the_video(
    broken: Broken,
) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_BEFORE_THE_START, "run", broken.video],
        env=broken.place.environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
    deleted = broken.place.ran("delete", broken.video, "--yes")
    assert deleted.returncode == 0, deleted.stdout
    assert "is failed: its process is gone" in deleted.stdout
    assert broken.rows("SELECT 1 FROM pipeline.sources") == []
