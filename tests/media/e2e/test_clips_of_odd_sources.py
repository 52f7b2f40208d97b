"""Clips of sources that are laid out oddly, against what the ffmpeg program decodes.

Every source shows the pictures and beeps of `plain.mp4`, which is laid out simply.
"""

import bisect
from pathlib import Path

import numpy as np
import pytest
from ffmpeg_readings import beeps, made, pictures
from media_samples import AAC, H264, picture
from media_samples import beeps as beeping

from videomoments_dagster.media.clip_cutting import CutClip, cut_clip
from videomoments_dagster.media.clip_plan import ClipRequest
from videomoments_dagster.media.probe import probe

SECONDS = 6
SIZE = "160x90"
TOLERANCE_SECONDS = 0.0015
SOUND_SECONDS = 0.020
CLIP = (1.234, 4.87)


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("odd-sources") / "plain.mp4"
    streams = [*picture(SECONDS, size=SIZE), *beeping(SECONDS)]
    return made(path, *streams, *H264, "-g", "50", "-bf", "3", *AAC)


def cut(source: Path, *, method: str = "auto", start: float = CLIP[0], end: float = CLIP[1]):
    request = ClipRequest(source, probe(source), start, end, source.parent / "clip.mp4", method)
    return cut_clip(request)


def check(clip: CutClip, plain: Path, *, sound: bool = True) -> None:
    """The clip shows each picture of `plain` at its time, no other, and beeps with it."""
    truth = pictures(plain)
    times = [one.time for one in truth]
    first = bisect.bisect_right(times, clip.start_time + TOLERANCE_SECONDS) - 1
    stop = bisect.bisect_left(times, clip.end_time - TOLERANCE_SECONDS)
    begins_at = times[first] if clip.method == "copy" else clip.start_time
    shown = pictures(clip.path)
    assert len(shown) == stop - first
    for number, one in enumerate(shown, first):
        wanted = max(0.0, times[number] - begins_at)
        assert one.time - shown[0].time == pytest.approx(wanted, abs=TOLERANCE_SECONDS)
        near = range(max(0, number - 2), min(len(truth), number + 3))
        unlike = {at: np.mean(np.abs(truth[at].grey - one.grey)) for at in near}
        assert min(unlike, key=unlike.get) == number
        assert clip.method == "encode" or one.digest == truth[number].digest
    if sound:
        check_beeps(clip, begins_at=begins_at)


def check_beeps(clip: CutClip, *, begins_at: float, until: float = SECONDS) -> None:
    """It beeps at every full second of its source and at no other time."""
    heard = beeps(clip.path)
    end = min(clip.end_time, until) - begins_at
    wanted = [at - begins_at for at in range(SECONDS) if 0.06 < at - begins_at < end - 0.06]
    assert wanted
    for at in wanted:
        assert min(abs(at - other) for other in heard) < SOUND_SECONDS
    assert len(heard) <= len(wanted) + 2


@pytest.mark.parametrize("method", ["auto", "encode"])
@pytest.mark.parametrize("layout", ["5.1", "7.1"])
def test_sound_of_many_channels_is_cut(plain, tmp_path, layout, method):
    layouts = ["-c:v", "copy", "-af", f"aformat=channel_layouts={layout}", "-c:a", "aac"]
    source = made(tmp_path / "many.mp4", "-i", str(plain), *layouts)
    clip = cut(source, method=method)
    assert clip.method == ("copy" if method == "auto" else "encode")
    assert clip.facts.audio.channels == {"5.1": 6, "7.1": 8}[layout]
    check(clip, plain)


def test_sound_of_more_channels_than_the_encoder_takes_is_cut(plain, tmp_path):
    all_alike = "|".join(["pan=hexadecagonal", *(f"c{channel}=c0" for channel in range(16))])
    sound = ["-c:v", "copy", "-c:a", "pcm_s16le", "-af", all_alike]
    clip = cut(made(tmp_path / "many.mkv", "-i", str(plain), *sound))
    assert clip.facts.audio.channels == 2
    check(clip, plain)
