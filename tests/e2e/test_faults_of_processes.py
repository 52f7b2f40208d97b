"""Runs whose process is killed, and servers that go away while they work."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from broken_installation import ASSETS, Broken
from installation import wait_for

from db.embedded.placement import place as placement_of
from db.embedded.postmaster import Postmaster


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


def test_postgresql_that_is_stopped_for_twenty_seconds_costs_no_more_than_running_again(
    broken: Broken,
) -> None:
    server = Postmaster(placement_of(broken.place.server.home), durable=False)
    with broken.stalled_in("moments") as process:
        assert server.stop()
        broken.go.touch()
        time.sleep(20)
        server.ensure_running().close()
        output, _ = process.communicate(timeout=120)
    assert "Traceback" not in output, output
    broken.assert_consistent()
    if process.returncode != 0:
        assert "database" in output.lower(), output
    done = broken.place.ran("run", "talk")
    assert done.returncode == 0, done.stdout
    broken.assert_consistent()
    assert broken.history()[-1] == "completed"
    assert "running" not in broken.history()
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


@pytest.mark.faults
def test_a_backfill_goes_on_after_the_daemon_was_killed_and_runs_each_video_once(
    broken: Broken,
) -> None:
    place = broken.place
    names = [f"copy-{number:02d}" for number in range(50)]
    source = place.home / "talk.srt"
    [(video,)] = broken.rows("SELECT location FROM pipeline.sources")
    for name in names:
        path = place.home / f"{name}.mp4"
        path.write_bytes(Path(video).read_bytes() + name.encode())
        added = place.ran("add", str(path), f"--identifier={name}", f"--captions={source}")
        assert added.returncode == 0, added.stdout
    listed = place.home / "list.txt"
    listed.write_text("\n".join(names))
    place.start_code_server()
    place.start_daemon()
    time.sleep(40)
    command = place.command("backfill", "--only", str(listed))
    outputs: list[str] = []
    reader = threading.Thread(target=lambda: outputs.append(command.communicate()[0]))
    reader.start()

    def done() -> int:
        [(count,)] = broken.rows(
            "SELECT count(DISTINCT video_id) FROM pipeline_history WHERE status = 'completed'"
        )
        return int(count)

    for some in (1, 10):
        wait_for(lambda some=some: done() >= some, what=f"{some} videos", seconds=600)  # type: ignore[misc]
        place.processes["daemon"].kill()
        place.processes["daemon"].wait(timeout=10)
        time.sleep(5)
        place.start_daemon()
    reader.join(timeout=1800)
    assert not reader.is_alive()
    assert command.returncode == 0, outputs
    assert "50 completed, 0 in part, 0 failed." in outputs[0]
    wait_for(lambda: done() == 50, what="the history", seconds=60)
    assert (
        broken.rows("SELECT count(*) FROM pipeline_history GROUP BY video_id HAVING count(*) > 1")
        == []
    )
    broken.assert_consistent()
