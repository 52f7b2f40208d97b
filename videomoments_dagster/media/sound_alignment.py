"""Whether the sound of a clip lies where the source has it.

Belongs here: cross-correlating two stretches of decoded sound. Does not belong here: reading
sound for transcription.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from videomoments_dagster.media.container import open_media, open_packets, presented_origin
from videomoments_dagster.records import MediaFacts

_RATE = 8000
_COMPARED_SECONDS = 2.0
_SEARCHED_SECONDS = 0.25
_PREROLL_SECONDS = 1.0
_PLACES = (0.5, 0.1, 0.8)
_AUDIBLE = 1e-3
_CLEAR_CORRELATION = 0.6


def sound_offset(
    *,
    source: Path,
    source_facts: MediaFacts,
    clip: Path,
    clip_facts: MediaFacts,
    begins_at: float,
    duration: float,
) -> float | None:
    """Measure how far a clip's sound is from where it should be.

    Args:
        source: The file that the clip was cut from.
        source_facts: Its probe.
        clip: The clip.
        clip_facts: Its probe.
        begins_at: Presented time in the source that is the clip's time 0, seconds.
        duration: Length of the clip in seconds.

    Returns:
        Seconds by which the clip's sound is late (early if negative), up to a quarter second;
        None where there is nothing to hear or nothing that matches clearly.
    """
    length = min(_COMPARED_SECONDS, duration)
    for place in _PLACES:
        start = min(place * duration, duration - length)
        heard = decoded_sound(clip, clip_facts, start, length)
        if float(np.sqrt(np.mean(heard * heard))) < _AUDIBLE:
            continue
        reference = decoded_sound(
            source,
            source_facts,
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


def decoded_sound(
    path: Path, facts: MediaFacts, start: float, length: float
) -> NDArray[np.float32]:
    """Decode a stretch of sound as mono at 8 kHz.

    Args:
        path: The media file.
        facts: Its probe; it has sound.
        start: Presented time in seconds; what lies before the file's sound is silence.
        length: Seconds.
    """
    samples = np.zeros(round(length * _RATE), dtype=np.float32)
    if facts.audio is None:
        return samples
    origin = presented_origin(facts)
    resampler = av.AudioResampler(format="flt", layout="mono", rate=_RATE)
    # The header of an MP4 says all that AAC needs; opening it otherwise decodes pictures as well.
    opened = open_packets if facts.audio.codec == "aac" else open_media
    with opened(path, facts) as container:
        stream: Any = container.streams[facts.audio.index]
        earliest = origin + start - _PREROLL_SECONDS
        if earliest > 0:
            container.seek(int(earliest / stream.time_base), stream=stream)
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                continue
            for frame in frames:
                if frame.pts is None:
                    continue
                # Floats: fractions would take as long as the decoding.
                time = frame.pts * float(frame.time_base) - origin
                if time > start + length:
                    return samples
                if time + frame.samples / frame.sample_rate < start - _PREROLL_SECONDS / 2:
                    continue
                for part in resampler.resample(frame):
                    _place(samples, part, origin + start)
    return samples


def _place(samples: NDArray[np.float32], part: Any, container_start: float) -> None:
    block = part.to_ndarray().reshape(-1)
    at = round((part.pts * float(part.time_base) - container_start) * _RATE)
    first, last = max(0, at), min(len(samples), at + len(block))
    if first < last:
        samples[first:last] = block[first - at : last - at]
