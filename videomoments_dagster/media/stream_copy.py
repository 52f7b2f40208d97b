"""Cutting without re-encoding: the packets as they are, and an edit list that hides the rest.

Belongs here: which sources allow it, the one ffmpeg process, and working out where in the copied
tracks the clip starts. Does not belong here: the proof that it came out right (`clip_proof`).

Where a copied track stands relative to the source is not taken from ffmpeg's arithmetic: a
copied packet is found again in the source by its bytes, and the two timestamps give the offset
exactly.
"""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import ffmpeg

from videomoments_dagster.base.failures import MediaFailed
from videomoments_dagster.media.clip_plan import ClipPlan
from videomoments_dagster.media.container import MP4, presented_origin
from videomoments_dagster.media.edit_list import (
    Presentation,
    Track,
    UnsuitableMp4,
    present,
    read_tracks,
)
from videomoments_dagster.media.facts import MediaFacts
from videomoments_dagster.media.ffmpeg import input_options, run_ffmpeg, safe_input

_CONTAINERS = frozenset({MP4, "matroska,webm", "flv"})
_PICTURE_CODECS = frozenset({"h264", "hevc", "av1"})
_SOUND_CODECS = frozenset({"aac"})
_MICROSECONDS = 1_000_000
_COPIED_PAST_THE_END_SECONDS = 0.1
_SAME_PACKET_SECONDS = 0.005
# Entries of an MP4's index (ISO/IEC 14496-12, 8.6 and 8.7), rounded up: size, run of durations,
# run of reorderings, keyframe; size and run of durations; position, run of chunks.
_BYTES_PER_PICTURE = 24
_BYTES_PER_SOUND = 12
_BYTES_PER_CHUNK = 20
_ROOM_BYTES = 4096
_SAMPLES_PER_SOUND_PACKET = 1024
_ROOM_EXCEEDED = "moov_size is too small"


class CopyImpossible(Exception):
    """This clip cannot be cut by copying; the message says why, as half a sentence."""


def why_not_copyable(facts: MediaFacts) -> str | None:
    """Say why a source's streams cannot be copied into an MP4; None when they can."""
    if facts.container not in _CONTAINERS:
        return f"packets of the container {facts.container} do not go into an MP4 as they are"
    if facts.ignore_edit_list:
        return "the source's edit list contradicts its data"
    if facts.video is not None and facts.video.codec not in _PICTURE_CODECS:
        return f"the picture codec is {facts.video.codec}"
    if facts.audio is not None and facts.audio.codec not in _SOUND_CODECS:
        return f"the sound codec is {facts.audio.codec}"
    return None


def copy_clip(plan: ClipPlan, *, raw: Path, destination: Path) -> float:
    """Cut a clip by copying packets.

    Args:
        plan: The clip.
        raw: File for ffmpeg to write; left for the caller to remove.
        destination: File to write the finished clip to.

    Returns:
        Presented time in the source of the clip's first frame: the clip starts at the frame
        that is shown at the wanted time, so up to one frame before it.

    Raises:
        CopyImpossible: It cannot be done for this clip.
        MediaFailed: ffmpeg failed.
    """
    reason = why_not_copyable(plan.facts)
    if reason is not None:
        raise CopyImpossible(reason)
    start = plan.start_time
    if plan.first is not None:
        start = plan.first.time
        if plan.start_time - start > plan.frame_seconds * 1.01 + 0.001:
            raise CopyImpossible("the frame shown at its start is held longer than a frame lasts")
    origin = presented_origin(plan.facts)
    # A packet that starts between two microseconds must not fall before the seek.
    seek_to = start if plan.first is None else min(start, plan.first.decoded_from)
    seek = math.ceil((origin + seek_to) * _MICROSECONDS) / _MICROSECONDS
    length = origin + plan.end_time - seek
    room = _room_for_index(plan, length)
    try:
        _run(plan, raw, seek=seek, length=length, room=room)
    except MediaFailed as error:
        if _ROOM_EXCEEDED not in error.reason:
            raise
        _run(plan, raw, seek=seek, length=length, room=0)
    try:
        tracks = read_tracks(raw)
        begin, end = Fraction(origin + start), Fraction(origin + plan.end_time)
        presentations = {
            kind: _presentation(
                track,
                shift=_shift(plan, raw, track, seek),
                begin=begin,
                end=end,
            )
            for kind, track in tracks.items()
        }
        if set(presentations) != _kinds(plan.facts):
            raise CopyImpossible("one of its streams holds nothing there")
        present(raw, destination, presentations)
    except UnsuitableMp4 as error:
        raise CopyImpossible(f"ffmpeg's file cannot be edited: {error}") from error
    return start


def _kinds(facts: MediaFacts) -> set[str]:
    return {
        kind
        for kind, stream in (("vide", facts.video), ("soun", facts.audio))
        if stream is not None
    }


def _room_for_index(plan: ClipPlan, length: float) -> int:
    """Bytes that the index of `length` seconds hardly exceeds."""
    video, audio = plan.facts.video, plan.facts.audio
    pictures = sounds = 0.0
    if video is not None:
        pictures = length * max(video.frame_rate or 0.0, len(plan.pictures) / plan.duration)
    if audio is not None:
        sounds = length * audio.sample_rate / _SAMPLES_PER_SOUND_PACKET
    # Tracks take turns: a chunk ends where the other track goes on.
    chunks = 2 * min(pictures, sounds)
    return _ROOM_BYTES + int(
        pictures * _BYTES_PER_PICTURE + sounds * _BYTES_PER_SOUND + chunks * _BYTES_PER_CHUNK
    )


def _run(plan: ClipPlan, raw: Path, *, seek: float, length: float, room: int) -> None:
    facts = plan.facts
    source = ffmpeg.input(
        safe_input(plan.source), ss=f"{seek:.6f}", seek_timestamp=1, **input_options(facts)
    )
    streams = [source[str(s.index)] for s in (facts.video, facts.audio) if s is not None]
    options: dict[str, Any] = {
        "c": "copy",
        "t": f"{length + _COPIED_PAST_THE_END_SECONDS:.6f}",
        "map_metadata": -1,
        "map_chapters": -1,
        "fflags": "+bitexact",
        "format": "mp4",
    }
    if room:
        options["moov_size"] = room
    if facts.video is not None and facts.video.codec == "hevc":
        options["tag:v"] = "hvc1"  # the only tag of HEVC that Apple's players take
    run_ffmpeg(
        ffmpeg.output(*streams, safe_input(raw), **options),
        timeout_seconds=plan.timeout_seconds,
        what=plan.what,
        cancelled=plan.cancelled,
    )


def _presentation(track: Track, *, shift: Fraction, begin: Fraction, end: Fraction) -> Presentation:
    """What a track presents between two container times of the source."""
    media_start = begin - shift
    delay = max(Fraction(0), -media_start)
    media_start = max(Fraction(0), media_start)
    duration = min(end - begin - delay, track.media_end - media_start)
    if duration <= 0:
        raise CopyImpossible("one of its streams holds nothing there")
    return Presentation(delay=delay, media_start=media_start, duration=duration)


def _shift(plan: ClipPlan, raw: Path, track: Track, seek: float) -> Fraction:
    """Container time of the source at which a copied track's own clock is 0."""
    stream = plan.facts.video if track.kind == "vide" else plan.facts.audio
    if stream is None:
        raise CopyImpossible("it has a stream that was not asked for")
    copied = track.first_sample
    if copied is None:
        raise CopyImpossible("one of its streams holds nothing there")
    with raw.open("rb") as file:
        file.seek(copied.position)
        data = file.read(copied.size)
    shown = track.presentation
    expected = seek + float(shown.delay + copied.time - shown.media_start)
    with plan.source_file.packets() as container:
        original: Any = container.streams[stream.index]
        earliest = max(0.0, expected - 1.0)
        if earliest > 0:
            container.seek(int(earliest / original.time_base), stream=original)
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
