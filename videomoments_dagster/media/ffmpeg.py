"""Running ffmpeg: which binary, how long it may take, what it may open.

Belongs here: the one place that starts an ffmpeg process, and the options that every input must
carry. Does not belong here: what is done to the media (the modules beside this one build their
commands with ffmpeg-python and hand them over).

A media file that came from outside can be a playlist or a script that names other files or
addresses, and ffmpeg follows it. So every input carries a whitelist of demuxers and protocols.
"""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import ffmpeg

from videomoments_dagster.base.failures import EngineUnavailable, MediaFailed
from videomoments_dagster.media.facts import MediaFacts

MEDIA_DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2",
    "matroska,webm",
    "avi",
    "mpegts",
    "mpeg",
    "flv",
    "ogg",
    "mp3",
    "flac",
    "wav",
    "w64",
    "aiff",
    "caf",
    "aac",
    "ac3",
    "amr",
    "asf",
    "mxf",
    "dv",
    "wv",
)
"""Demuxers of files that hold their own sound and pictures; nothing that refers to others."""

_STDERR_LINES_SHOWN = 3
_POLL_SECONDS = 0.2


@functools.cache
def ffmpeg_executable() -> str:
    """Find the ffmpeg binary: `VIDEOMOMENTS_FFMPEG`, else the system's, else imageio-ffmpeg's.

    Raises:
        EngineUnavailable: None of them is there.
    """
    configured = os.environ.get("VIDEOMOMENTS_FFMPEG")
    if configured:
        found = shutil.which(configured)
        if found is None:
            raise EngineUnavailable(
                f"VIDEOMOMENTS_FFMPEG names '{configured}', which is not an executable file",
                remedy="Correct it, or unset it to use the ffmpeg that comes with the project",
            )
        return found
    found = shutil.which("ffmpeg")
    if found is not None:
        return found
    try:
        import imageio_ffmpeg  # noqa: PLC0415 - only where the machine has no ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        raise EngineUnavailable(
            "No ffmpeg was found",
            remedy="Install ffmpeg, or `pip install imageio-ffmpeg`, or name the binary in "
            "VIDEOMOMENTS_FFMPEG",
        ) from error


def safe_input(path: Path) -> str:
    """Name a local file so that ffmpeg reads exactly it.

    ffmpeg takes a leading dash for an option and `name:` for a protocol; an absolute path behind
    `file:` is neither. Serves for outputs as well.
    """
    return f"file:{path.absolute()}"


def input_options(source: MediaFacts | str | None = None) -> dict[str, str]:
    """Options that every ffmpeg input of this project carries, as ffmpeg-python keywords.

    Args:
        source: The file's facts or demuxer name, so that only that demuxer is used; None for
            every demuxer that is allowed at all.
    """
    demuxer = source.container if isinstance(source, MediaFacts) else source
    options = {
        "protocol_whitelist": "file,pipe",
        "format_whitelist": demuxer or ",".join(MEDIA_DEMUXERS),
    }
    if isinstance(source, MediaFacts) and source.ignore_edit_list:
        options["ignore_editlist"] = "1"
    return options


def run_ffmpeg(
    stream: Any,
    *,
    timeout_seconds: float,
    what: str,
    cancelled: threading.Event | None = None,
) -> None:
    """Run an ffmpeg-python output stream to its end.

    Args:
        stream: What `ffmpeg.output(...)` returned.
        timeout_seconds: Wall-clock limit; ffmpeg and what it started are killed at it.
        what: What is being done, for the failure's sentence: "cutting the clip 10.0-20.0 s".
        cancelled: Set by another thread to kill the process.

    Raises:
        MediaFailed: ffmpeg failed, ran past its limit, or was cancelled.
    """
    read_ffmpeg(stream, timeout_seconds=timeout_seconds, what=what, cancelled=cancelled)


def read_ffmpeg(
    stream: Any,
    *,
    timeout_seconds: float,
    what: str,
    cancelled: threading.Event | None = None,
) -> bytes:
    """Run an ffmpeg-python output stream whose output is `pipe:` and return what it wrote.

    Arguments and failures are those of `run_ffmpeg`.
    """
    command = [
        ffmpeg_executable(),
        "-nostdin",
        "-hide_banner",
        "-loglevel",
        "error",
        "-y",
        *ffmpeg.get_args(stream),
    ]
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise EngineUnavailable(
            f"ffmpeg at '{command[0]}' could not be started: {error.strerror or error}",
            remedy="Name a working ffmpeg in VIDEOMOMENTS_FFMPEG",
        ) from error
    with process:
        try:
            stdout, stderr = _communicate(process, timeout_seconds, what, cancelled)
        except BaseException:
            _kill_group(process)
            raise
    if process.returncode != 0:
        raise MediaFailed(f"ffmpeg failed at {what}: {_last_lines(stderr, process.returncode)}")
    return stdout


def _communicate(
    process: subprocess.Popen[bytes],
    timeout_seconds: float,
    what: str,
    cancelled: threading.Event | None,
) -> tuple[bytes, bytes]:
    deadline = time.monotonic() + timeout_seconds
    while True:
        remaining = deadline - time.monotonic()
        wait = remaining if cancelled is None else min(remaining, _POLL_SECONDS)
        try:
            return process.communicate(timeout=max(wait, 0.0))
        except subprocess.TimeoutExpired:
            if cancelled is not None and cancelled.is_set():
                raise MediaFailed(
                    f"ffmpeg was stopped while {what}: the run was cancelled"
                ) from None
            if time.monotonic() >= deadline:
                raise MediaFailed(
                    f"ffmpeg did not finish {what} within {timeout_seconds:g} s and was stopped"
                ) from None


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()


def _last_lines(stderr: bytes, returncode: int) -> str:
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    if not lines:
        return f"it ended with status {returncode} and no message"
    return " / ".join(lines[-_STDERR_LINES_SHOWN:])
