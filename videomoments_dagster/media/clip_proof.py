"""Proof that a finished clip shows what it should.

Belongs here: comparing a clip with its source, by decoding both. Does not belong here: cutting,
or what to do when the proof fails (`clip_cutting`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from videomoments_dagster.media.clip_plan import ClipPlan
from videomoments_dagster.media.container import MediaFile
from videomoments_dagster.media.facts import MediaFacts
from videomoments_dagster.media.first_frame import FirstFrame, first_packets
from videomoments_dagster.media.frame_access import (
    TIME_TOLERANCE_SECONDS,
    Shown,
    difference,
    frame_at,
    identical,
    presented_times,
)
from videomoments_dagster.media.sound_alignment import sound_offset

_SOUND_TOLERANCE_SECONDS = 0.020
_ENCODED_DIFFERENCE_LIMIT = 20.0
_NEIGHBOUR_MARGIN = 0.5
_SAME_PICTURE = 2.0
_ENCODED_SHARE = 0.9
"""A source with broken pictures loses some; more than these few would be a mistake."""


class ProofFailed(Exception):
    """The clip is not what it should be; the message says how, as half a sentence."""


def prove_clip(
    plan: ClipPlan,
    clip: MediaFile,
    *,
    begins_at: float,
    copied: bool,
) -> None:
    """Check a clip against its source.

    Args:
        plan: What was asked for.
        clip: The finished file.
        begins_at: Presented time in the source that is the clip's time 0.
        copied: Whether the packets were copied, so that pixels must be identical.

    Raises:
        ProofFailed: Something is not right.
    """
    facts = clip.facts
    _prove_streams(plan, facts)
    _prove_duration(plan, facts)
    if plan.first is not None:
        _prove_first_frame(plan, clip, copied=copied)
        _prove_pictures(plan, clip, begins_at=begins_at, copied=copied)
    if facts.audio is not None:
        _prove_sound(plan, clip, begins_at=begins_at)


def _prove_streams(plan: ClipPlan, facts: MediaFacts) -> None:
    if (facts.video is None) != (plan.facts.video is None):
        raise ProofFailed("it has lost its picture")
    if (facts.audio is None) != (plan.facts.audio is None):
        raise ProofFailed("it has lost its sound")


def _prove_duration(plan: ClipPlan, facts: MediaFacts) -> None:
    wrong = facts.duration_seconds - plan.duration
    if abs(wrong) > plan.frame_seconds + TIME_TOLERANCE_SECONDS:
        raise ProofFailed(f"it lasts {facts.duration_seconds:.3f} s, not {plan.duration:.3f} s")


def _prove_first_frame(plan: ClipPlan, clip: MediaFile, *, copied: bool) -> None:
    if plan.first is None or (copied and _begins_with_the_same_packets(plan.first, clip)):
        return
    presented = frame_at(clip, 0.0)
    if presented is None:
        raise ProofFailed("its first frame does not decode")
    source = plan.first.frames or frame_at(plan.source_file, plan.start_time)
    if source is None:
        raise ProofFailed("the source's frame there does not decode")
    found, wanted = presented.shown.frame, source.shown
    if copied:
        if not identical(found, wanted.frame):
            raise ProofFailed("its first frame is not the source's")
        return
    error = _difference(plan, wanted, found)
    if error > _ENCODED_DIFFERENCE_LIMIT:
        raise ProofFailed("its first frame does not look like the source's")
    for neighbour in (source.previous, source.following):
        if neighbour is None or difference(wanted.frame, neighbour.frame) < _SAME_PICTURE:
            continue
        if _difference(plan, neighbour, found) + _NEIGHBOUR_MARGIN < error:
            raise ProofFailed("its first frame looks more like the source's frame beside it")


def _begins_with_the_same_packets(first: FirstFrame, clip: MediaFile) -> bool:
    """Whether a decoder gets for the clip's first frame what it got for the source's.

    Every byte of it, from the same packet on; then the pixels are the same as well, and decoding
    up to ten seconds of hidden pictures again would tell nothing more.
    """
    if clip.facts.video is None or not first.decoded.digests:
        return False
    packets, last_presented_at = first_packets(
        clip, stream_index=clip.facts.video.index, count=len(first.decoded.digests)
    )
    at_the_start = (
        last_presented_at is not None and abs(last_presented_at) <= TIME_TOLERANCE_SECONDS
    )
    return at_the_start and packets == first.decoded


def _difference(plan: ClipPlan, original: Shown, encoded: Any) -> float:
    rotation = plan.facts.video.rotation if plan.facts.video else 0
    return difference(original.frame, encoded, rotate_one=rotation)


def _prove_pictures(plan: ClipPlan, clip: MediaFile, *, begins_at: float, copied: bool) -> None:
    """Every picture of the stretch is there, at its time, and none after it."""
    if clip.facts.video is None:
        return
    shown = presented_times(
        clip, stream_index=clip.facts.video.index, start=0.0, end=plan.duration * 2 + 60
    )
    wanted = [max(0.0, time - begins_at) for time in plan.pictures]
    if copied and len(shown) != len(wanted):
        raise ProofFailed(f"it shows {len(shown)} frames where the source shows {len(wanted)}")
    if not shown or not wanted:
        raise ProofFailed("it shows no frames")
    if shown[-1] > plan.end_time - begins_at + TIME_TOLERANCE_SECONDS:
        raise ProofFailed("it shows frames past its end")
    if len(shown) < _ENCODED_SHARE * len(wanted):
        raise ProofFailed(f"it shows {len(shown)} frames where the source shows {len(wanted)}")
    away = _farthest_from(wanted, shown)
    if away > plan.frame_seconds / 2:
        raise ProofFailed(f"a frame is {away * 1000:.0f} ms away from its time")


def _farthest_from(wanted: list[float], shown: list[float]) -> float:
    """The largest distance of a shown picture's time from the nearest wanted one, seconds."""
    times, near = np.array(shown), np.array(wanted)
    after = np.searchsorted(near, times)
    following = near[np.minimum(after, len(near) - 1)]
    before = near[np.maximum(after - 1, 0)]
    return float(np.max(np.minimum(np.abs(times - before), np.abs(times - following))))


def _prove_sound(plan: ClipPlan, clip: MediaFile, *, begins_at: float) -> None:
    if plan.facts.audio is None or clip.facts.audio is None:
        return
    offset = sound_offset(
        source=plan.source_file,
        clip=clip,
        begins_at=begins_at,
        duration=plan.end_time - begins_at,
    )
    if offset is not None and abs(offset) > _SOUND_TOLERANCE_SECONDS:
        raise ProofFailed(f"its sound is {offset * 1000:+.0f} ms away from its picture")
