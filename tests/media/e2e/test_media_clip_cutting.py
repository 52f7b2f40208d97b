"""Clips against their sources, by decoding both here and not with the code under test."""

import bisect
import functools
import hashlib
import threading
import time
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from videomoments_dagster.base.failures import MediaFailed
from videomoments_dagster.media import clip_cutting, clip_plan, clip_proof, cut_methods
from videomoments_dagster.media.clip_cutting import CutClip, cut_clip, cut_clips
from videomoments_dagster.media.clip_plan import ClipRequest
from videomoments_dagster.media.container import MediaFile
from videomoments_dagster.media.facts import MediaFacts
from videomoments_dagster.media.frame_access import frame_at, frame_by_packets
from videomoments_dagster.media.probe import probe

pytest_plugins = ["media_samples"]

SOUND_RATE = 16000


def starts(path: Path) -> float:
    """Container time in seconds of the first picture or sound, whichever is earlier."""
    first = []
    for number in range(2):
        with av.open(str(path)) as container:
            if number < len(container.streams):
                frame = next(iter(container.decode(container.streams[number])))
                first.append(float(frame.pts * frame.time_base))
    return min(first)


def decoded_pictures(path: Path) -> list[tuple[float, str, np.ndarray]]:
    """Every presented picture: its presented time, its hash, and a small grey copy."""
    found = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            digest = hashlib.sha256(frame.to_ndarray().tobytes()).hexdigest()
            small = frame.reformat(width=160, height=90, format="gray").to_ndarray()
            found.append((float(frame.pts * frame.time_base), digest, small.astype(np.int16)))
    origin = starts(path)
    return [(seconds - origin, digest, small) for seconds, digest, small in found]


def beep_times(path: Path) -> list[float]:
    """When beeps begin, in presented seconds."""
    origin = starts(path)
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SOUND_RATE)
    loud: list[float] = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            for part in resampler.resample(frame):
                at = float(part.pts * part.time_base) - origin
                loud += [
                    at + index / SOUND_RATE
                    for index in np.flatnonzero(np.abs(part.to_ndarray().reshape(-1)) > 0.3)
                ]
    return [t for i, t in enumerate(loud) if i == 0 or t - loud[i - 1] > 0.5]


@functools.cache
def source_pictures(path: Path) -> list[tuple[float, str, np.ndarray]]:
    return decoded_pictures(path)


@functools.cache
def source_beeps(path: Path) -> list[float]:
    return beep_times(path)


@functools.cache
def probed(path: Path) -> MediaFacts:
    return probe(path)


def shown_index(times: list[float], seconds: float) -> int:
    return bisect.bisect_right(times, seconds + 0.0005) - 1


def check_pictures(source: Path, clip: CutClip, *, copied: bool) -> None:
    originals = source_pictures(source)
    times = [seconds for seconds, _, _ in originals]
    frame = 1.01 / clip.facts.video.frame_rate if clip.facts.video.frame_rate else 0.04
    first = shown_index(times, clip.start_time)
    wanted = [
        index
        for index in range(first, len(times))
        if index == first or times[index] < clip.end_time - 0.0005
    ]
    begins_at = times[first] if copied else clip.start_time
    shown = decoded_pictures(clip.path)
    assert len(shown) == len(wanted), "frames are missing or too many"
    for (seconds, digest, small), index in zip(shown, wanted, strict=True):
        assert seconds == pytest.approx(max(0.0, times[index] - begins_at), abs=0.0015)
        if copied:
            assert digest == originals[index][1]
        else:
            errors = {
                near: np.mean(np.abs(small - originals[near][2]))
                for near in range(max(0, index - 2), min(len(times), index + 3))
            }
            assert min(errors, key=errors.get) == index
    assert shown[-1][0] < clip.end_time - begins_at
    assert clip.facts.duration_seconds == pytest.approx(
        clip.end_time - clip.start_time, abs=max(frame, 0.045)
    )


def check_sound(source: Path, clip: CutClip, *, begins_at: float) -> None:
    length = clip.end_time - begins_at
    wanted = [t - begins_at for t in source_beeps(source)]
    heard = beep_times(clip.path)
    # A beep at either edge may be cut in two.
    inside = [t for t in wanted if 0.06 < t < length - 0.06]
    assert inside
    for t in inside:
        assert min(abs(t - other) for other in heard) < 0.020
    assert len(heard) <= len([t for t in wanted if -0.06 < t < length + 0.01])


def check(source: Path, clip: CutClip, *, copied: bool) -> None:
    assert clip.method == ("copy" if copied else "encode")
    check_pictures(source, clip, copied=copied)
    times = [seconds for seconds, _, _ in source_pictures(source)]
    begins_at = times[shown_index(times, clip.start_time)] if copied else clip.start_time
    if clip.facts.audio is not None:
        check_sound(source, clip, begins_at=begins_at)
    data = clip.path.read_bytes()
    assert data.find(b"moov") < data.find(b"mdat"), "the index is not in front"


COPYABLE = [
    "h264_gop2.mp4",
    "h264_gop10_ntsc.mp4",
    "h264_open_gop.mp4",
    "h264.mkv",
    "h264_fragmented.mp4",
    "rotated.mp4",
    "two_edits.mp4",
    "hevc.mp4",
    "delayed_start.mp4",
    "h264_no_sound.mp4",
]
WINDOWS = [(0.0, 2.5), (1.234, 5.02), (2.0, 4.0), (3.999, 5.6)]


@pytest.mark.parametrize("name", COPYABLE)
def test_a_copied_clip_is_the_source_frame_for_frame(media_samples, tmp_path, name):
    source = media_samples.path(name)
    facts = probe(source)
    for start, end in WINDOWS:
        clip = cut_clip(
            ClipRequest(
                source,
                facts,
                # Before the first picture, nothing can be copied.
                start_time=max(start, facts.pictures_start),
                end_time=end,
                destination=tmp_path / "clip.mp4",
            )
        )
        check(source, clip, copied=True)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize("name", [*COPYABLE, "h264.ts", "vp9.webm", "variable_rate.mp4"])
def test_an_encoded_clip_shows_the_right_frames_at_their_times(media_samples, tmp_path, name):
    source = media_samples.path(name)
    facts = probe(source)
    for start, end in ((1.234, 3.02), (4.0, 5.5)):
        clip = cut_clip(
            ClipRequest(
                source,
                facts,
                start_time=start,
                end_time=end,
                destination=tmp_path / "clip.mp4",
                method="encode",
            )
        )
        if facts.video.rotation:
            assert clip.facts.video.resolution == facts.video.resolution
            check_sound(source, clip, begins_at=start)
        else:
            check(source, clip, copied=False)


@pytest.mark.parametrize("name", ["h264_gop2.mp4", "h264_gop10_ntsc.mp4", "h264.mkv", "vp9.webm"])
def test_a_clip_reaches_to_the_end_of_its_source(media_samples, tmp_path, name):
    source = media_samples.path(name)
    facts = probe(source)
    clip = cut_clip(
        ClipRequest(
            source,
            facts,
            start_time=facts.duration_seconds - 2.3,
            end_time=facts.duration_seconds + 5,
            destination=tmp_path / "clip.mp4",
        )
    )
    assert clip.end_time == facts.duration_seconds
    check(source, clip, copied=clip.method == "copy")


def test_a_copy_keeps_the_packets_and_an_encoding_does_not(media_samples, tmp_path):
    source = media_samples.path("h264_gop2.mp4")
    facts = probe(source)
    with av.open(str(source)) as container:
        original = {bytes(packet) for packet in container.demux() if packet.size}
    for method, kept in (("copy", True), ("encode", False)):
        clip = cut_clip(
            ClipRequest(
                source,
                facts,
                start_time=3.1,
                end_time=6.2,
                destination=tmp_path / "clip.mp4",
                method=method,
            )
        )
        with av.open(str(clip.path)) as container:
            packets = {bytes(p) for p in container.demux(video=0) if p.size}
        assert (packets <= original) is kept


def test_cutting_the_same_clip_twice_gives_the_same_bytes(media_samples, tmp_path):
    source = media_samples.path("h264_gop2.mp4")
    facts = probe(source)
    for method in ("copy", "encode"):
        twice = {
            cut_clip(
                ClipRequest(
                    source,
                    facts,
                    start_time=1.5,
                    end_time=3.5,
                    destination=tmp_path / f"{n}.mp4",
                    method=method,
                )
            ).path.read_bytes()
            for n in range(2)
        }
        assert len(twice) == 1


@pytest.mark.parametrize("method", ["auto", "encode"])
def test_a_picture_that_is_held_is_held_in_the_clip(media_samples, tmp_path, method):
    source = media_samples.path("slides.mp4")
    clip = cut_clip(
        ClipRequest(
            source,
            probe(source),
            start_time=4.0,
            end_time=8.5,
            destination=tmp_path / "clip.mp4",
            method=method,
        )
    )
    shown = decoded_pictures(clip.path)
    assert [t for t, _, _ in shown] == pytest.approx([0.0, 2.0], abs=0.002)
    assert clip.facts.duration_seconds == pytest.approx(4.5, abs=0.03)
    assert clip.method == "encode"
    check_sound(source, clip, begins_at=4.0)


@pytest.mark.parametrize(
    ("name", "method"), [("sound.m4a", "copy"), ("sound.mp3", "encode"), ("sound.flac", "encode")]
)
def test_a_source_without_a_picture_gives_an_mp4_with_sound(media_samples, tmp_path, name, method):
    source = media_samples.path(name)
    clip = cut_clip(
        ClipRequest(
            source, probe(source), start_time=2.25, end_time=6.75, destination=tmp_path / "clip.mp4"
        )
    )
    assert clip.method == method
    assert clip.facts.video is None
    assert clip.facts.audio.codec == "aac"
    assert clip.facts.duration_seconds == pytest.approx(4.5, abs=0.03)
    check_sound(source, clip, begins_at=2.25)


def test_forcing_a_copy_of_what_cannot_be_copied_says_why(media_samples, tmp_path):
    source = media_samples.path("vp9.webm")
    with pytest.raises(MediaFailed, match="picture codec is vp9"):
        cut_clip(
            ClipRequest(
                source,
                probe(source),
                start_time=1.0,
                end_time=3.0,
                destination=tmp_path / "clip.mp4",
                method="copy",
            )
        )
    assert list(tmp_path.iterdir()) == []


def test_a_copy_that_comes_out_wrong_is_noticed_and_encoded_instead(
    media_samples, tmp_path, monkeypatch
):
    source = media_samples.path("h264_gop2.mp4")
    facts = probe(source)
    honest = cut_methods._presentation
    frame = 0.04

    def one_frame_late(track, *, shift, begin, end):
        return honest(track, shift=shift - type(shift)(frame), begin=begin, end=end)

    monkeypatch.setattr(cut_methods, "_presentation", one_frame_late)
    cut = {"start_time": 3.1, "end_time": 6.0, "destination": tmp_path / "clip.mp4"}
    with pytest.raises(MediaFailed, match="first frame is not the source's"):
        cut_clip(ClipRequest(source, facts, method="copy", **cut))
    assert list(tmp_path.iterdir()) == []
    clip = cut_clip(ClipRequest(source, facts, **cut))
    check(source, clip, copied=False)


@pytest.mark.parametrize("name", [*COPYABLE, "vp9.webm"])
def test_the_short_probe_of_a_clip_finds_what_the_long_one_does(media_samples, tmp_path, name):
    source = media_samples.path(name)
    facts = probe(source)
    for start in (0.0, 1.234, 3.999):
        clip = cut_clip(
            ClipRequest(
                source,
                facts,
                start_time=start,
                end_time=start + 1.5,
                destination=tmp_path / "clip.mp4",
            )
        )
        assert clip.facts == probe(clip.path)


def test_a_copy_from_whole_keyframes_decodes_the_keyframe_only(
    media_samples, tmp_path, monkeypatch
):
    monkeypatch.setattr(clip_plan, "frame_at", None)
    for name in ("h264_gop10_ntsc.mp4", "h264.mkv", "two_edits.mp4"):
        source = media_samples.path(name)
        facts = probe(source)
        for start, end in WINDOWS:
            clip = cut_clip(
                ClipRequest(
                    source,
                    facts,
                    start_time=start,
                    end_time=end,
                    destination=tmp_path / "clip.mp4",
                    method="copy",
                )
            )
            check(source, clip, copied=True)


@pytest.mark.parametrize(
    ("name", "start"), [("h264_open_gop.mp4", 5.02), ("h264_interlaced.mp4", 1.234)]
)
def test_a_frame_behind_a_doubtful_keyframe_is_decoded(media_samples, name, start):
    source = media_samples.path(name)
    with MediaFile(source, probe(source)) as media:
        assert frame_by_packets(media, start) is None
        decoded = frame_at(media, start)
    frame = decoded.frame
    assert float(frame.pts * frame.time_base) - media.facts.origin_seconds == decoded.time


def test_a_keyframe_that_does_not_decode_is_not_taken_at_its_word(media_samples, tmp_path):
    broken = tmp_path / "broken.mp4"
    data = bytearray(media_samples.path("h264_gop10_ntsc.mp4").read_bytes())
    with av.open(str(media_samples.path("h264_gop10_ntsc.mp4"))) as container:
        keyframe = next(p for p in container.demux(video=0) if p.is_keyframe and p.pts > 0)
    slice_header = keyframe.pos + 5
    data[slice_header : slice_header + 40] = bytes(40)
    broken.write_bytes(data)
    with MediaFile(broken, probe(broken)) as media:
        assert frame_by_packets(media, 9.0) is not None
        assert frame_by_packets(media, 11.0) is None


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seconds=st.floats(0, 11.9))
@pytest.mark.parametrize("name", ["h264_gop2.mp4", "h264_open_gop.mp4", "hevc.mp4"])
def test_packets_tell_the_same_first_frame_as_decoding(media_samples, name, seconds):
    source = media_samples.path(name)
    with MediaFile(source, probed(source)) as media:
        told = frame_by_packets(media, seconds)
        decoded = frame_at(media, seconds)
    if told is not None:
        assert told.time == pytest.approx(decoded.time, abs=1e-6)
        assert told.decoded == decoded.decoded
        assert told.decoded_from == decoded.decoded_from


def test_hidden_pictures_of_a_copy_are_compared_and_not_decoded_again(
    media_samples, tmp_path, monkeypatch
):
    source = media_samples.path("h264_gop10_ntsc.mp4")
    facts = probe(source)
    cut = {"start_time": 3.999, "end_time": 5.6, "method": "copy"}
    honest = clip_proof.frame_at
    monkeypatch.setattr(clip_proof, "frame_at", None)
    clip = cut_clip(ClipRequest(source, facts, destination=tmp_path / "clip.mp4", **cut))
    check(source, clip, copied=True)

    monkeypatch.setattr(clip_proof, "frame_at", honest)
    present = cut_methods.present

    def spoilt(raw, destination, presentations):
        present(raw, destination, presentations)
        data = bytearray(destination.read_bytes())
        with av.open(str(destination)) as container:
            first = next(container.demux(video=0))
            hidden = (first.pos + first.size // 2, first.is_discard)
        assert hidden[1]
        for position in range(hidden[0], hidden[0] + 40):
            data[position] ^= 0x55
        destination.write_bytes(data)

    monkeypatch.setattr(cut_methods, "present", spoilt)
    with pytest.raises(MediaFailed, match=r"first frame|does not play"):
        cut_clip(ClipRequest(source, facts, destination=tmp_path / "spoilt.mp4", **cut))


def test_a_copy_whose_index_needs_more_room_than_was_kept_comes_out_the_same_otherwise(
    media_samples, tmp_path, monkeypatch
):
    source = media_samples.path("h264_gop2.mp4")
    facts = probe(source)
    cut = {"start_time": 3.1, "end_time": 6.0, "method": "copy"}
    usual = cut_clip(ClipRequest(source, facts, destination=tmp_path / "usual.mp4", **cut))
    for room in (200, 0):
        monkeypatch.setattr(cut_methods, "_room_for_index", lambda *_, room=room: room)
        clip = cut_clip(ClipRequest(source, facts, destination=tmp_path / "clip.mp4", **cut))
        check(source, clip, copied=True)
        assert clip.facts.size_bytes < usual.facts.size_bytes


def test_sound_that_drifted_from_the_picture_is_noticed(media_samples, tmp_path, monkeypatch):
    source = media_samples.path("h264_gop2.mp4")
    honest = cut_methods._presentation

    def late_sound(track, *, shift, begin, end):
        drift = type(shift)(0.05) if track.kind == "soun" else 0
        return honest(track, shift=shift + drift, begin=begin, end=end)

    monkeypatch.setattr(cut_methods, "_presentation", late_sound)
    with pytest.raises(MediaFailed, match=r"its sound is [+-]50 ms away"):
        cut_clip(
            ClipRequest(
                source,
                probe(source),
                start_time=3.1,
                end_time=6.0,
                destination=tmp_path / "clip.mp4",
                method="copy",
            )
        )


@pytest.mark.parametrize(("start", "end"), [(5.0, 5.0), (6.0, 5.0), (-1.0, 5.0), (99.0, 100.0)])
def test_a_clip_outside_the_source_is_refused(media_samples, tmp_path, start, end):
    source = media_samples.path("h264_gop2.mp4")
    with pytest.raises(MediaFailed, match="A clip of"):
        cut_clip(
            ClipRequest(
                source,
                probe(source),
                start_time=start,
                end_time=end,
                destination=tmp_path / "c.mp4",
            )
        )


def test_several_clips_are_cut_at_once_and_one_that_fails_stops_no_other(media_samples, tmp_path):
    source = media_samples.path("h264_gop2.mp4")
    facts = probe(source)
    requests = [
        ClipRequest(source, facts, start, start + 2.0, tmp_path / f"{start}.mp4")
        for start in (1.0, 500.0, 3.0, 5.0)
    ]
    done: list[int] = []
    results = cut_clips(requests, workers=2, on_done=lambda index, _: done.append(index))
    assert sorted(done) == [0, 1, 2, 3]
    assert [type(result) for result in results] == [CutClip, MediaFailed, CutClip, CutClip]
    for result in (results[0], results[2], results[3]):
        check(source, result, copied=True)
    assert cut_clips([]) == []


def test_an_interrupt_stops_the_cutting_and_leaves_nothing(media_samples, tmp_path, monkeypatch):
    source = media_samples.path("h264_gop2.mp4")
    facts = probe(source)
    seen: list[threading.Event | None] = []

    def slow(plan, *, raw, destination):
        seen.append(plan.cancelled)
        assert plan.cancelled.wait(timeout=20)
        raise MediaFailed("stopped")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(clip_cutting, "encode_clip", slow)
    requests = [
        ClipRequest(source, facts, 1.0, 2.0, tmp_path / "a.mp4", "copy"),
        ClipRequest(source, facts, 3.0, 5.0, tmp_path / "b.mp4", "encode"),
    ]
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        cut_clips(requests, workers=2, on_done=interrupted)
    assert time.monotonic() - begun < 15
    assert seen
    assert seen[0].is_set()
    assert {path.name for path in tmp_path.iterdir()} <= {"a.mp4"}
