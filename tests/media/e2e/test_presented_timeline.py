"""Presented time 0 is what players show as 0: the first picture or sound, whichever is earlier.

What is right is read with the ffmpeg program, which counts from a file's earliest stream, and seen
in Chromium.
"""

import functools
import http.server
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ffmpeg_readings import beeps, made, pictures
from media_samples import AAC, H264
from media_samples import beeps as beeps_of

from videomoments_dagster.media.clip_cutting import cut_clip
from videomoments_dagster.media.clip_plan import ClipRequest
from videomoments_dagster.media.container import MediaFile
from videomoments_dagster.media.facts import MediaFacts
from videomoments_dagster.media.ffmpeg import ffmpeg_executable
from videomoments_dagster.media.frame_access import frame_at, presented_times
from videomoments_dagster.media.frame_pictures import make_thumbnail
from videomoments_dagster.media.probe import probe
from videomoments_dagster.media.speech_audio import extract_speech_audio

LATE_SECONDS = 2.0
PICTURE_SECONDS = 5.0
RATE = 25
# Each picture shows its number in eight fields, black or white.
NUMBERED = (
    f"color=gray:size=320x40:rate={RATE}:duration={PICTURE_SECONDS:g},format=gray,"
    "geq=lum='if(bitand(pow(2\\,floor(X/40))\\,N)\\,235\\,16)'"
)
LATE = ["-itsoffset", f"{LATE_SECONDS:g}", "-f", "lavfi", "-i", NUMBERED, *beeps_of(7)]
CODED = [*H264, "-g", "50", "-bf", "3", *AAC]
VP9 = ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-pix_fmt", "yuv420p"]
WEBM = [*VP9, "-g", "50", "-c:a", "libopus"]
CONTAINERS = ("mp4", "mkv", "flv", "ts", "webm")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("timeline")


@pytest.fixture(scope="module")
def late(folder) -> dict[str, Path]:
    """Sound from the start, pictures two seconds later."""
    coded = {name: WEBM if name == "webm" else CODED for name in CONTAINERS}
    return {name: made(folder / f"late.{name}", *LATE, *coded[name]) for name in CONTAINERS}


@pytest.fixture(scope="module")
def cut(folder, late) -> dict[str, Path]:
    """What `ffmpeg -ss -c copy` makes: sound from the cut, pictures from a keyframe before it."""
    whole = made(folder / "whole.mp4", "-f", "lavfi", "-i", NUMBERED, *beeps_of(5), *CODED)
    options = ["-ss", "1.3", "-i", str(whole), "-c", "copy"]
    return {name: made(folder / f"cut.{name}", *options) for name in ("mp4", "mkv", "flv", "ts")}


def starts_by_ffmpeg(path: Path) -> float:
    """Container time in seconds at which a file starts, as the ffmpeg program says."""
    command = [ffmpeg_executable(), "-hide_banner", "-i", str(path)]
    said = subprocess.run(command, check=False, capture_output=True, timeout=60).stderr.decode()
    [start] = re.findall(r"start: (-?[\d.]+)", said)
    return float(start)


def number(grey: np.ndarray) -> int:
    """The number that a picture shows."""
    fields = grey.reshape(grey.shape[0], 8, -1)[grey.shape[0] // 2].mean(axis=1)
    return sum(2**bit for bit, light in enumerate(fields) if light > 128)


@pytest.mark.parametrize("container", CONTAINERS)
def test_time_0_is_the_first_sound_where_that_comes_first(late, container):
    facts = probe(late[container])
    assert facts.origin_seconds == pytest.approx(starts_by_ffmpeg(late[container]), abs=0.03)
    assert facts.pictures_start == pytest.approx(LATE_SECONDS, abs=0.03)
    assert facts.duration_seconds == pytest.approx(LATE_SECONDS + PICTURE_SECONDS, abs=0.05)


@pytest.mark.parametrize("container", ["mp4", "mkv", "flv", "ts"])
def test_time_0_of_what_was_cut_by_copying_is_that_of_ffmpeg(cut, container):
    facts = probe(cut[container])
    assert facts.origin_seconds == pytest.approx(starts_by_ffmpeg(cut[container]), abs=0.0015)


def test_time_0_is_the_first_picture_where_that_comes_first(folder):
    streams = ["-f", "lavfi", "-i", NUMBERED, "-itsoffset", "1", *beeps_of(4), *CODED]
    facts = probe(made(folder / "sound-late.mkv", *streams))
    assert (facts.origin_seconds, facts.pictures_start) == (0.0, 0.0)


def test_an_avi_starts_with_the_first_picture_that_is_read(folder):
    coded = ["-f", "lavfi", "-i", NUMBERED, *H264, "-bf", "3"]
    assert probe(made(folder / "silent.avi", *coded)).origin_seconds == 0.0


@pytest.mark.parametrize("container", CONTAINERS)
def test_speech_is_heard_from_the_first_sound_on(late, tmp_path, container):
    wav = tmp_path / "speech.wav"
    extract_speech_audio(late[container], probe(late[container]), to=wav, timeout_seconds=60)
    heard = beeps(wav)
    assert [round(at) for at in heard] == [0, 1, 2, 3, 4, 5, 6]
    assert np.abs(np.array(heard) - np.round(heard)).max() < 0.035


@pytest.mark.parametrize("container", CONTAINERS)
def test_the_first_picture_is_shown_until_the_second(late, container):
    facts = probe(late[container])
    with MediaFile(late[container], facts) as media:
        first = presented_times(media, start=0.0, end=3.0)[0]
        assert first == pytest.approx(facts.pictures_start)
        for seconds in (0.0, 1.0, 1.9, 2.0, 2.02):
            assert frame_at(media, seconds).time == pytest.approx(first, abs=0.001)
        assert frame_at(media, 2.5).time > first


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_thumbnail_of_what_comes_before_the_first_picture_is_that(late, tmp_path, container):
    facts = probe(late[container])
    choice = make_thumbnail(
        late[container],
        facts,
        start_time=0.2,
        end_time=1.4,
        destination=tmp_path / "thumbnail.jpg",
        timeout_seconds=30,
    )
    assert choice.time_seconds == pytest.approx(facts.pictures_start, abs=0.001)


@pytest.mark.parametrize("method", ["auto", "encode"])
@pytest.mark.parametrize(
    ("start", "end"), [(0.0, 1.0), (0.0, 6.5), (0.5, 3.3), (1.6, 1.9), (2.0, 4.1), (3.234, 6.87)]
)
@pytest.mark.parametrize("container", CONTAINERS)
def test_clips_show_and_sound_what_players_do(late, tmp_path, container, start, end, method):
    facts = probe(late[container])
    destination = tmp_path / "clip.mp4"
    clip = cut_clip(ClipRequest(late[container], facts, start, end, destination, method))
    assert clip.facts.duration_seconds == pytest.approx(end - start, abs=0.041)
    check(clip.path, late[container], facts, start=start, end=end, method=clip.method)


@pytest.mark.parametrize("method", ["auto", "encode"])
@pytest.mark.parametrize("container", ["mp4", "mkv", "flv", "ts"])
def test_clips_of_what_was_cut_by_copying_start_with_it(cut, tmp_path, container, method):
    facts = probe(cut[container])
    destination = tmp_path / "clip.mp4"
    clip = cut_clip(ClipRequest(cut[container], facts, 0.0, 2.5, destination, method))
    check(clip.path, cut[container], facts, start=0.0, end=2.5, method=clip.method)


def check(
    path: Path, source: Path, facts: MediaFacts, *, start: float, end: float, method: str
) -> None:
    """Each picture of the source is shown at its time, and each beep heard at its."""
    origin = facts.origin_seconds
    there = [(one.time - origin, number(one.grey)) for one in pictures(source)]
    begins_at = start
    if method == "copy":
        # It starts with the picture that is shown then.
        begins_at = max((time for time, _ in there if time <= start + 0.0005), default=start)
    earlier = [shown for time, shown in there if time <= start + 0.0005]
    held = [(0.0, earlier[-1] if earlier else there[0][1])]
    inside = [(time - begins_at, shown) for time, shown in there if start < time < end - 0.0005]
    if not earlier:
        # The first one is held from 0 where it is encoded, and has its own time where copied.
        inside = inside[1:] if method == "encode" else inside
        held = held if method == "encode" else []
    found = [(one.time, number(one.grey)) for one in pictures(path)]
    wanted = held + [one for one in inside if one[0] > 0.0005]
    assert [shown for _, shown in found] == [shown for _, shown in wanted]
    assert [time for time, _ in found] == pytest.approx([time for time, _ in wanted], abs=0.0021)
    heard = beeps(path)
    in_source = [at - begins_at for at in beeps(source, start=origin)]
    expected = [at for at in in_source if 0.06 < at < end - begins_at - 0.06]
    assert all(min(abs(at - other) for other in heard) < 0.020 for at in expected)


SHOWN = """async ([name, times]) => {
  const video = document.createElement('video');
  video.muted = true;
  const once = (event) => new Promise((resolve, reject) => {
    video.addEventListener(event, resolve, { once: true });
    video.addEventListener('error', () => reject(new Error(video.error.message)), { once: true });
  });
  const loaded = once('loadeddata');
  video.src = URL.createObjectURL(await (await fetch(name)).blob());
  await loaded;
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [320, 40];
  const drawing = canvas.getContext('2d');
  const seen = [];
  for (const time of times) {
    const sought = once('seeked');
    video.currentTime = time;
    await sought;
    await new Promise((resolve) => requestAnimationFrame(resolve));
    drawing.drawImage(video, 0, 0, 320, 40);
    const row = drawing.getImageData(0, 20, 320, 1).data;
    const light = (bit) => row[(bit * 40 + 20) * 4] > 128;
    seen.push([...Array(8).keys()].reduce((n, bit) => n + light(bit) * 2 ** bit, 0));
  }
  return seen;
}"""


@pytest.fixture(scope="module")
def address(folder) -> Iterator[str]:
    """Where the folder is served."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join(10)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("name", ["late.mp4", "late.mkv", "late.webm", "cut.mp4", "cut.mkv"])
def test_chromium_shows_the_same_picture_at_the_same_time(page, address, late, cut, folder, name):
    path = folder / name
    facts = probe(path)
    # In the middle of pictures, as browsers round.
    times = [facts.pictures_start + (count + 0.5) / RATE for count in (0, 7, 30, 55)]
    times += [0.5, 1.0] if facts.pictures_start > 1 else []
    page.goto(address)
    seen = page.evaluate(SHOWN, [name, times])
    with MediaFile(path, facts) as media:
        shown = [frame_at(media, time).frame.to_ndarray(format="gray") for time in times]
    assert seen == [number(one) for one in shown]
