"""Media for the benchmarks, made with ffmpeg: pictures that say their time, and a beep a second.

Belongs here: making them. Does not belong here: measuring.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from videomoments_dagster.media.ffmpeg import ffmpeg_executable

FFMPEG = [ffmpeg_executable(), "-nostdin", "-v", "error", "-y"]
RATE = 25


def ffmpeg(*arguments: str, timeout_seconds: float = 3600) -> None:
    """Run ffmpeg, or end the benchmark."""
    subprocess.run([*FFMPEG, *arguments], check=True, timeout=timeout_seconds)


def _inputs(seconds: float) -> list[str]:
    # testsrc2 burns in the time and the frame's number.
    picture = f"testsrc2=size=1280x720:rate={RATE}:duration={seconds}"
    beep = f"aevalsrc='if(lt(mod(t,1),0.1),0.5*sin(2*PI*1000*t),0)':s=48000:d={seconds}"
    return ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", beep]


def make_mp4(path: Path, *, seconds: float, keyframe_seconds: float, factor: int = 23) -> Path:
    """Write 720p H.264 with AAC, a keyframe every so many seconds.

    Args:
        path: The file.
        seconds: Its length.
        keyframe_seconds: Seconds between keyframes.
        factor: Constant rate factor: 23 gives 30 MB a minute, 32 some 13 MB.
    """
    every = str(round(keyframe_seconds * RATE))
    codecs = ["-c:v", "libx264", "-preset", "superfast", "-crf", str(factor)]
    codecs += ["-pix_fmt", "yuv420p", "-c:a", "aac"]
    # Without scene changes, a keyframe comes when it is told to.
    keyframes = ["-g", every, "-keyint_min", every, "-sc_threshold", "0"]
    ffmpeg(*_inputs(seconds), *codecs, *keyframes, str(path))
    return path


def make_webm(path: Path, *, seconds: float) -> Path:
    """Write 720p VP9 with Opus, a keyframe every five seconds."""
    fast = ["-deadline", "realtime", "-cpu-used", "8", "-row-mt", "1", "-b:v", "1500k"]
    codecs = ["-c:v", "libvpx-vp9", *fast, "-g", str(5 * RATE), "-c:a", "libopus"]
    ffmpeg(*_inputs(seconds), *codecs, str(path))
    return path


def looped(source: Path, path: Path, *, times: int) -> Path:
    """Write a file several times over, without encoding it again."""
    ffmpeg("-stream_loop", str(times - 1), "-i", str(source), "-c", "copy", str(path))
    return path
