"""`dagster dev` and `dg dev`, typed on a fresh clone where nobody has set anything up."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from dev_process import START_SECONDS, STOP_SECONDS, free_port, new_dev_home

import videomoments_dagster

PROJECT = Path(videomoments_dagster.__file__).parents[1]
CLONED = ("videomoments_dagster", "db", "migrations", "pyproject.toml", "workspace.yaml")


@pytest.fixture
def clone() -> Iterator[Path]:
    with new_dev_home() as folder:
        for name in CLONED:
            source = PROJECT / name
            copy = shutil.copytree if source.is_dir() else shutil.copyfile
            copy(source, folder / name)
        yield folder


def own_processes(folder: Path) -> list[psutil.Process]:
    """Processes that work in a folder, the embedded database among them."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if Path(process.cwd()).is_relative_to(folder):
                found.append(process)
    return found


@pytest.mark.parametrize("program", ["dagster", "dg"])
def test_sensors_tick_on_an_embedded_database_and_nothing_is_left(
    clone: Path, program: str
) -> None:
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DATABASE_", "DAGSTER_", "VIDEOMOMENTS_"))
    }
    output = clone / "output.txt"
    with output.open("w") as file:
        process = subprocess.Popen(
            [Path(sys.executable).parent / program, "dev", f"--port={free_port()}"],
            cwd=clone,
            env={**clean, "PYTHONPATH": str(clone)},
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while "Sensor inbox skipped" not in (said := output.read_text()):
            assert process.poll() is None, said
            assert "Traceback" not in said, said
            assert time.monotonic() < deadline, said
            time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=STOP_SECONDS)
        assert not list(clone.glob(".tmp_dagster_home_*"))
        # Dagster leaves its code server to notice by itself that nobody is there any more.
        _, alive = psutil.wait_procs(own_processes(clone), timeout=60)
        assert alive == []
    finally:
        for one in own_processes(clone):
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
