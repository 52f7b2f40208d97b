"""Runs a Python module that ends when the process that started it does.

Usage: `python -m videomoments_dagster.cli.tied_process <descriptor> <module> [argument…]`

Belongs here: the tie, nothing else; it is imported before whatever the module imports.

The descriptor is the reading end of a pipe whose other end only the starter holds. However the
starter ends, `kill -9` included, the kernel closes that end, and this process is asked to
terminate.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time

_PATIENCE_SECONDS = 8


def _follow(descriptor: int) -> None:
    while os.read(descriptor, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE_SECONDS)
    os._exit(1)


def main() -> None:
    """Tie this process to its starter and become the module."""
    descriptor, module, *arguments = sys.argv[1:]
    threading.Thread(target=_follow, args=(int(descriptor),), daemon=True).start()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
