"""Whether the sound of a clip lies where the source has it.

Belongs here: cross-correlating two stretches of decoded sound. Does not belong here: reading
sound for transcription.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from videomoments_dagster.media.container import MediaFile, presented_origin

_RATE = 8000
_COMPARED_SECONDS = 2.0
_SEARCHED_SECONDS = 0.25
_PREROLL_SECONDS = {"aac": 0.2}
_LONGEST_PREROLL_SECONDS = 1.0
"""What a decoder takes to settle after a seek; AAC two blocks of 1024 samples at most."""
_PLACES = (0.5, 0.1, 0.8)
_AUDIBLE = 1e-3
_CLEAR_CORRELATION = 0.6


def sound_offset(
    *,
    source: MediaFile,
    clip: MediaFile,
    begins_at: float,
    duration: float,
) -> float | None:
    """Measure how far a clip's sound is from where it should be.

    Args:
        source: The file that the clip was cut from.
        clip: The clip.
        begins_at: Presented time in the source that is the clip's time 0, seconds.
        duration: Length of the clip in seconds.

    Returns:
        Seconds by which the clip's sound is late (early if negative), up to a quarter second;
        None where there is nothing to hear or nothing that matches clearly.
    """
    length = min(_COMPARED_SECONDS, duration)
    for place in _PLACES:
        start = min(place * duration, duration - length)
        heard = decoded_sound(clip, start, length)
        if float(np.sqrt(np.mean(heard * heard))) < _AUDIBLE:
            continue
        reference = decoded_sound(
            source,
            begins_at + start - _SEARCHED_SECONDS,
            length + 2 * _SEARCHED_SECONDS,
        )
        offset = _best_lag(reference, heard)
        if offset is not None:
            return offset
    return None


def _best_lag(reference: NDArray[np.float32], heard: NDArray[np.float32]) -> float | None:
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
    centre = round(_SEARCHED_SECONDS * _RATE)
    if scores[centre] > 0.98 * scores[best]:
        # A steady tone matches in many places, the right one among them.
        return 0.0
    return (centre - best) / _RATE


def decoded_sound(media: MediaFile, start: float, length: float) -> NDArray[np.float32]:
    """Decode a stretch of sound as mono at 8 kHz.

    Args:
        media: The media file; it has sound.
        start: Presented time in seconds; what lies before the file's sound is silence.
        length: Seconds.
    """
    audio = media.facts.audio
    if audio is None:
        return np.zeros(round(length * _RATE), dtype=np.float32)
    origin = presented_origin(media.facts)
    rate = audio.sample_rate
    samples = np.zeros(math.ceil(length * rate) + 1, dtype=np.float32)
    with media.decoding(audio.codec) as container:
        stream: Any = container.streams[audio.index]
        earliest = origin + start - _PREROLL_SECONDS.get(audio.codec, _LONGEST_PREROLL_SECONDS)
        if earliest > 0:
            container.seek(int(earliest / stream.time_base), stream=stream)
        for time, block in _decoded(container, stream, rate):
            at = round((time - origin - start) * rate)
            if at > len(samples):
                break
            first, last = max(0, at), min(len(samples), at + len(block))
            if first < last:
                samples[first:last] = block[first - at : last - at]
    return _averaged(samples, rate=rate, count=round(length * _RATE))


def _decoded(
    container: InputContainer, stream: Any, rate: int
) -> Iterator[tuple[float, NDArray[np.float32]]]:
    """Container time in seconds of each block of sound, and the block as mono."""
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=rate)
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            continue
        for frame in frames:
            if frame.pts is None:
                continue
            plain = frame.format.name == "fltp" and frame.sample_rate == rate
            parts: list[Any] = [frame] if plain else resampler.resample(frame)
            for part in parts:
                # Floats: fractions would take as long as the decoding.
                yield part.pts * float(part.time_base), _mono(part)


def _mono(frame: Any) -> NDArray[np.float32]:
    """Mean of a planar frame's channels."""
    mixed = np.array(np.frombuffer(frame.planes[0], np.float32, count=frame.samples))
    for plane in frame.planes[1:]:
        mixed += np.frombuffer(plane, np.float32, count=frame.samples)
    mixed /= np.float32(len(frame.planes))
    return mixed


def _averaged(samples: NDArray[np.float32], *, rate: int, count: int) -> NDArray[np.float32]:
    """The means of `count` stretches of 1/8000 s each, from the start on."""
    sums = np.concatenate(([0.0], np.cumsum(samples, dtype=np.float64)))
    edges = np.interp(np.arange(count + 1) * (rate / _RATE), np.arange(len(sums)), sums)
    return np.asarray(np.diff(edges) * (_RATE / rate), dtype=np.float32)
