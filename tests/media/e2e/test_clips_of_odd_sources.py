"""Clips of sources that are laid out oddly, against what the ffmpeg program decodes.

Every source shows the pictures and beeps of `plain.mp4`, which is laid out simply.
"""

import bisect
from pathlib import Path

import av
import numpy as np
import pytest
from ffmpeg_readings import SOUND_RATE, beeps, made, pictures, ran, sound, starts
from media_samples import AAC, H264, picture
from media_samples import beeps as beeps_of

from videomoments_dagster.base.failures import MediaFailed, SourceRejected
from videomoments_dagster.media import clock_jumps
from videomoments_dagster.media.clip_cutting import CutClip, cut_clip
from videomoments_dagster.media.clip_plan import ClipRequest
from videomoments_dagster.media.probe import probe
from videomoments_dagster.media.speech_audio import extract_speech_audio

SECONDS = 6
SIZE = "160x90"
TOLERANCE_SECONDS = 0.0015
SOUND_SECONDS = 0.020
CLIP = (1.234, 4.87)


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("odd-sources") / "plain.mp4"
    streams = [*picture(SECONDS, size=SIZE), *beeps_of(SECONDS)]
    return made(path, *streams, *H264, "-g", "50", "-bf", "3", *AAC)


def cut(source: Path, *, method: str = "auto", start: float = CLIP[0], end: float = CLIP[1]):
    request = ClipRequest(source, probe(source), start, end, source.parent / "clip.mp4", method)
    return cut_clip(request)


def check(clip: CutClip, plain: Path, *, beeping: bool = True, late: float = 0.0) -> None:
    """The clip shows each picture of `plain` at its time, no other, and beeps with it.

    Args:
        clip: What was cut.
        plain: What its source was made from.
        beeping: Whether it has the sound of `plain`.
        late: Seconds by which its source presents pictures and beeps later than `plain`.
    """
    truth = pictures(plain)
    times = [one.time - truth[0].time + late for one in truth]
    # The first picture is also shown before its time.
    first = max(0, bisect.bisect_right(times, clip.start_time + 0.0005) - 1)
    stop = bisect.bisect_left(times, clip.end_time - 0.0005)
    begins_at = times[first] if clip.method == "copy" else clip.start_time
    shown = pictures(clip.path)
    assert len(shown) == stop - first
    for number, one in enumerate(shown, first):
        wanted = max(0.0, times[number] - begins_at) if number > first else 0.0
        assert one.time - shown[0].time == pytest.approx(wanted, abs=TOLERANCE_SECONDS)
        near = range(max(0, number - 2), min(len(truth), number + 3))
        unlike = {at: np.mean(np.abs(truth[at].grey - one.grey)) for at in near}
        assert min(unlike, key=unlike.get) == number
        assert clip.method == "encode" or one.digest == truth[number].digest
    if beeping:
        check_beeps(clip, begins_at=begins_at - late)


def late_pictures(source: Path) -> float:
    """Seconds by which the sound of a source begins earlier than its pictures."""
    return pictures(source)[0].time - starts(source)


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


@pytest.mark.parametrize("codec", ["mpeg4", "mpeg2video"])
def test_an_avi_whose_times_are_those_of_showing_is_cut(plain, tmp_path, codec):
    coded = ["-c:v", codec, "-bf", "2", "-g", "50", "-q:v", "3", "-c:a", "libmp3lame"]
    # An AVI's sound begins at 0, and a picture that others refer to is read before they are shown.
    clip = cut(made(tmp_path / "showing.avi", "-i", str(plain), *coded))
    check(clip, plain, late=1 / 25)


@pytest.mark.parametrize(("start", "end"), [(0.0, 2.5), (1.234, 3.0), (2.0, 5.5), (4.5, 5.9)])
@pytest.mark.parametrize("method", ["auto", "encode"])
def test_an_avi_whose_times_are_those_of_decoding_is_cut_right(plain, tmp_path, method, start, end):
    source = made(tmp_path / "decoding.avi", "-i", str(plain), "-c", "copy")
    clip = cut(source, start=start, end=end, method=method)
    check(clip, plain)
    assert (clip.start_time, clip.end_time) == (start, end)
    assert {path.name for path in tmp_path.iterdir()} == {"decoding.avi", "clip.mp4"}


def test_pictures_that_only_their_neighbours_explain_are_counted_from_an_earlier_keyframe(
    plain, tmp_path
):
    open_groups = ["-c:v", "libx264", "-bf", "3", "-g", "25", "-x264-params", "open-gop=1", *AAC]
    truth = made(tmp_path / "open.mp4", "-i", str(plain), *open_groups)
    source = made(tmp_path / "open.avi", "-i", str(truth), "-c", "copy")
    check(cut(source, start=4.5, end=5.96), truth)


def test_a_source_that_tells_times_of_decoding_and_has_lost_pictures_is_refused(plain, tmp_path):
    source = made(tmp_path / "broken.avi", "-i", str(plain), "-c", "copy")
    with av.open(str(source)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        lost = bytes(packets[60])
    source.write_bytes(source.read_bytes().replace(lost, bytes(len(lost))))
    with pytest.raises(MediaFailed, match=r"out of 'broken.avi', which tells only when"):
        cut(source)


def test_a_picture_is_held_to_the_end_where_sound_ends_before(tmp_path):
    every_third_second = ["-vf", "select='not(mod(n\\,75))'", "-fps_mode", "passthrough"]
    streams = [*picture(12, size=SIZE), *beeps_of(5), *every_third_second, *H264, "-bf", "0"]
    # FLV has no durations of pictures.
    clip = cut(made(tmp_path / "held.flv", *streams, "-g", "2", *AAC), start=3.5, end=8.5)
    # An FLV does not tell that its sound begins with 21 ms of the encoder's own.
    assert [one.time for one in pictures(clip.path)] == pytest.approx([0.0, 2.521], abs=0.002)
    assert clip.facts.duration_seconds == pytest.approx(5.0, abs=0.03)
    assert presented_seconds(clip.path) == pytest.approx(5.0, abs=0.03)
    check_beeps(clip, begins_at=3.479, until=5)


def presented_seconds(path: Path) -> float:
    """How long ffmpeg finds the pictures of a file to be presented, of which it copies them."""
    lines = ran("-i", str(path), "-map", "0:v", "-c", "copy", "-f", "framecrc", "-").decode()
    [tick] = [line.split(": ")[1].split("/") for line in lines.splitlines() if "#tb 0" in line]
    last = lines.splitlines()[-1].split(",")
    return (int(last[2]) + int(last[3])) * int(tick[0]) / int(tick[1])


@pytest.mark.parametrize("start", [0.0, 1.13, 2.26])
def test_a_steady_tone_by_a_clock_of_milliseconds_is_no_reason_to_refuse(tmp_path, start):
    tone = ["-f", "lavfi", "-i", f"sine=frequency=440:duration={SECONDS}"]
    coded = ["-c:v", "wmv2", "-c:a", "wmav2"]
    source = made(tmp_path / "tone.wmv", *picture(SECONDS, size=SIZE), *tone, *coded)
    clip = cut(source, start=start, end=start + 3)
    assert sound(clip.path).std() == pytest.approx(sound(source).std(), rel=0.1)


@pytest.mark.parametrize("method", ["auto", "encode"])
@pytest.mark.parametrize("name", ["ends.mp4", "ends.mkv", "ends.ts"])
def test_a_clip_behind_the_end_of_the_sound_is_silent(tmp_path, name, method):
    pictures_only = [*picture(8, size=SIZE), *beeps_of(2)]
    source = made(tmp_path / name, *pictures_only, *H264, "-g", "25", "-bf", "0", *AAC)
    clip = cut(source, start=4.4, end=6.6, method=method)
    check(clip, source, beeping=False, late=late_pictures(source))
    assert clip.facts.audio.channels == 1
    assert not sound(clip.path).any()
    assert len(sound(clip.path)) == pytest.approx((2.2 + 1) * SOUND_RATE, rel=0.05)


def test_a_clip_in_which_the_sound_ends_has_it_until_there(tmp_path):
    source = made(tmp_path / "ends.mp4", *picture(8, size=SIZE), *beeps_of(3.5), *H264, *AAC)
    clip = cut(source, start=1.4, end=6.6)
    check(clip, source, beeping=False)
    check_beeps(clip, begins_at=1.4, until=3.5)


@pytest.mark.parametrize("start", [1.0, 2.0, 3.04, 4.2])
def test_sound_that_is_stored_before_the_keyframe_is_heard(tmp_path, start):
    noise = ["-f", "lavfi", "-i", f"anoisesrc=duration={SECONDS}:amplitude=0.5:seed=1"]
    coded = ["-c:v", "wmv2", "-g", "25", "-c:a", "wmav2"]
    source = made(tmp_path / "noise.wmv", *picture(SECONDS, size=SIZE), *noise, *coded)
    for end in (start + 0.06, start + 2):
        heard = sound(cut(source, start=start, end=end).path)
        first = heard[: round(0.03 * SOUND_RATE)]
        assert first.std() > 0.5 * sound(source).std()


def with_gap(plain: Path, path: Path, *, first: int, packets: int, codec: str) -> Path:
    """The same with some packets of sound lost, which other packets' times tell."""
    lost = f"noise=drop='between(n,{first},{first + packets - 1})'"
    whole = made(path.with_name("whole.mkv"), "-i", str(plain), "-c:v", "copy", "-c:a", codec)
    return made(path, "-i", str(whole), "-c", "copy", "-bsf:a", lost)


GAPS = [("gap.ts", "aac", 1), ("gap.ts", "aac", 4), ("gap.mkv", "libmp3lame", 2)]


@pytest.mark.parametrize(("name", "codec", "packets"), GAPS)
def test_sound_behind_a_short_gap_stays_in_step(plain, tmp_path, name, codec, packets):
    # At 1.3 s, between two beeps.
    gap = {"first": 61 if codec == "aac" else 54, "packets": packets, "codec": codec}
    source = with_gap(plain, tmp_path / name, **gap)
    check_within(cut(source, start=0.5, end=5.5, method="encode"), source)


def check_within(clip: CutClip, source: Path) -> None:
    """Its beeps are where ffmpeg hears the source's, to a few milliseconds."""
    wanted = [at - clip.start_time for at in beeps(source, start=starts(source))]
    inside = [at for at in wanted if 0.06 < at < clip.end_time - clip.start_time - 0.06]
    assert len(inside) > 3
    assert [at for at in beeps(clip.path) if at > 0.06] == pytest.approx(inside, abs=0.005)


@pytest.mark.parametrize(("name", "codec", "packets"), GAPS)
def test_speech_behind_a_short_gap_stays_in_step(plain, tmp_path, name, codec, packets):
    gap = {"first": 61 if codec == "aac" else 54, "packets": packets, "codec": codec}
    source = with_gap(plain, tmp_path / name, **gap)
    facts = probe(source)
    wav = extract_speech_audio(source, facts, to=tmp_path / "speech.wav", timeout_seconds=60)
    wanted = beeps(source, start=facts.origin_seconds)
    assert beeps(wav)[1:] == pytest.approx(wanted[1:], abs=0.003)


TURNS = {
    ("-display_hflip",): "hflip",
    ("-display_vflip",): "vflip",
    ("-display_rotation", "90", "-display_hflip"): "transpose=clock_flip",
    ("-display_rotation", "90", "-display_vflip"): "transpose=cclock_flip",
    ("-display_rotation", "90"): "transpose=cclock",
    ("-display_rotation", "180"): "hflip,vflip",
    ("-display_rotation", "270"): "transpose=clock",
}


@pytest.mark.parametrize("options", TURNS, ids=" ".join)
def test_a_mirrored_video_is_cut_as_it_is_shown(plain, tmp_path, options):
    source = made(tmp_path / "mirrored.mp4", *options, "-i", str(plain), "-c", "copy")
    [shown, *_] = pictures(source)
    turned = made(tmp_path / "turned.mp4", "-i", str(plain), "-vf", TURNS[options], "-c:a", "copy")
    [wanted, *_] = pictures(turned)
    assert np.abs(shown.grey - wanted.grey).mean() < 3, "the test's own filters"
    check(cut(source), source)
    check(cut(source, method="encode"), source)


@pytest.mark.parametrize("start", [0.3, 0.7, 2.5])
def test_a_clip_before_the_first_keyframe_shows_what_decodes_there(plain, tmp_path, start):
    coded = ["-c:v", "mpeg4", "-g", "50", "-q:v", "3", "-c:a", "libmp3lame"]
    whole = made(tmp_path / "whole.avi", "-i", str(plain), *coded)
    kept = ["-c", "copy", "-copyinkf", "-bsf:v", "noise=drop='lt(n,1)'"]
    source = made(tmp_path / "begun.avi", "-i", str(whole), *kept)
    check(cut(source, start=start, end=start + 2), source, beeping=False)


@pytest.mark.parametrize("begins", [95_430, 95_440, 95_442.5])
@pytest.mark.parametrize("start", [0.0, 1.234, 2.5, 3.7])
def test_a_transport_stream_is_cut_where_its_clock_wraps(plain, tmp_path, begins, start):
    # 33 bits at 90 kHz end at 95443.7 s.
    late = ["-c", "copy", "-output_ts_offset", str(begins)]
    source = made(tmp_path / "wraps.ts", "-i", str(plain), *late)
    check(cut(source, start=start, end=start + 2), plain, late=late_pictures(source))


@pytest.mark.parametrize("offset", [0, 700, 40_000])
@pytest.mark.parametrize("whole_bytes", [clock_jumps._READ_WHOLE_BYTES, 1000])
def test_a_clock_that_jumps_is_refused_and_closed_by_the_remedy(
    plain, tmp_path, monkeypatch, offset, whole_bytes
):
    monkeypatch.setattr(clock_jumps, "_READ_WHOLE_BYTES", whole_bytes)
    copied = ["-i", str(plain), "-c", "copy", "-output_ts_offset"]
    parts = [made(tmp_path / f"{at}.ts", *copied, str(at)) for at in (5, 5 + offset)]
    source = tmp_path / "jumps.ts"
    source.write_bytes(b"".join(part.read_bytes() for part in parts))
    with pytest.raises(
        SourceRejected, match=r"jumps.ts' has a clock that jumps from [56]\.\d s to"
    ):
        probe(source)
    closed = made(tmp_path / "closed.mkv", "-i", str(source), "-c", "copy")
    assert probe(closed).duration_seconds == pytest.approx(2 * SECONDS, abs=0.3)
