"""Proof that a finished clip shows what it should: pictures and sound compared with the source's.

What sound is compared by is cross-correlation of two stretches of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import Any

import av
import numpy as np
from av.audio.plane import AudioPlane
from av.container import InputContainer
from numpy.typing import NDArray

from videomoments_dagster.media.clip_plan import ClipPlan
from videomoments_dagster.media.container import MediaFile, frames_of, seek_near
from videomoments_dagster.media.facts import AudioStream
from videomoments_dagster.media.frame_access import (
    TIME_TOLERANCE_SECONDS,
    Decoded,
    DecodedFrame,
    difference,
    digest,
    frame_at,
    identical,
    presented_times,
    setup_of,
)
from videomoments_dagster.media.orientation import turn_of

_SOUND_TOLERANCE_SECONDS = 0.020
_ENCODED_DIFFERENCE_LIMIT = 20.0
_NEIGHBOUR_MARGIN = 0.5
_SAME_PICTURE = 2.0
_ENCODED_SHARE = 0.9
"""A source with broken pictures loses some; more than these few would be a mistake."""

_RATE = 8000
_COMPARED_SECONDS = 2.0
_SEARCHED_SECONDS = 0.25
_PREROLL_SECONDS = {"aac": 0.2}
_LONGEST_PREROLL_SECONDS = 1.0
"""What a decoder takes to settle after a seek; AAC two blocks of 1024 samples at most."""
_AUDIBLE = 1e-3
_CLEAR_CORRELATION = 0.6

_Sound = NDArray[np.float32]


class ProofFailed(Exception):
    """The clip is not what it should be; the message says how, as half a sentence."""


def prove_clip(plan: ClipPlan, clip: MediaFile, *, begins_at: float, copied: bool) -> None:
    """Check a clip against its source.

    Args:
        plan: What was asked for.
        clip: The finished file.
        begins_at: Presented time in the source that is the clip's time 0.
        copied: Whether the packets were copied, so that pixels must be identical.

    Raises:
        ProofFailed: Something is not right.
    """
    found, wanted = clip.facts, plan.facts
    if (found.video is None) != (wanted.video is None):
        raise ProofFailed("it has lost its picture")
    if (found.audio is None) != (wanted.audio is None):
        raise ProofFailed("it has lost its sound")
    wrong = found.duration_seconds - plan.duration
    if abs(wrong) > plan.frame_seconds + TIME_TOLERANCE_SECONDS:
        raise ProofFailed(f"it lasts {found.duration_seconds:.3f} s, not {plan.duration:.3f} s")
    if plan.first is not None:
        if not (copied and _begins_with_the_same_packets(plan.first.decoded, clip)):
            _prove_first_frame(plan, clip, copied=copied)
        _prove_pictures(plan, clip, begins_at=begins_at, copied=copied)
    offset = _sound_offset(plan, clip, begins_at=begins_at)
    if offset is not None and abs(offset) > _SOUND_TOLERANCE_SECONDS:
        raise ProofFailed(f"its sound is {offset * 1000:+.0f} ms away from its picture")


def _begins_with_the_same_packets(wanted: Decoded, clip: MediaFile) -> bool:
    """Whether a decoder gets for the clip's first frame what it got for the source's.

    Every byte of it, from the same packet on; then the pixels are the same as well, and decoding
    up to ten seconds of hidden pictures again would tell nothing more.
    """
    video = clip.facts.video
    if video is None or not wanted:
        return False
    with clip.packets() as container:
        stream: Any = container.streams[video.index]
        given = [setup_of(stream)]
        presented: float | None = None
        for packet in islice((one for one in container.demux(stream) if one.size), len(wanted) - 1):
            given.append(digest(packet))
            hidden = packet.pts is None or packet.is_discard
            presented = None if hidden else float(packet.pts * stream.time_base)
    if presented is None or tuple(given) != wanted:
        return False
    return abs(presented - video.start_seconds) <= TIME_TOLERANCE_SECONDS


def _prove_first_frame(plan: ClipPlan, clip: MediaFile, *, copied: bool) -> None:
    found = frame_at(clip, 0.0)
    if found is None:
        raise ProofFailed("its first frame does not decode")
    source = plan.first
    if not isinstance(source, DecodedFrame):
        source = frame_at(plan.source, plan.start_time)
    if source is None:
        raise ProofFailed("the source's frame there does not decode")
    if copied:
        if not identical(found.frame, source.frame):
            raise ProofFailed("its first frame is not the source's")
        return
    turn = turn_of(source.frame, plan.facts.video.rotation if plan.facts.video else 0)
    error = difference(source.frame, found.frame, turn_one=turn)
    if error > _ENCODED_DIFFERENCE_LIMIT:
        raise ProofFailed("its first frame does not look like the source's")
    for neighbour in (source.previous, source.following):
        if neighbour is None or difference(source.frame, neighbour) < _SAME_PICTURE:
            continue
        if difference(neighbour, found.frame, turn_one=turn) + _NEIGHBOUR_MARGIN < error:
            raise ProofFailed("its first frame looks more like the source's frame beside it")


def _prove_pictures(plan: ClipPlan, clip: MediaFile, *, begins_at: float, copied: bool) -> None:
    """Every picture of the stretch is there, at its time, and none after it."""
    shown = presented_times(clip, start=0.0, end=plan.duration * 2 + 60)
    wanted = [max(0.0, time - begins_at) for time in plan.pictures]
    if wanted and not copied:
        wanted[0] = 0.0  # also where it begins only later
    numbers = f"it shows {len(shown)} frames where the source shows {len(wanted)}"
    if copied and len(shown) != len(wanted):
        raise ProofFailed(numbers)
    if not shown or not wanted:
        raise ProofFailed("it shows no frames")
    if shown[-1] > plan.end_time - begins_at + TIME_TOLERANCE_SECONDS:
        raise ProofFailed("it shows frames past its end")
    if len(shown) < _ENCODED_SHARE * len(wanted):
        raise ProofFailed(numbers)
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


def _sound_offset(plan: ClipPlan, clip: MediaFile, *, begins_at: float) -> float | None:
    """Seconds by which the clip's sound is late (early if negative), up to a quarter second.

    None where there is nothing to hear or nothing that matches clearly.
    """
    original, cut = plan.facts.audio, clip.facts.audio
    if original is None or cut is None:
        return None
    duration = plan.end_time - begins_at
    length = min(_COMPARED_SECONDS, duration)
    for place in (0.5, 0.1, 0.8):
        start = min(place * duration, duration - length)
        heard = _sound(clip, cut, start, length)
        if float(np.sqrt(np.mean(heard * heard))) < _AUDIBLE:
            continue
        around = begins_at + start - _SEARCHED_SECONDS
        reference = _sound(plan.source, original, around, length + 2 * _SEARCHED_SECONDS)
        offset = _best_lag(reference, heard)
        if offset is not None:
            return offset
    return None


def _best_lag(reference: _Sound, heard: _Sound) -> float | None:
    size = 1 << int(np.ceil(np.log2(len(reference) + len(heard))))
    spectrum = np.fft.rfft(reference, size) * np.conj(np.fft.rfft(heard, size))
    searched = round(2 * _SEARCHED_SECONDS * _RATE)
    products = np.fft.irfft(spectrum, size)[: searched + 1]
    squares = np.concatenate(([0.0], np.cumsum(reference.astype(np.float64) ** 2)))
    energies = squares[len(heard) : len(heard) + searched + 1] - squares[: searched + 1]
    scale = np.sqrt(np.maximum(energies, 1e-9) * float(np.sum(heard.astype(np.float64) ** 2)))
    scores = products[: len(energies)] / scale
    best = int(np.argmax(scores))
    if scores[best] < _CLEAR_CORRELATION:
        return None
    centre, near = round(_SEARCHED_SECONDS * _RATE), round(_SOUND_TOLERANCE_SECONDS * _RATE)
    nearest = centre - near + int(np.argmax(scores[centre - near : centre + near + 1]))
    # A steady tone matches in many places, the right one among them.
    return (centre - (nearest if scores[nearest] > 0.98 * scores[best] else best)) / _RATE


def _sound(media: MediaFile, audio: AudioStream, start: float, length: float) -> _Sound:
    """Decode a stretch of sound as mono at 8 kHz; what lies before the file's sound is silence.

    Args:
        media: The media file.
        audio: Its sound.
        start: Presented time in seconds.
        length: Seconds.
    """
    origin = media.facts.origin_seconds
    rate = audio.sample_rate
    samples = np.zeros(math.ceil(length * rate) + 1, dtype=np.float32)
    with media.decoding(audio.codec) as container:
        stream: Any = container.streams[audio.index]
        preroll = _PREROLL_SECONDS.get(audio.codec, _LONGEST_PREROLL_SECONDS)
        seek_near(container, stream, origin + start - preroll)
        # A clock of milliseconds is half a wave of 1 kHz off: what follows on follows on exactly.
        rounding = math.ceil(rate * float(stream.time_base))
        follows: int | None = None
        for time, block in _mono_blocks(container, stream, rate):
            at = round((time - origin - start) * rate)
            if follows is not None and abs(at - follows) <= rounding:
                at = follows
            follows = at + len(block)
            if at > len(samples):
                break
            first, last = max(0, at), min(len(samples), at + len(block))
            if first < last:
                samples[first:last] = block[first - at : last - at]
    # The means of stretches of 1/8000 s each.
    sums = np.concatenate(([0.0], np.cumsum(samples, dtype=np.float64)))
    edges = np.arange(round(length * _RATE) + 1) * (rate / _RATE)
    means = np.diff(np.interp(edges, np.arange(len(sums)), sums)) * (_RATE / rate)
    return np.asarray(means, dtype=np.float32)


def _mono_blocks(
    container: InputContainer, stream: Any, rate: int
) -> Iterator[tuple[float, _Sound]]:
    """Container time in seconds of each block of sound, and the block as mono."""
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=rate)
    for packet in container.demux(stream):
        for frame in frames_of(packet):
            if frame.pts is None:
                continue
            plain = frame.format.name == "fltp" and frame.sample_rate == rate
            parts: list[Any] = [frame] if plain else resampler.resample(frame)
            for part in parts:
                # Floats: fractions would take as long as the decoding.
                yield part.pts * float(part.time_base), _mono(part)


def _mono(frame: Any) -> _Sound:
    """Mean of a planar frame's channels."""
    # PyAV's `frame.planes` goes on until a null pointer, which eight channels or more do not have.
    channels = frame.layout.nb_channels
    mixed = np.zeros(frame.samples, np.float32)
    for channel in range(channels):
        plane: Any = AudioPlane(frame, channel)
        mixed += np.frombuffer(plane, np.float32, count=frame.samples)
    mixed /= np.float32(channels)
    return mixed
