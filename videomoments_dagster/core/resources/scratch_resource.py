"""Temporary files: one folder per run, gone after it, also after a failure."""

import contextlib
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from filelock import FileLock, Timeout
from pydantic import PrivateAttr

from videomoments_dagster.base.failures import ScratchExhausted

_ALIVE = ".videomoments-run"
"""Marks a folder as ours; whatever else lies in the same root is nobody's to remove."""


def sweep(root: Path) -> None:
    """Remove our folders whose process is gone, such as one that was killed.

    A living process holds a lock on a file in its folder; the kernel lets go of it when the
    process ends, however it ends.
    """
    for folder in root.iterdir():
        if folder.is_symlink() or not (folder / _ALIVE).is_file():
            continue
        lock = FileLock(folder / _ALIVE)
        with contextlib.suppress(Timeout, OSError):
            lock.acquire(blocking=False)
            shutil.rmtree(folder, ignore_errors=True)
            lock.release()


@contextmanager
def scratch_folder(root: Path, *, name: str) -> Generator[Path]:
    """A folder under `root` for the length of the block, removed after it.

    Raises:
        ScratchExhausted: If the folder cannot be made.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        # Without this lock, a sweep could meet a folder between its making and its locking.
        with FileLock(root / ".sweep.lock", timeout=30):
            sweep(root)
            # Dagster starts a resource once for each place that it is nested in.
            folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=root))
            alive = FileLock(folder / _ALIVE)
            alive.acquire(blocking=False)
    except (OSError, Timeout) as error:
        raise ScratchExhausted(
            f"no scratch folder can be made in {root}: {error}",
            remedy="Make room there, or set VIDEOMOMENTS_SCRATCH to another folder",
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        alive.release()


class ScratchResource(dg.ConfigurableResource[Any]):
    """The run's folder for temporary files.

    Reads and writes only there, in the folder VIDEOMOMENTS_SCRATCH; what is in it is gone after the
    run, also after a failure. If it fails, the disk is full or the folder not writable: make room,
    or set another folder.
    """

    root: str

    _folder: Path | None = PrivateAttr(default=None)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator["ScratchResource"]:
        """Give the run its folder, and remove it when the run ends."""
        with scratch_folder(
            Path(self.root), name=context.run.run_id if context.run else "no-run"
        ) as folder:
            self._folder = folder
            yield self

    @property
    def folder(self) -> Path:
        """The run's folder; it exists."""
        if self._folder is None:
            raise dg.DagsterInvariantViolationError("Scratch is there only while a run executes.")
        return self._folder

    def subfolder(self, name: str) -> Path:
        """A folder of that name in the run's folder, made if need be."""
        path = self.folder / name
        path.mkdir(parents=True, exist_ok=True)
        return path
