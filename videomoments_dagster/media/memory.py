"""Giving memory back between files.

Belongs here: the C library's settings for it. Does not belong here: what is held.
"""

from __future__ import annotations

import ctypes
from functools import cache

# mallopt(3): M_MMAP_THRESHOLD and M_ARENA_MAX of glibc's malloc.h.
_MMAP_THRESHOLD = -3
_ARENA_MAX = -8
_LARGE_BYTES = 1024 * 1024
_ARENAS = 2


@cache
def return_large_blocks() -> None:
    """Have every block of 1 MiB and more given back to the system as soon as it is freed.

    An index of a two-hour video takes 40 MB while the file is open. glibc learns from the first
    such block that blocks of that size are common, keeps later ones in its heap, one heap a thread,
    and a run on a long video held 80 MB more than it used. Other C libraries have no such setting
    and are left alone.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_ARENA_MAX, _ARENAS)
