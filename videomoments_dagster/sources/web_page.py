"""Sources that are web pages with a video in them, fetched by yt-dlp in a process of its own.

yt-dlp is optional and never imported here: it can hang, and a process can be ended. That process
runs this module. The page's host is looked up and checked first, and then every connection that
yt-dlp makes through Python, whatever page or redirect named it. Not covered is what is not Python:
ffmpeg connects by itself for the live streams and the few formats that yt-dlp leaves to it, and so
does curl_cffi where somebody has installed it.
"""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import re
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from videomoments_dagster.base.failures import (
    EngineUnavailable,
    ScratchExhausted,
    SourceRejected,
    SourceUnavailable,
    VideoMomentsError,
)
from videomoments_dagster.base.files import PART_PREFIX, scratch_errors
from videomoments_dagster.base.text import folded
from videomoments_dagster.media.ffmpeg import ended_with, ffmpeg_executable
from videomoments_dagster.sources.connections import refusal, require_allowed_host
from videomoments_dagster.sources.limits import (
    NO_SUCH_HOST,
    FetchLimits,
    Networks,
    Progress,
    is_allowed,
    networks_in,
)
from videomoments_dagster.sources.locations import YTDLP_PREFIX, redact
from videomoments_dagster.sources.patience import Notices

_PROGRESS = "VM-PROGRESS"
_DONE = "VM-DONE"
_REFUSAL = "VM-REFUSED"
_PASSING = re.compile(
    r"timed? ?out|temporary failure|connection|network|unreachable|HTTP Error (5\d\d|429)|"
    r"IncompleteRead|name resolution|bytes read",
    re.IGNORECASE,
)
_DISK_FULL = re.compile(r"No space left|Disk quota", re.IGNORECASE)
_REFUSED = re.compile(rf"{_REFUSAL} ([0-9a-fA-F.:%]+)")
# "[generic] talk: ", where the end of the address serves as identifier, with parts of its query.
_IDENTIFIER = re.compile(r"^\[[^\]]*\] .*?: ")
_URL = re.compile(r"https?://[^\s'\"]+")


def download_page(
    location: str, *, to_stem: Path, limits: FetchLimits, progress: Progress
) -> tuple[Path, str | None]:
    """Fetch the video of a page.

    Args:
        location: The page's address, with or without the prefix `ytdlp:`.
        to_stem: Path to write to, without the extension, which yt-dlp decides.
        limits: Time and size limits.
        progress: Called while it downloads.

    Returns:
        The file, and the page's title for it, if it has one.

    Raises:
        EngineUnavailable: yt-dlp is not installed.
        SourceRejected: There is no video to be had there, or it leads to a network that is not
            allowed.
        SourceUnavailable: It could not be reached, or took too long.
        ScratchExhausted: The local disk is full.
    """
    shown = redact(location)
    if importlib.util.find_spec("yt_dlp") is None:
        raise EngineUnavailable(
            f"the source {shown} needs yt-dlp, which is not installed",
            remedy='Install it with: pip install "videomoments-dagster[ytdlp]"',
        )
    url = location.removeprefix(YTDLP_PREFIX)
    try:
        require_allowed_host(url, limits.allowed_networks)
    except OSError as error:
        if error.errno in NO_SUCH_HOST:
            raise SourceRejected(
                f"the page {redact(url)} names a host that does not exist",
                remedy="Check the address for a typing error",
            ) from None
        raise SourceUnavailable(
            f"the host of the page {redact(url)} could not be looked up",
            remedy="Check the network, then try again",
        ) from None
    with scratch_errors(to_stem):
        work = Path(tempfile.mkdtemp(prefix=PART_PREFIX, dir=to_stem.parent))
    try:
        done = _run(_command(work, limits), location, work=work, limits=limits, progress=progress)
        found = Path(str(done.get("filepath") or ""))
        if not found.is_file() or found.stat().st_size == 0:
            raise SourceRejected(f"the page {shown} gave no video")
        target = to_stem.with_name(to_stem.name + found.suffix.lower())
        with scratch_errors(target):
            found.replace(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    title = done.get("title")
    return target, title if isinstance(title, str) and title else None


def _command(work: Path, limits: FetchLimits) -> list[str]:
    fields = "%(progress.downloaded_bytes)s %(progress.total_bytes)s"
    return [
        sys.executable,
        *("-m", __name__, ",".join(map(str, limits.allowed_networks))),
        *("--ignore-config", "--no-playlist", "--no-cache-dir", "--no-simulate"),
        *("--quiet", "--progress", "--newline", "--color", "never"),
        *("--progress-template", f"download:{_PROGRESS} {fields}"),
        *("--print", f"after_move:{_DONE} %(.{{filepath,title}})j"),
        *("--output", str(work / "video.%(ext)s")),
        *("--socket-timeout", f"{limits.read_seconds:g}"),
        *("--retries", str(limits.attempts), "--max-filesize", str(limits.max_bytes)),
        # It joins picture and sound when a page offers them apart.
        *("--ffmpeg-location", ffmpeg_executable()),
        # The address comes by standard input: everybody on the machine may read the arguments.
        *("--batch-file", "-"),
    ]


def _run(
    command: list[str], location: str, *, work: Path, limits: FetchLimits, progress: Progress
) -> dict[str, object]:
    """Run yt-dlp in its folder, and give what it says of the file."""
    done: dict[str, object] | None = None
    with tempfile.TemporaryFile() as addresses, tempfile.TemporaryFile() as complaints:
        addresses.write(location.removeprefix(YTDLP_PREFIX).encode(errors="replace"))
        addresses.seek(0)
        with subprocess.Popen(
            command,
            stdin=addresses,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            start_new_session=True,
        ) as process:
            watch = _Watch(process, work, limits, page=f"The page {redact(location)}")
            try:
                for line in process.stdout or ():
                    watch.heard()
                    match line.split():
                        case [first, *_] if first == _DONE:
                            done = json.loads(line.removeprefix(_DONE))
                        case [first, received, total] if first == _PROGRESS and received.isdigit():
                            progress(int(received), int(total) if total.isdigit() else None)
                status = process.wait()
            finally:
                watch.end()
                _kill(process)
        if watch.why:
            raise _failure(location, f"timed out{watch.why}")
        complaints.seek(0)
        # The last complaint; one about a download goes on in the next line.
        said = complaints.read().decode(errors="replace")
    if status or done is None:
        _, *errors = re.split(r"^ERROR:", said, flags=re.MULTILINE)
        raise _failure(location, folded(errors[-1]) if errors else ended_with(status))
    return done


class _Watch:
    """Ends a process that takes too long, or that nothing comes of: no line, and no byte.

    That nothing comes is said before. yt-dlp's own time limit is for each read, which a server that
    drips never reaches.
    """

    def __init__(
        self, process: subprocess.Popen[str], work: Path, limits: FetchLimits, *, page: str
    ) -> None:
        self.why = ""
        self._process, self._work, self._limits = process, work, limits
        self._notices = Notices(page, limit_seconds=limits.retry_seconds)
        self._heard_at = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="yt-dlp-watch", daemon=True)
        self._thread.start()

    def heard(self) -> None:
        """Take note that something came."""
        self._heard_at = time.monotonic()

    def end(self) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        begun, size = time.monotonic(), 0
        while not self._ended.wait(0.5):
            now_there = _size_of(self._work)
            if now_there != size:
                size = now_there
                self.heard()
            now, limits = time.monotonic(), self._limits
            if now - begun >= limits.total_seconds:
                self.why = f" after {limits.total_seconds:g} seconds"
            elif now - self._heard_at >= limits.retry_seconds:
                self.why = f": nothing came for {limits.retry_seconds:g} seconds"
            if self.why:
                _kill(self._process)
                return
            self._notices.tell(self._heard_at)


def _size_of(folder: Path) -> int:
    """Bytes of the files in a folder; they come and go meanwhile."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.stat().st_size
    return total


def _kill(process: subprocess.Popen[str]) -> None:
    """End a process that is still running, and its children."""
    if process.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _failure(location: str, complaint: str) -> VideoMomentsError:
    shown = redact(location)
    refused = _REFUSED.search(complaint)
    if refused:
        return refusal(f"the address {refused[1]}")
    reason = _URL.sub(lambda match: redact(match[0]), _IDENTIFIER.sub("", complaint))
    reason = reason.partition("; please report this issue")[0][:300]
    if _DISK_FULL.search(complaint):
        return ScratchExhausted(
            f"the scratch disk filled up while {shown} was fetched",
            remedy="Free some space, or point the scratch folder at a larger disk",
        )
    if _PASSING.search(complaint):
        return SourceUnavailable(
            f"the page {shown} could not be fetched: {reason}",
            remedy="Check the network, then try again",
        )
    return SourceRejected(
        f"the page {shown} gave no video: {reason}",
        remedy='Check the address; sites change, so try: pip install -U "yt-dlp"',
    )


def main() -> None:
    """Run yt-dlp; the first argument names the networks that are allowed, the rest is its own."""
    networks, *arguments = sys.argv[1:]
    _refuse_connections(networks_in(networks))
    sys.argv = ["yt-dlp", *arguments]
    runpy.run_module("yt_dlp", run_name="__main__", alter_sys=True)


def _refuse_connections(allowed: Networks) -> None:
    trusted: set[str] = set()
    for proxy in urllib.request.getproxies().values():
        with suppress(OSError, ValueError):
            host = urlsplit(proxy if "://" in proxy else f"http://{proxy}").hostname
            trusted.update(str(entry[4][0]) for entry in socket.getaddrinfo(host, None))

    def check(event: str, details: tuple[Any, ...]) -> None:
        if event != "socket.connect" or details[0].family not in {socket.AF_INET, socket.AF_INET6}:
            return
        address = str(details[1][0])
        if address not in trusted and not is_allowed(address, allowed):
            raise PermissionError(errno.EACCES, f"{_REFUSAL} {address}")

    # A hook cannot be taken out again, and is asked with the address that is connected to.
    sys.addaudithook(check)


if __name__ == "__main__":
    main()
