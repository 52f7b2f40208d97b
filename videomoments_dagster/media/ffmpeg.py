"""Running ffmpeg: which binary, how long it may take, what it may open.

A media file that came from outside can be a playlist or a script that names other files or
addresses, and ffmpeg follows it. So every input carries a whitelist of demuxers and protocols.
"""

from __future__ import annotations

import functools
import os
import re
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

IN_STEP = {"async": 1, "first_pts": 0, "min_hard_comp": 0.015}
"""Options of `aresample` that fill with silence where sound is missing, from 0 on.

By itself it passes over 0.1 s, and what lies behind comes early. A lost packet lasts some 20 ms;
less is the rounding of coarse clocks.
"""

# 12K video has 80 megapixels, 8K has 33. A picture of 256 took 1.2 GB in whoever looked at it.
MOST_MEGAPIXELS = 80.0

# ffmpeg 5.1 fails 19 tests, and 7.0.2 crashes at clips of transport streams.
OLDEST_RELEASE = "ffmpeg 9.0"
# By its library, since builds between two releases have no number of a release.
_OLDEST_LIBAVFORMAT = 63

_NAME_ANOTHER = (
    f"Name {OLDEST_RELEASE} or later in VIDEOMOMENTS_FFMPEG, or unset it and "
    "`pip install imageio-ffmpeg`, which brings one"
)


@functools.cache
def ffmpeg_executable() -> str:
    """Find the ffmpeg binary: the one that `VIDEOMOMENTS_FFMPEG` names, else imageio-ffmpeg's.

    Whatever else is installed is left alone: what is cut exactly by one release is not by another,
    and an upgrade of the machine would change clips.

    Raises:
        EngineUnavailable: It is not there, does not run, or is older than `OLDEST_RELEASE`.
    """
    configured = os.environ.get("VIDEOMOMENTS_FFMPEG")
    if configured:
        executable = shutil.which(configured)
        if executable is None:
            raise EngineUnavailable(
                f"VIDEOMOMENTS_FFMPEG names '{configured}', which is not an executable file",
                remedy="Correct it, or unset it to use the ffmpeg that comes with the project",
            )
    else:
        executable = _packaged()
    said = ffmpeg_says("-version", executable=executable)
    library = re.search(r"^libavformat +(\d+)\.", said, re.MULTILINE)
    if library is None or int(library.group(1)) < _OLDEST_LIBAVFORMAT:
        raise EngineUnavailable(
            f"{said.partition(' Copyright')[0][:80]}, at {executable}, is older than "
            f"{OLDEST_RELEASE}, the oldest that clips are exact with",
            remedy=_NAME_ANOTHER,
        )
    return executable


def _packaged() -> str:
    # Looks for its binary when imported, and settles for the system's where it has none.
    import imageio_ffmpeg  # noqa: PLC0415

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise EngineUnavailable(
            "imageio-ffmpeg has no ffmpeg for this machine", remedy=_NAME_ANOTHER
        ) from error


def ffmpeg_says(*options: str, executable: str) -> str:
    """What ffmpeg prints of itself, such as its version.

    Raises:
        EngineUnavailable: It does not run.
    """
    try:
        return subprocess.run(
            [executable, *options],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=10,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise EngineUnavailable(
            f"ffmpeg at {executable} does not run: {error}", remedy=_NAME_ANOTHER
        ) from error


def safe_input(path: Path) -> str:
    """Name a local file so that ffmpeg reads exactly it.

    ffmpeg takes a leading dash for an option and `name:` for a protocol; an absolute path behind
    `file:` is neither. Serves for outputs as well.
    """
    return f"file:{path.absolute()}"


_SPEAKER = re.compile(r"\[[^\]]* @ 0x[0-9a-f]+\] ?")


def most_pixels() -> int:
    """Pixels of the largest picture that is decoded: `VIDEOMOMENTS_MAX_PICTURE_MEGAPIXELS`."""
    configured = os.environ.get("VIDEOMOMENTS_MAX_PICTURE_MEGAPIXELS")
    return int(float(configured or MOST_MEGAPIXELS) * 1_000_000)


def decoder_options() -> dict[str, str]:
    """Options of every decoder: none is to make a larger picture, whatever the header says."""
    return {"max_pixels": str(most_pixels())}


def input_options(facts: MediaFacts | None = None) -> dict[str, str]:
    """Options that every ffmpeg input of this project carries, as ffmpeg-python keywords.

    Args:
        facts: The file's facts, so that only its demuxer is used; None for every demuxer that is
            allowed at all.
    """
    return decoder_options() | demuxer_options(facts)


def demuxer_options(facts: MediaFacts | None = None) -> dict[str, str]:
    """Those of them that are for the container; see `input_options`."""
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
            f"ffmpeg at {executable} could not be started: {error.strerror or error}",
            remedy=_NAME_ANOTHER,
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
        # Of "[mp4 @ 0x55c4] Could not find tag" only what it says.
        last_lines = _SPEAKER.sub("", " / ".join(list(filter(None, lines))[-3:]))
        why = last_lines or ended_with(process.returncode)
        raise MediaFailed(f"ffmpeg failed at {task}: {why}")


def ended_with(status: int) -> str:
    """Say how a child process ended that this program did not end.

    Args:
        status: Its exit status; minus the number of the signal that ended it.
    """
    if status == -signal.SIGKILL:
        return "it was killed, most likely because the machine ran out of memory"
    if status < 0:
        return f"it crashed ({signal.strsignal(-status) or f'signal {-status}'})"
    return f"it ended with status {status} and no message"


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
