"""The folders for temporary files: one a run, gone after it, also after a kill."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

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
