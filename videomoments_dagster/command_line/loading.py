"""Importing thousands of modules without looking through them for garbage.

Belongs here: when Python's collector of reference cycles rests. Does not belong here: what is
imported.
"""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager

# At the end of the process, everything is given back at once.
atexit.register(gc.freeze)


@contextmanager
def loading() -> Iterator[None]:
    """Import in this block: what it leaves is taken to stay as long as the process.

    A command that imports Dagster otherwise spends a sixth of its time on looking, again and
    again and once more at its end, whether modules have become garbage.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()
