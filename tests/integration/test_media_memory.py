"""What a process holds after large blocks were freed."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

HOLD = """
import ctypes, sys
import psutil
from videomoments_dagster.media.memory import return_large_blocks

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]

def block(size):
    at = libc.malloc(size)
    libc.memset(at, 1, size)
    return at

if sys.argv[1] == "settled":
    return_large_blocks()
    return_large_blocks()
MIB = 1024 * 1024
# From this one, glibc learns that blocks of 30 MiB are common.
libc.free(block(30 * MIB))
before = psutil.Process().memory_info().rss
large = [(block(20 * MIB), block(64 * 1024)) for _ in range(4)]
for at, _ in large:
    libc.free(at)
print((psutil.Process().memory_info().rss - before) // MIB)
"""


def held(how: str) -> int:
    """MiB that a process holds on to of 80 that it has freed."""
    done = subprocess.run(
        [sys.executable, "-c", HOLD, how], capture_output=True, text=True, check=True, timeout=60
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc's malloc")
def test_freed_blocks_go_back_to_the_system() -> None:
    assert held("as it is") > 40, "glibc gives them back by itself; the setting is of no use"
    assert held("settled") < 5
