"""Work that is done several at a time, in threads that wait for something else to compute."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psutil


@contextmanager
def worker_threads(count: int) -> Iterator[tuple[ThreadPoolExecutor, threading.Event]]:
    """Threads that do not work on where the block ends with an exception.

    An interrupt reaches only the thread that waits for them, and a run that is cancelled has
    seconds left. What has not begun then never does; what has, is told by the event.

    Args:
        count: How many threads.

    Yields:
        The threads, and what is set when their work is not wanted any more.
    """
    stopped = threading.Event()
    with ThreadPoolExecutor(max_workers=count) as pool:
        try:
            yield pool, stopped
        except BaseException:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def available_cores() -> int:
    """Cores that this process may use."""
    if sys.version_info >= (3, 13):
        return os.process_cpu_count() or 1
    # macOS ties no process to cores.
    affinity = getattr(psutil.Process(), "cpu_affinity", None)
    return len(affinity()) if affinity else os.cpu_count() or 1
