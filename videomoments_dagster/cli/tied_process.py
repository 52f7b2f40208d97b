"""A Python module as a child process that ends no later than this one, with all that it started.

Every process carries a mark in its environment, which its own children inherit, also those that
lead a session of their own, such as ffmpeg. By the mark all of them are found, whoever their
parent is by now.
"""

import contextlib
import os
import re
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

_MARK = "VIDEOMOMENTS_DEV"
_RECORD = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")

# A run that is interrupted stops its ffmpeg, removes its scratch and closes its record.
_WORKERS_SECONDS = 4.0
# Dagster's code server looks after its workers once a second: the run of one that had to be killed
# is recorded as failed, instead of running for ever.
_RECORD_SECONDS = 2.0
# Whoever has no work of its own loses nothing when it is killed.
_OTHERS_SECONDS = 2.0


class TiedProcess:
    """The process; its output goes to a log, and to the terminal but for what is routine."""

    def __init__(
        self,
        module: str,
        *arguments: str,
        environment: Mapping[str, str],
        mark: str,
        log: Path,
        routine: Sequence[str] = (),
    ) -> None:
        """Start `python -m module argument…`.

        Args:
            module: Name of the module.
            arguments: Its command line.
            environment: Its environment.
            mark: What its processes are found by; one at a time may have it.
            log: File for everything that they write; emptied now.
            routine: Records with one of these in their first line go to the log only.
        """
        self.log = log
        self.last_lines: deque[str] = deque(maxlen=40)
        self._mark = mark
        self._routine = routine
        self._on_terminal = True
        # The child reads the one end; the other is closed by the kernel when this process ends,
        # `kill -9` included.
        tie, self._held = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(tie), module, *arguments],
            env={**environment, _MARK: mark, "PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            pass_fds=[tie],
            # Ctrl-C in the terminal is for this process alone, which ends the others in order.
            start_new_session=True,
        )
        os.close(tie)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def ended(self) -> int | None:
        """Give the exit status if it has ended, minus the signal's number if one ended it."""
        status = self._process.poll()
        if status is not None:
            # Not for ever: what it started may live on and hold the pipe.
            self._reader.join(timeout=1)
        return status

    def stop(self) -> None:
        """End it and all that it started, within 10 seconds or so."""
        self._on_terminal = False
        self._process.terminate()
        _end_marked(self._mark)
        self._process.wait(timeout=5)
        self._reader.join(timeout=1)
        os.close(self._held)

    def _read(self) -> None:
        is_routine = False
        with self.log.open("w", encoding="utf-8", buffering=1) as log:
            for line in self._process.stdout or ():
                plain = _COLOURS.sub("", line)
                log.write(plain)
                self.last_lines.append(plain.strip())
                # A record's further lines, such as its stack trace, go where its first one went.
                if _RECORD.match(plain):
                    is_routine = any(part in plain for part in self._routine)
                if self._on_terminal and not is_routine:
                    try:
                        sys.stderr.write(line if sys.stderr.isatty() else plain)
                    except OSError:
                        # The terminal was closed; the child must not block on a full pipe.
                        self._on_terminal = False


def marked(mark: str) -> list[psutil.Process]:
    """Find the living processes that carry a mark, without this one."""
    found = []
    for process in psutil.process_iter():
        # Some end meanwhile, or are somebody else's.
        with contextlib.suppress(psutil.Error, OSError):
            is_ours = process.pid != os.getpid() and process.environ().get(_MARK) == mark
            if is_ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def kill_marked(mark: str) -> None:
    """End all processes that carry a mark at once."""
    # Again, for one that was started between the search and its parent's end.
    for _ in range(3):
        _end(marked(mark), _OTHERS_SECONDS, signal.SIGKILL)


def _end_marked(mark: str) -> None:
    """Ask all workers to end, after their leader was; kill what is left after its time."""
    workers = [one for one in marked(mark) if _is_worker(one)]
    if stubborn := _end(workers, _WORKERS_SECONDS):
        _end(stubborn, _RECORD_SECONDS, signal.SIGKILL)
        time.sleep(_RECORD_SECONDS)
    psutil.wait_procs(marked(mark), timeout=_OTHERS_SECONDS)
    kill_marked(mark)


def _end(
    processes: Sequence[psutil.Process], seconds: float, order: signal.Signals = signal.SIGTERM
) -> list[psutil.Process]:
    """Ask processes to end, and give those that have not within the time."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(order)
    return list(psutil.wait_procs(processes, timeout=seconds)[1])


def _is_worker(process: psutil.Process) -> bool:
    """Whether a process is Python's own way of doing work in another process: a run, here."""
    with contextlib.suppress(psutil.Error):
        return any("multiprocessing.spawn" in word for word in process.cmdline())
    return False


def _main() -> None:
    """Become a module, and end with the process that started this one."""
    descriptor, module, *sys.argv[1:] = sys.argv[1:]
    sys.argv[0] = module
    starter_is_gone = threading.Event()

    def follow() -> None:
        while os.read(int(descriptor), 1024):
            pass
        starter_is_gone.set()
        os.kill(os.getpid(), signal.SIGTERM)
        _end_marked(os.environ[_MARK])
        os._exit(1)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        if starter_is_gone.is_set():
            thread.join()


if __name__ == "__main__":
    _main()
