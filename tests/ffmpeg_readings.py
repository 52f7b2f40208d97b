"""What the ffmpeg program decodes of a file, for checks that share no reader with the project.

The project reads through PyAV; here every picture and sample comes out of the binary.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np

from videomoments_dagster.media.ffmpeg import ffmpeg_executable

SOUND_RATE = 8000
LOUD = 0.1
_SMALL = (160, 90)


class Picture(NamedTuple):
    """A picture: its presented time in seconds, a hash of its pixels, a small grey copy."""

    time: float
    digest: str
    grey: np.ndarray


def made(path: Path, *arguments: str) -> Path:
    """Write a file with ffmpeg."""
    ran(*arguments, str(path))
    return path


def ran(*arguments: str) -> bytes:
    command = [ffmpeg_executable(), "-nostdin", "-v", "error", "-y", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def _frames(path: Path, *output: str) -> list[tuple[float, int, str]]:
    """Time in seconds, ticks that it lasts, and hash of each decoded frame."""
    hashes = ["-f", "framehash", "-hash", "murmur3", "-"]
    lines = ran("-copyts", "-i", str(path), *output, *hashes).decode().splitlines()
    [tick] = [line.split(": ")[1].split("/") for line in lines if line.startswith("#tb 0")]
    rows = [line.split(",") for line in lines if not line.startswith("#")]
    seconds = int(tick[0]) / int(tick[1])
    return [(int(row[2]) * seconds, int(row[3]), row[5].strip()) for row in rows]


def pictures(path: Path) -> list[Picture]:
    """Every presented picture, in order, with the container's times."""
    every = ["-map", "0:v:0", "-fps_mode", "passthrough"]
    width, height = _SMALL
    grey = f"scale={width}:{height}:flags=area,format=gray"
    data = np.frombuffer(ran("-i", str(path), *every, "-vf", grey, "-f", "rawvideo", "-"), np.uint8)
    small = data.reshape(-1, height, width).astype(np.int16)
    frames = _frames(path, *every, "-enc_time_base", "demux")
    return [Picture(time, name, one) for (time, _, name), one in zip(frames, small, strict=True)]


def sound(path: Path, *, start: float = 0.0) -> np.ndarray:
    """Mono sound at 8 kHz from a container time on, each block where its own time puts it."""
    mono = ["-map", "0:a:0", "-ac", "1", "-ar", str(SOUND_RATE), "-c:a", "pcm_f32le"]
    samples = np.frombuffer(ran("-i", str(path), *mono, "-f", "f32le", "-"), np.float32)
    blocks = _frames(path, *mono)
    placed = np.zeros(round((blocks[-1][0] + 1 - start) * SOUND_RATE), np.float32)
    read = 0
    for time, length, _ in blocks:
        at = round((time - start) * SOUND_RATE)
        part = samples[read : read + length][max(0, -at) :]
        placed[max(0, at) : max(0, at) + len(part)] = part
        read += length
    assert read == len(samples)
    return placed


def starts(path: Path) -> float:
    """Container time in seconds of the first picture or sound, whichever is earlier."""
    every = _frames(path, "-map", "0:v:0", "-fps_mode", "passthrough", "-enc_time_base", "demux")
    return min(every + _frames(path, "-map", "0:a:0"))[0]


def beeps(path: Path, *, start: float = 0.0) -> list[float]:
    """Seconds from a container time on at which half a second of silence ends."""
    loud = np.flatnonzero(np.abs(sound(path, start=start)) > LOUD)
    after_silence = np.diff(loud, prepend=-SOUND_RATE) > SOUND_RATE / 2
    return [at / SOUND_RATE for at in loud[after_silence]]
