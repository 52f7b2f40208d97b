"""Small generated media files that tests cut, probe and look at.

Every sample shows ffmpeg's `testsrc2` (each frame differs from the one before) and beeps for
50 ms at every full second of its sound. They are made on first use and shared by all test workers.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from videomoments_dagster.media.ffmpeg import ffmpeg_executable

BEEP = "if(lt(mod(t,1),0.05),0.8*sin(2*PI*1000*t),0)"
H264 = ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p"]
AAC = ["-c:a", "aac", "-b:a", "96k"]


def picture(seconds: float = 12, rate: str = "25", size: str = "320x180") -> list[str]:
    return ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}:duration={seconds}"]


def beeps(seconds: float = 12, sample_rate: int = 48000) -> list[str]:
    return ["-f", "lavfi", "-i", f"aevalsrc='{BEEP}':s={sample_rate}:d={seconds}"]


def _remuxed(name: str, *options: str, before: tuple[str, ...] = ()) -> Callable[..., list[str]]:
    def arguments(samples: MediaSamples) -> list[str]:
        return [*before, "-i", str(samples.path(name)), "-c", "copy", *options]

    return arguments


RECIPES: dict[str, list[str] | Callable[..., list[str]]] = {
    "h264_gop2.mp4": [*picture(), *beeps(), *H264, "-g", "50", "-bf", "3", *AAC],
    "h264_gop10_ntsc.mp4": [
        *picture(14, "30000/1001"),
        *beeps(14, 44100),
        *H264,
        "-g",
        "300",
        "-keyint_min",
        "300",
        "-sc_threshold",
        "0",
        "-bf",
        "2",
        *AAC,
    ],
    "h264_interlaced.mp4": [*picture(4), *H264, "-flags", "+ildct+ilme", "-x264opts", "tff=1"],
    "h264_open_gop.mp4": [
        *picture(),
        *beeps(),
        *H264,
        "-g",
        "50",
        "-bf",
        "3",
        "-x264-params",
        "open-gop=1",
        *AAC,
    ],
    "h264_no_sound.mp4": [*picture(6), *H264, "-g", "50"],
    "h264.mkv": _remuxed("h264_gop2.mp4"),
    "h264_fragmented.mp4": _remuxed("h264_gop2.mp4", "-movflags", "frag_keyframe+empty_moov"),
    "h264.ts": _remuxed("h264_gop2.mp4"),
    "rotated.mp4": _remuxed("h264_gop2.mp4", before=("-display_rotation", "90")),
    "two_edits.mp4": _remuxed("h264_gop2.mp4", before=("-ss", "3.3")),
    "hevc.mp4": [
        *picture(),
        *beeps(),
        "-c:v",
        "libx265",
        "-preset",
        "ultrafast",
        "-pix_fmt",
        "yuv420p",
        "-x265-params",
        "keyint=50:log-level=none",
        "-tag:v",
        "hvc1",
        *AAC,
    ],
    "vp9.webm": [
        *picture(6),
        *beeps(6),
        "-c:v",
        "libvpx-vp9",
        "-deadline",
        "realtime",
        "-cpu-used",
        "8",
        "-g",
        "50",
        "-pix_fmt",
        "yuv420p",
        "-c:a",
        "libopus",
    ],
    "delayed_start.mp4": [
        *beeps(),
        "-itsoffset",
        "0.52",
        *picture(11),
        "-map",
        "1:v",
        "-map",
        "0:a",
        *H264,
        "-g",
        "50",
        *AAC,
    ],
    "variable_rate.mp4": [
        *picture(),
        *beeps(),
        "-vf",
        "select='lt(mod(n\\,50)\\,20)+not(mod(n\\,3))'",
        "-fps_mode",
        "passthrough",
        *H264,
        "-g",
        "50",
        *AAC,
    ],
    "slides.mp4": [
        *picture(),
        *beeps(),
        "-vf",
        "select='not(mod(n\\,75))'",
        "-fps_mode",
        "passthrough",
        *H264,
        "-g",
        "2",
        *AAC,
    ],
    "sound.m4a": [*beeps(), *AAC],
    "sound.mp3": [*beeps(), "-c:a", "libmp3lame"],
    "sound.flac": [*beeps(), "-c:a", "flac"],
    "cover.jpg": [*picture(1, size="64x64"), "-frames:v", "1", "-pix_fmt", "yuvj420p"],
    "with_captions.mkv": lambda samples: [
        "-i",
        str(samples.path("h264_gop2.mp4")),
        "-i",
        str(samples.captions()),
        "-map",
        "0",
        "-map",
        "1",
        "-c",
        "copy",
        "-c:s",
        "subrip",
        "-metadata:s:s:0",
        "language=eng",
    ],
    "with_cover.mp3": lambda samples: [
        "-i",
        str(samples.path("sound.mp3")),
        "-i",
        str(samples.path("cover.jpg")),
        "-map",
        "0:a",
        "-map",
        "1:v",
        "-c",
        "copy",
        "-disposition:v",
        "attached_pic",
    ],
}


@dataclass(frozen=True)
class MediaSamples:
    """The samples, by file name."""

    folder: Path

    def path(self, name: str) -> Path:
        target = self.folder / name
        with FileLock(self.folder / f"{name}.lock"):
            if not target.exists():
                recipe = RECIPES[name]
                arguments = recipe if isinstance(recipe, list) else recipe(self)
                self._make(target, arguments)
        return target

    def captions(self) -> Path:
        target = self.folder / "captions.srt"
        target.write_text("1\n00:00:01,000 --> 00:00:03,000\nHello there.\n", encoding="utf-8")
        return target

    def _make(self, target: Path, arguments: list[str]) -> None:
        unfinished = target.with_name(f"unfinished-{target.name}")
        command = [ffmpeg_executable(), "-nostdin", "-v", "error", "-y", *arguments]
        done = subprocess.run(
            [*command, "-threads", "1", str(unfinished)],
            check=False,
            capture_output=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr.decode()
        unfinished.replace(target)


@pytest.fixture(scope="session")
def media_samples(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> MediaSamples:
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "media-samples"
    folder.mkdir(exist_ok=True)
    return MediaSamples(folder)
