"""Running ffmpeg: which binary, how long it may take, what it may open.

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
from contextlib import suppress
from pathlib import Path
from typing import Any

import ffmpeg

from videomoments_dagster.base.failures import EngineUnavailable, MediaFailed
from videomoments_dagster.media.facts import MediaFacts

_MEDIA_DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,ogg,mp3,flac,wav,w64,aiff,caf,aac,"
    "ac3,amr,asf,mxf,dv,wv"
)
"""Demuxers of files that hold their own sound and pictures; nothing that refers to others."""


@functools.cache
def ffmpeg_executable() -> str:
    """Find the ffmpeg binary: `VIDEOMOMENTS_FFMPEG`, else the system's, else imageio-ffmpeg's.

    Raises:
        EngineUnavailable: None of them is there.
    """
    configured = os.environ.get("VIDEOMOMENTS_FFMPEG")
    found = shutil.which(configured or "ffmpeg")
    if found is not None:
        return found
    if configured:
        raise EngineUnavailable(
            f"VIDEOMOMENTS_FFMPEG names '{configured}', which is not an executable file",
            remedy="Correct it, or unset it to use the ffmpeg that comes with the project",
        )
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


def input_options(facts: MediaFacts | None = None) -> dict[str, str]:
    """Options that every ffmpeg input of this project carries, as ffmpeg-python keywords.

    Args:
        facts: The file's facts, so that only its demuxer is used; None for every demuxer that is
            allowed at all.
    """
    options = {
        "protocol_whitelist": "file,pipe",
        "format_whitelist": facts.container if facts else _MEDIA_DEMUXERS,
    }
    return options | ({"ignore_editlist": "1"} if facts and facts.ignore_edit_list else {})


def run_ffmpeg(
    stream: Any,
    *,
    timeout_seconds: float,
    task: str,
    cancelled: threading.Event | None = None,
) -> None:
    """Run an ffmpeg-python output stream to its end.

    Args:
        stream: What `ffmpeg.output(...)` returned.
        timeout_seconds: Wall-clock limit; ffmpeg and what it started are killed at it.
        task: What is being done, for the failure's sentence: "cutting the clip 10.0-20.0 s".
        cancelled: Set by another thread to kill the process.

    Raises:
        MediaFailed: ffmpeg failed, ran past its limit, or was cancelled.
    """
    executable = ffmpeg_executable()
    options = ("-nostdin", "-hide_banner", "-loglevel", "error", "-y")
    try:
        process = subprocess.Popen(
            [executable, *options, *ffmpeg.get_args(stream)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise EngineUnavailable(
            f"ffmpeg at '{executable}' could not be started: {error.strerror or error}",
            remedy="Name a working ffmpeg in VIDEOMOMENTS_FFMPEG",
        ) from error
    with process:
        try:
            stderr = wait_for(process, timeout_seconds, task, cancelled)
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode != 0:
        lines = map(str.strip, stderr.decode(errors="replace").splitlines())
        last_lines = " / ".join(list(filter(None, lines))[-3:])
        why = last_lines or f"it ended with status {process.returncode} and no message"
        raise MediaFailed(f"ffmpeg failed at {task}: {why}")


def wait_for(
    process: subprocess.Popen[bytes],
    timeout_seconds: float,
    task: str,
    cancelled: threading.Event | None,
) -> bytes:
    """Wait until ffmpeg has ended, and give what it wrote to standard error.

    Raises:
        MediaFailed: It ran past its limit, or was cancelled; it is still running.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        remaining = deadline - time.monotonic()
        try:
            # In short steps, for `cancelled`.
            return process.communicate(timeout=max(0.0, min(remaining, 0.2)))[1]
        except subprocess.TimeoutExpired:
            if cancelled is not None and cancelled.is_set():
                why = f"ffmpeg was stopped while {task}: the run was cancelled"
                raise MediaFailed(why) from None
            if time.monotonic() >= deadline:
                why = f"ffmpeg did not finish {task} within {timeout_seconds:g} s and was stopped"
                raise MediaFailed(why) from None
