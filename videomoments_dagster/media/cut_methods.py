"""The two ways of cutting a clip; the proof that it came out right is `clip_proof`.

Copying keeps the packets as they are, and an edit list hides those outside the clip. Where a
copied track stands relative to the source is not taken from ffmpeg's arithmetic: a copied packet
is found again in the source by its bytes, and the two timestamps give the offset exactly.

Encoding again is exact for every source, and slow. The clip's time 0 is the source's `start_time`
exactly. The frame that is shown then mostly appeared a little earlier; it becomes the clip's first
frame, at 0, and everything else keeps its distance to `start_time`.
"""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import ffmpeg

from videomoments_dagster.base.failures import MediaFailed
from videomoments_dagster.media.boxes import (
    Presentation,
    Track,
    UnsuitableMp4,
    present,
    read_tracks,
)
from videomoments_dagster.media.clip_plan import ClipPlan
from videomoments_dagster.media.container import MP4, seek_near
from videomoments_dagster.media.facts import AudioStream, MediaFacts
from videomoments_dagster.media.ffmpeg import IN_STEP, input_options, run_ffmpeg, safe_input
from videomoments_dagster.media.frame_access import TIME_TOLERANCE_SECONDS

_COPIED_CONTAINERS = frozenset({MP4, "matroska,webm", "flv"})
_COPIED_PICTURES = frozenset({"h264", "hevc", "av1"})
_COPIED_SOUNDS = frozenset({"aac"})
_SAME_PACKET_SECONDS = 0.005
_ROOM_EXCEEDED = "moov_size is too small"
_MOST_AAC_CHANNELS = 8

_CLOCK = 90_000


class CopyImpossible(Exception):
    """This clip cannot be cut by copying; the message says why, as half a sentence."""


def copy_clip(plan: ClipPlan, *, raw: Path, destination: Path) -> float:
    """Cut a clip by copying packets.

    Args:
        plan: The clip.
        raw: File for ffmpeg to write; left for the caller to remove.
        destination: File to write the finished clip to.

    Returns:
        Presented time in the source of the clip's time 0: the clip starts at the frame that is
        shown at the wanted time, so up to one frame before it.

    Raises:
        CopyImpossible: It cannot be done for this clip.
        MediaFailed: ffmpeg failed.
    """
    reason = _why_not_copyable(plan.facts)
    if reason is not None:
        raise CopyImpossible(reason)
    if plan.facts.audio is not None and plan.sound_from is None:
        raise CopyImpossible("the source has no sound there")
    start = seek_to = plan.start_time
    if plan.first is not None:
        start = min(plan.first.time, plan.start_time)
        seek_to = min(start, plan.first.decoded_from)
        if abs(plan.start_time - plan.first.time) > plan.frame_seconds * 1.01 + 0.001:
            raise CopyImpossible("the frame shown at its start is held longer than a frame lasts")
    origin = plan.facts.origin_seconds
    # A packet that starts between two microseconds must not fall before the seek.
    seek = math.ceil((origin + seek_to) * 1_000_000) / 1_000_000
    length = origin + plan.end_time - seek
    try:
        _copy(plan, raw, seek=seek, length=length, room=_room_for_index(plan, length))
    except MediaFailed as error:
        if _ROOM_EXCEEDED not in error.reason:
            raise
        _copy(plan, raw, seek=seek, length=length, room=0)
    begin, end = Fraction(origin + start), Fraction(origin + plan.end_time)
    try:
        presentations = {
            kind: _presentation(track, shift=_shift(plan, raw, track, seek), begin=begin, end=end)
            for kind, track in read_tracks(raw).items()
        }
        if len(presentations) != len(plan.facts.streams):
            raise CopyImpossible("one of its streams holds nothing there")
        present(raw, destination, presentations)
    except UnsuitableMp4 as error:
        raise CopyImpossible(f"ffmpeg's file cannot be edited: {error}") from error
    return start


def _why_not_copyable(facts: MediaFacts) -> str | None:
    """Say why a source's streams cannot be copied into an MP4; None when they can."""
    if facts.container not in _COPIED_CONTAINERS:
        return f"packets of the container {facts.container} do not go into an MP4 as they are"
    if facts.ignore_edit_list:
        return "the source's edit list contradicts its data"
    if facts.video is not None and facts.video.codec not in _COPIED_PICTURES:
        return f"the picture codec is {facts.video.codec}"
    if facts.audio is not None and facts.audio.codec not in _COPIED_SOUNDS:
        return f"the sound codec is {facts.audio.codec}"
    return None


def _room_for_index(plan: ClipPlan, length: float) -> int:
    """Bytes that the index of `length` seconds hardly exceeds."""
    video, audio = plan.facts.video, plan.facts.audio
    pictures = sounds = 0.0
    if video is not None:
        pictures = length * max(video.frame_rate or 0.0, len(plan.pictures) / plan.duration)
    if audio is not None:
        sounds = length * audio.sample_rate / 1024
    # Tracks take turns: a chunk ends where the other track goes on.
    chunks = 2 * min(pictures, sounds)
    # Entries of an MP4's index (ISO/IEC 14496-12, 8.6 and 8.7), rounded up: size, run of durations,
    # run of reorderings, keyframe; size and run of durations; position, run of chunks.
    return 4096 + int(24 * pictures + 12 * sounds + 20 * chunks)


def _copy(plan: ClipPlan, raw: Path, *, seek: float, length: float, room: int) -> None:
    video = plan.facts.video
    source = _input(plan, seek)
    options: dict[str, Any] = {
        "c": "copy",
        "t": f"{length + 0.1:.6f}",
        **({"moov_size": room} if room else {}),
    }
    if video is not None and video.codec == "hevc":
        options["tag:v"] = "hvc1"  # the only tag of HEVC that Apple's players take
    _run(plan, [source[str(stream.index)] for stream in plan.facts.streams], raw, options)


def _input(plan: ClipPlan, seek: float | None, **options: Any) -> Any:
    if seek is not None:
        options |= {"ss": f"{seek:.6f}", "seek_timestamp": 1}
    return ffmpeg.input(safe_input(plan.source.path), **options, **input_options(plan.facts))


def _run(plan: ClipPlan, streams: list[Any], raw: Path, options: dict[str, Any]) -> None:
    common = {"map_metadata": -1, "map_chapters": -1, "fflags": "+bitexact", "format": "mp4"}
    run_ffmpeg(
        ffmpeg.output(*streams, safe_input(raw), **common, **options),
        timeout_seconds=1800.0,
        task=plan.task,
        cancelled=plan.cancelled,
    )


def _presentation(track: Track, *, shift: Fraction, begin: Fraction, end: Fraction) -> Presentation:
    """What a track presents between two container times of the source."""
    delay = max(Fraction(0), shift - begin)
    media_start = max(Fraction(0), begin - shift)
    duration = min(end - begin - delay, track.media_end - media_start)
    if duration <= 0:
        raise CopyImpossible("one of its streams holds nothing there")
    return Presentation(delay, media_start, duration)


def _shift(plan: ClipPlan, raw: Path, track: Track, seek: float) -> Fraction:
    """Container time of the source at which a copied track's own clock is 0."""
    stream = plan.facts.video if track.kind == "vide" else plan.facts.audio
    copied, shown = track.first_sample, track.presentation
    if stream is None or copied is None:
        raise CopyImpossible("one of its streams holds nothing there")
    with raw.open("rb") as file:
        file.seek(copied.position)
        data = file.read(copied.size)
    expected = seek + float(shown.delay + copied.time - shown.media_start)
    with plan.source.packets() as container:
        original: Any = container.streams[stream.index]
        seek_near(container, original, expected - 1.0)
        tick = float(original.time_base)
        for packet in container.demux(original):
            if packet.pts is None or packet.size == 0:
                continue
            near = abs(packet.pts * tick - expected) <= _SAME_PACKET_SECONDS
            if near and packet.size == len(data) and bytes(packet) == data:
                return Fraction(packet.pts * original.time_base) - copied.time
            if packet.dts is not None and packet.dts * tick > expected + 1.0:
                break
    raise CopyImpossible("a copied packet could not be found again in the source")


def encode_clip(plan: ClipPlan, *, raw: Path, destination: Path) -> float:
    """Cut a clip by encoding it again.

    Args:
        plan: The clip.
        raw: File for ffmpeg to write; left for the caller to remove.
        destination: File to write the finished clip to.

    Returns:
        Presented time in the source of the clip's time 0, which is the wanted start.

    Raises:
        MediaFailed: ffmpeg failed.
    """
    _encode(plan, raw)
    try:
        presentations = {}
        for kind, track in read_tracks(raw).items():
            shown = track.presentation
            duration = Fraction(plan.duration) - shown.delay
            if kind == "soun":
                duration = min(duration, track.media_end - shown.media_start)
            presentations[kind] = Presentation(shown.delay, shown.media_start, duration)
        present(raw, destination, presentations)
    except UnsuitableMp4 as error:
        raise MediaFailed(f"ffmpeg's file cannot be edited after {plan.task}: {error}") from error
    return plan.start_time


def _encode(plan: ClipPlan, raw: Path) -> None:
    video, audio, threads = plan.facts.video, plan.facts.audio, plan.source.threads
    seek_to = plan.start_time
    if plan.first is not None:
        seek_to = min(plan.first.time, plan.first.decoded_from, plan.start_time)
    if plan.sound_from is not None:
        seek_to = min(seek_to, plan.sound_from)
    source = _input(
        plan,
        plan.facts.origin_seconds + seek_to if seek_to > plan.facts.pictures_start else None,
        threads=threads,
        noaccurate_seek=None,  # the filters drop what lies before
    )
    streams: list[Any] = []
    options: dict[str, Any] = {
        "copyts": None,  # so that the filters see the container's own times
        "threads": threads,
        "filter_complex_threads": threads,
    }
    if video is not None:
        odd = video.width % 2 or video.height % 2
        streams.append(_encoded_pictures(source[str(video.index)], plan, odd=bool(odd)))
        options |= {
            "c:v": "libx264",
            "preset": "veryfast",
            "crf": 20,
            "fps_mode": "passthrough",
            "enc_time_base": f"1:{_CLOCK}",
            "video_track_timescale": _CLOCK,
            "flags:v": "+bitexact",
        }
        held = min(plan.end_time - plan.pictures[-1], plan.duration)
        if held > 1.5 * plan.frame_seconds:
            # The last picture is held, which takes a last picture that is also stored last.
            options["bf"] = 0
    if audio is not None:
        if plan.sound_from is None:
            # An editor's timeline of several clips expects the same tracks of each.
            streams.append(_silence(plan, audio))
        else:
            streams.append(_encoded_sound(source[str(audio.index)], plan, audio.channels))
        channels = audio.channels if audio.channels <= _MOST_AAC_CHANNELS else 2
        bit_rate = max(2, channels) * 64_000
        options |= {"c:a": "aac", "b:a": bit_rate, "flags:a": "+bitexact"}
    _run(plan, streams, raw, options)


def _encoded_pictures(stream: Any, plan: ClipPlan, *, odd: bool) -> Any:
    origin = plan.facts.origin_seconds
    start = origin + plan.start_time
    first = start if plan.first is None else min(start, origin + plan.first.time)
    stream = (
        # Less than the coarsest container clock (1 ms) before the frame, more than rounding.
        stream.filter("trim", start=f"{first - 0.0004:.6f}")
        .filter("settb", f"1/{_CLOCK}")
        .filter("setpts", f"if(eq(N,0),0,floor(PTS-{start * _CLOCK:.3f}+0.5))")
        # A frame that appears within the tolerance of the end is the first one after it.
        .filter("trim", end=f"{plan.duration - TIME_TOLERANCE_SECONDS:.6f}")
    )
    if odd:
        stream = stream.filter("scale", "ceil(iw/2)*2", "ceil(ih/2)*2")
    return stream.filter("format", "yuv420p")


def _silence(plan: ClipPlan, audio: AudioStream) -> Any:
    channels = audio.channels if audio.channels <= _MOST_AAC_CHANNELS else 2
    silence = f"anullsrc=channel_layout={channels}c:sample_rate={audio.sample_rate}"
    return ffmpeg.input(silence, format="lavfi", t=f"{plan.duration:.6f}")


def _encoded_sound(stream: Any, plan: ClipPlan, channels: int) -> Any:
    start = plan.facts.origin_seconds + plan.start_time
    if channels > _MOST_AAC_CHANNELS:
        # Every second one to either side, as no mixer knows where so many belong.
        sides = ["+".join(f"c{channel}" for channel in range(side, channels, 2)) for side in (0, 1)]
        stream = stream.filter("pan", f"stereo|FL<{sides[0]}|FR<{sides[1]}")
    return (
        stream.filter("atrim", start=f"{start:.6f}", end=f"{start + plan.duration:.6f}")
        .filter("asetpts", f"PTS-{start:.6f}/TB")
        # Silence where the source has none to give, so that the rest keeps its place.
        .filter("aresample", **IN_STEP)
    )
