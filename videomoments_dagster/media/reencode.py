"""Cutting by decoding and encoding again: exact for every source, and slow.

Belongs here: the one ffmpeg process and its filters. Does not belong here: the proof that it
came out right (`clip_proof`).

The clip's time 0 is the source's `start_time` exactly. The frame that is shown then mostly
appeared a little earlier; it becomes the clip's first frame, at 0, and everything else keeps its
distance to `start_time`.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import ffmpeg

from videomoments_dagster.base.failures import MediaFailed
from videomoments_dagster.media.clip_plan import ClipPlan
from videomoments_dagster.media.container import presented_origin
from videomoments_dagster.media.edit_list import (
    Presentation,
    UnsuitableMp4,
    present,
    read_tracks,
)
from videomoments_dagster.media.facts import AudioStream
from videomoments_dagster.media.ffmpeg import input_options, run_ffmpeg, safe_input
from videomoments_dagster.media.frame_access import TIME_TOLERANCE_SECONDS

_CLOCK = 90_000
_BEFORE_THE_FRAME_SECONDS = 0.0004
"""Less than the coarsest container clock (1 ms), more than rounding."""

_HELD_FRAMES = 1.5

_STEREO = 2
_STEREO_BIT_RATE = 128_000
_BIT_RATE_PER_CHANNEL = 64_000
_CRF = 20


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
    _run(plan, raw)
    try:
        wanted = Fraction(plan.duration)
        presentations = {}
        for kind, track in read_tracks(raw).items():
            shown = track.presentation
            duration = wanted - shown.delay
            if kind == "soun":
                duration = min(duration, track.media_end - shown.media_start)
            presentations[kind] = Presentation(shown.delay, shown.media_start, duration)
        present(raw, destination, presentations)
    except UnsuitableMp4 as error:
        raise MediaFailed(f"ffmpeg's file cannot be edited after {plan.what}: {error}") from error
    return plan.start_time


def _run(plan: ClipPlan, raw: Path) -> None:
    seek_to = plan.start_time
    if plan.first is not None:
        seek_to = min(plan.first.time, plan.first.decoded_from, plan.start_time)
    source = ffmpeg.input(
        safe_input(plan.source),
        threads=plan.threads,
        noaccurate_seek=None,  # the filters drop what lies before
        **_seek(presented_origin(plan.facts) + seek_to if seek_to > 0 else None),
        **input_options(plan.facts),
    )
    streams: list[Any] = []
    options: dict[str, Any] = {
        "copyts": None,  # so that the filters see the container's own times
        "map_metadata": -1,
        "map_chapters": -1,
        "fflags": "+bitexact",
        "threads": plan.threads,
        "filter_complex_threads": plan.threads,
        "format": "mp4",
    }
    if plan.facts.video is not None:
        streams.append(_pictures(source[str(plan.facts.video.index)], plan))
        options |= {
            "c:v": "libx264",
            "preset": "veryfast",
            "crf": _CRF,
            "fps_mode": "passthrough",
            "enc_time_base": f"1:{_CLOCK}",
            "video_track_timescale": _CLOCK,
            "flags:v": "+bitexact",
        }
        held = plan.end_time - plan.pictures[-1] if plan.pictures else plan.duration
        if held > _HELD_FRAMES * plan.frame_seconds:
            # The last picture is held, which takes a last picture that is also stored last.
            options["bf"] = 0
    if plan.facts.audio is not None:
        streams.append(_sound(source[str(plan.facts.audio.index)], plan))
        options |= {"c:a": "aac", "b:a": _sound_bit_rate(plan.facts.audio), "flags:a": "+bitexact"}
    run_ffmpeg(
        ffmpeg.output(*streams, safe_input(raw), **options),
        timeout_seconds=plan.timeout_seconds,
        what=plan.what,
        cancelled=plan.cancelled,
    )


def _seek(seconds: float | None) -> dict[str, Any]:
    return {} if seconds is None else {"ss": f"{seconds:.6f}", "seek_timestamp": 1}


def _pictures(stream: Any, plan: ClipPlan) -> Any:
    origin = presented_origin(plan.facts)
    start = origin + plan.start_time
    first = start if plan.first is None else min(start, origin + plan.first.time)
    stream = (
        stream.filter("trim", start=f"{first - _BEFORE_THE_FRAME_SECONDS:.6f}")
        .filter("settb", f"1/{_CLOCK}")
        .filter("setpts", f"if(eq(N,0),0,floor(PTS-{start * _CLOCK:.3f}+0.5))")
        # A frame that appears within the tolerance of the end is the first one after it.
        .filter("trim", end=f"{plan.duration - TIME_TOLERANCE_SECONDS:.6f}")
    )
    width, height = (
        (plan.facts.video.width, plan.facts.video.height) if plan.facts.video else (0, 0)
    )
    if width % 2 or height % 2:
        stream = stream.filter("scale", "ceil(iw/2)*2", "ceil(ih/2)*2")
    return stream.filter("format", "yuv420p")


def _sound(stream: Any, plan: ClipPlan) -> Any:
    start = presented_origin(plan.facts) + plan.start_time
    return (
        stream.filter("atrim", start=f"{start:.6f}", end=f"{start + plan.duration:.6f}")
        .filter("asetpts", f"PTS-{start:.6f}/TB")
        # Silence where the source has none to give, so that the rest keeps its place.
        .filter("aresample", **{"async": 1, "first_pts": 0})
    )


def _sound_bit_rate(audio: AudioStream) -> int:
    if audio.channels <= _STEREO:
        return _STEREO_BIT_RATE
    return audio.channels * _BIT_RATE_PER_CHANNEL
