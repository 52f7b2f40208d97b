"""The benchmarks' own check of clips finds what is wrong with a clip."""

import dataclasses
import subprocess
from pathlib import Path

import pytest
from clip_exactness import Cut, check_copies, check_encoded

from videomoments_dagster.media.clip_cutting import cut_clip
from videomoments_dagster.media.clip_plan import ClipRequest
from videomoments_dagster.media.ffmpeg import ffmpeg_executable
from videomoments_dagster.media.probe import probe

pytest_plugins = ["media_samples"]

FRAME = 0.04


def cut(source: Path, path: Path, *, method: str) -> Cut:
    start, end = 2.31, 8.47
    cut_clip(
        ClipRequest(
            source, probe(source), start_time=start, end_time=end, destination=path, method=method
        )
    )
    return Cut(path, start, end)


@pytest.fixture
def source(media_samples) -> Path:
    return media_samples.path("h264_gop2.mp4")


@pytest.fixture
def copied(source, tmp_path) -> Cut:
    return cut(source, tmp_path / "copied.mp4", method="copy")


@pytest.fixture
def encoded(source, tmp_path) -> Cut:
    return cut(source, tmp_path / "encoded.mp4", method="encode")


def with_other_sound(source: Path, path: Path, filters: str) -> Path:
    """The same pictures, and sound through a filter."""
    streams = ["-map", "0:v", "-map", "0:a", "-c:v", "copy", "-af", filters]
    ffmpeg = [ffmpeg_executable(), "-v", "error", "-i", str(source)]
    subprocess.run([*ffmpeg, *streams, str(path)], check=True, timeout=60)
    return path


def test_clips_that_are_right_pass(source, copied, encoded):
    check_copies(source, [copied])
    check_encoded(source, encoded)


def test_a_copy_that_begins_a_frame_late_is_found(source, copied):
    late = dataclasses.replace(copied, start=copied.start + FRAME, end=copied.end + FRAME)
    with pytest.raises(SystemExit, match="pictures are not"):
        check_copies(source, [late])


def test_a_copy_without_its_last_frame_is_found(source, copied):
    with pytest.raises(SystemExit, match="pictures are not"):
        check_copies(source, [dataclasses.replace(copied, end=copied.end + FRAME)])


def test_an_encoding_is_no_copy(source, encoded):
    with pytest.raises(SystemExit, match="pictures are not"):
        check_copies(source, [encoded])


def test_an_encoded_clip_that_begins_a_frame_early_is_found(source, encoded):
    early = dataclasses.replace(encoded, start=encoded.start - FRAME, end=encoded.end - FRAME)
    with pytest.raises(SystemExit, match="another one of the source"):
        check_encoded(source, early)


def test_a_picture_that_is_shown_five_milliseconds_late_is_found(source, tmp_path):
    uneven = tmp_path / "uneven.mp4"
    ffmpeg = [ffmpeg_executable(), "-v", "error", "-i", str(source), "-c", "copy"]
    subprocess.run(
        [*ffmpeg, "-bsf:v", "setts=pts='if(eq(N,100),PTS+64,PTS)'", str(uneven)],
        check=True,
        timeout=60,
    )
    other = cut(uneven, tmp_path / "clip.mp4", method="copy")
    with pytest.raises(SystemExit, match="is shown at"):
        check_copies(source, [other])


@pytest.mark.parametrize("filters", ["adelay=60:all=1", "volume=0"])
def test_sound_that_is_late_or_missing_is_found(source, tmp_path, filters):
    other = with_other_sound(source, tmp_path / "other.mp4", filters)
    clip = cut(other, tmp_path / "clip.mp4", method="copy")
    with pytest.raises(SystemExit, match="the beep at"):
        check_copies(source, [clip])
