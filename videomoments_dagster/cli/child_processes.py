"""Child processes that are started together, watched, and stopped together.

Belongs here: starting, logging, finding and ending processes. Does not belong here: which ones
(`dev_server`).

Every child carries a mark in its environment, which its own children inherit, also those that
lead a session of their own, such as ffmpeg. By the mark all of them are found, whoever their
parent is by now.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import psutil

MARK = "VIDEOMOMENTS_DEV"

_TIED = "videomoments_dagster.cli.tied_process"
_RECORD = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_LINES_KEPT = 40

# A run that is interrupted stops its ffmpeg, removes its scratch and closes its record.
_WORKERS_SECONDS = 4.0
# Dagster's code server looks after its workers once a second: the run of one that had to be killed
# is recorded as failed, instead of running for ever.
_RECORD_SECONDS = 2.0
# Whoever has no work of its own loses nothing when it is killed.
_OTHERS_SECONDS = 2.0


class Child:
    """One process, whose output goes line by line to a log, and to the terminal with its name."""

    def __init__(self, name: str, process: subprocess.Popen[str], group: ChildGroup) -> None:
        """Follow a process that was just started."""
        self.name = name
        self.process = process
        self.last_lines: list[str] = []
        self._group = group
        self._hidden = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def finish_reading(self) -> None:
        """Wait a moment for the rest of the output of a process that has ended."""
        self._reader.join(timeout=1)

    def _read(self) -> None:
        for line in self.process.stdout or ():
            plain = _COLOURS.sub("", line.rstrip())
            self.last_lines = [*self.last_lines[1 - _LINES_KEPT :], plain]
            # A record's further lines, such as its stack trace, go where its first one went.
            if _RECORD.match(plain):
                self._hidden = self._group.is_quiet(plain)
            self._group.say(self.name, line.rstrip("\n"), only_log=self._hidden)


class ChildGroup:
    """Processes that live and end together."""

    def __init__(self, *, mark: str, log: Path, quiet: Sequence[str] = ()) -> None:
        """Describe the group; nothing is started.

        Args:
            mark: What the group's processes are found by; one group at a time may have it.
            log: File for everything that they write; emptied now.
            quiet: Lines with one of these in them go to the log only.
        """
        self.mark = mark
        self.children: list[Child] = []
        self.log = log
        self._quiet = tuple(quiet)
        self._file: IO[str] = log.open("w", encoding="utf-8", buffering=1)
        self._writing = threading.Lock()
        self._on_terminal = True
        # The children read the one end; the other is closed by the kernel when this process ends.
        self._tie, self._held = os.pipe()

    def start(
        self, name: str, module: str, *arguments: str, environment: Mapping[str, str]
    ) -> Child:
        """Start a Python module as a process that ends no later than this one."""
        process = subprocess.Popen(
            [sys.executable, "-m", _TIED, str(self._tie), module, *arguments],
            env={**environment, MARK: self.mark, "PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            pass_fds=[self._tie],
            # Ctrl-C in the terminal is for this process alone, which ends them in order.
            start_new_session=True,
        )
        child = Child(name, process, self)
        self.children.append(child)
        return child

    def ended(self) -> Child | None:
        """Give a child that has ended, if one has."""
        return next((one for one in self.children if one.process.poll() is not None), None)

    def is_quiet(self, line: str) -> bool:
        """Whether a line is for the log only."""
        return any(part in line for part in self._quiet)

    def say(self, name: str, line: str, *, only_log: bool) -> None:
        """Write a line to the log, and to the terminal unless that is to be spared."""
        plain = _COLOURS.sub("", line)
        with self._writing:
            if self._file.closed:
                return
            self._file.write(f"{name:<11} | {plain}\n")
            if self._on_terminal and not only_log:
                shown = line if sys.stderr.isatty() else plain
                try:
                    sys.stderr.write(f"{name:<11} | {shown}\n")
                except OSError:
                    # The terminal was closed; the children must not block on a full pipe.
                    self._on_terminal = False

    def stop(self, *, first: Sequence[str] = ()) -> None:
        """End all processes of the group, and those that they started, within 10 seconds or so.

        Args:
            first: Names of children that are asked first, together with all workers: processes
                that some child started to do work, which may have to tidy up.
        """
        self._on_terminal = False
        leading = [one.process.pid for one in self.children if one.name in first]
        asked = [one for one in marked(self.mark) if one.pid in leading or _is_worker(one)]
        stubborn = [one for one in _end(asked, _WORKERS_SECONDS) if _is_worker(one)]
        if stubborn:
            _end(stubborn, _RECORD_SECONDS, order=signal.SIGKILL)
            time.sleep(_RECORD_SECONDS)
        own = {one.process.pid for one in self.children}
        _end([one for one in marked(self.mark) if one.pid in own], _OTHERS_SECONDS)
        kill_marked(self.mark)
        for child in self.children:
            child.process.wait(timeout=5)
            child.finish_reading()
        os.close(self._held)
        os.close(self._tie)
        with self._writing:
            self._file.close()


def marked(mark: str) -> list[psutil.Process]:
    """Find the living processes that carry a mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            # Ended meanwhile, or somebody else's.
            continue
    return found


def kill_marked(mark: str) -> int:
    """End all processes that carry a mark at once; give how many there were."""
    count = 0
    for _ in range(3):
        # Again, for one that was started between the search and its parent's end.
        remaining = marked(mark)
        if not remaining:
            break
        count += len(remaining)
        _end(remaining, _OTHERS_SECONDS, order=signal.SIGKILL)
    return count


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
    try:
        return any("multiprocessing.spawn" in word for word in process.cmdline())
    except psutil.Error:
        return False
