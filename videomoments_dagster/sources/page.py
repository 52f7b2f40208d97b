"""Sources that are web pages with a video in them, fetched by yt-dlp in a process of its own.

yt-dlp is optional and never imported: it can hang, and a process can be ended. The page's host is
looked up and checked first, and every connection that yt-dlp makes through Python is checked in
its process (`page_process`, which says what that leaves open).
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from videomoments_dagster.base.failures import (
    EngineUnavailable,
    ScratchExhausted,
    SourceRejected,
    SourceUnavailable,
    VideoMomentsError,
)
from videomoments_dagster.base.files import PART_PREFIX, scratch_errors
from videomoments_dagster.base.text import folded
from videomoments_dagster.sources import page_process
from videomoments_dagster.sources.connections import NO_SUCH_HOST, refusal, require_allowed_host
from videomoments_dagster.sources.limits import FetchLimits, Progress
from videomoments_dagster.sources.locations import YTDLP_PREFIX, redact

_PROGRESS = "VM-PROGRESS"
_DONE = "VM-DONE"
_PASSING = re.compile(
    r"timed? ?out|temporary failure|connection|network|unreachable|HTTP Error (5\d\d|429)|"
    r"IncompleteRead|name resolution|bytes read",
    re.IGNORECASE,
)
_DISK_FULL = re.compile(r"No space left|Disk quota", re.IGNORECASE)
_REFUSED = re.compile(rf"{page_process.REFUSED} ([0-9a-fA-F.:%]+)")
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
        done, complaint = _run(_command(work, limits), url=url, limits=limits, progress=progress)
        if done is None:
            raise _failure(shown, complaint)
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
    import imageio_ffmpeg  # noqa: PLC0415 - looks for its binary when imported

    # It joins picture and sound when a page offers them apart.
    ffmpeg = shutil.which("ffmpeg") or str(imageio_ffmpeg.get_ffmpeg_exe())
    fields = "%(progress.downloaded_bytes)s %(progress.total_bytes)s"
    return [
        sys.executable,
        *("-m", page_process.__name__, ",".join(map(str, limits.allowed_networks))),
        *("--ignore-config", "--no-playlist", "--no-cache-dir", "--no-simulate"),
        *("--quiet", "--progress", "--newline", "--color", "never"),
        *("--progress-template", f"download:{_PROGRESS} {fields}"),
        *("--print", f"after_move:{_DONE} %(.{{filepath,title}})j"),
        *("--output", str(work / "video.%(ext)s")),
        *("--socket-timeout", f"{limits.read_seconds:g}"),
        *("--retries", str(limits.attempts), "--max-filesize", str(limits.max_bytes)),
        *("--ffmpeg-location", ffmpeg),
        # The address comes by standard input: everybody on the machine may read the arguments.
        *("--batch-file", "-"),
    ]


def _run(
    command: list[str], *, url: str, limits: FetchLimits, progress: Progress
) -> tuple[dict[str, object] | None, str]:
    """Run yt-dlp; its result, or None and its last complaint."""
    done: dict[str, object] | None = None
    with tempfile.TemporaryFile() as addresses, tempfile.TemporaryFile() as complaints:
        addresses.write(url.encode(errors="replace"))
        addresses.seek(0)
        process = subprocess.Popen(
            command,
            stdin=addresses,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            start_new_session=True,
        )
        with _ended_after(process, limits.total_seconds) as ended:
            for line in process.stdout or ():
                match line.split():
                    case [first, *_] if first == _DONE:
                        done = json.loads(line.removeprefix(_DONE))
                    case [first, received, total] if first == _PROGRESS and received.isdigit():
                        progress(int(received), int(total) if total.isdigit() else None)
            status = process.wait()
        if ended.is_set():
            return None, f"timed out after {limits.total_seconds:g} seconds"
        complaints.seek(0)
        # The last complaint; one about a download goes on in the next line.
        said = complaints.read().decode(errors="replace")
        _, *errors = re.split(r"^ERROR:", said, flags=re.MULTILINE)
    last = folded(errors[-1]) if errors else ""
    return (done if status == 0 else None), (last or f"exit status {status}")


@contextmanager
def _ended_after(process: subprocess.Popen[str], seconds: float) -> Iterator[threading.Event]:
    """End a process and its children after a time, or when the block is left early."""
    ended = threading.Event()

    def end() -> None:
        ended.set()
        _kill(process)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield ended
    finally:
        timer.cancel()
        timer.join()
        if process.poll() is None:
            _kill(process)
        if process.stdout is not None:
            process.stdout.close()
        process.wait()


def _kill(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _failure(shown: str, complaint: str) -> VideoMomentsError:
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
