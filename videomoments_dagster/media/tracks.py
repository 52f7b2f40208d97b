"""Which of several sound and subtitle tracks is meant: by disposition first, then by content."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition

from videomoments_dagster.base.failures import SourceRejected
from videomoments_dagster.base.files import spoken_name
from videomoments_dagster.media.container import UNREADABLE, frames_of
from videomoments_dagster.media.facts import AudioStream, SoundTrack, SubtitleStream

_FOR_SOME = (
    Disposition.comment
    | Disposition.hearing_impaired
    | Disposition.visual_impaired
    | Disposition.descriptions
    | Disposition.karaoke
)
"""Tracks that few people want, such as a director's comments."""

# Of 32,768: 70 dB below full scale, where a microphone's own noise is louder.
_LOUDEST_OF_SILENCE = 10
_LOOKS = 12
_PACKETS_A_LOOK = 60
_RATE = 8000


def sound_order(stream: Any) -> tuple[bool, bool, int]:
    """Sorts sound streams, the likeliest first: default ones, and none for some people only."""
    return (
        not stream.disposition & Disposition.default,
        bool(stream.disposition & _FOR_SOME),
        stream.index,
    )


def sound_track(stream: Any, *, number: int, codec: str) -> SoundTrack:
    """What people know a sound stream by."""
    return SoundTrack(number, stream.index, codec, stream.language)


def named_track(track: SoundTrack | SubtitleStream, *remarks: str) -> str:
    """A track in words, such as `track 2 (eng)`."""
    words = ", ".join(filter(None, (track.language, *remarks)))
    return f"track {track.number} ({words})" if words else f"track {track.number}"


def subtitle_stream(stream: Any, *, number: int, codec: str) -> SubtitleStream:
    """What is known of a subtitle stream."""
    return SubtitleStream(
        index=stream.index,
        codec=codec,
        language=stream.language,
        is_default=bool(stream.disposition & Disposition.default),
        is_forced=bool(stream.disposition & Disposition.forced),
        number=number,
    )


def chosen_subtitles(streams: Sequence[SubtitleStream], number: int, *, of: Path) -> SubtitleStream:
    """The text subtitle stream with that number.

    Args:
        streams: Those of the file.
        number: Its place among all subtitle streams, from 1.
        of: The file, for the failure.

    Raises:
        SourceRejected: There is none, or it is no text.
    """
    for one in streams:
        if one.number == number:
            return one
    there = ", ".join(named_track(one, one.codec) for one in streams) or "none"
    raise SourceRejected(
        f"{spoken_name(of)} has no text subtitle track {number}; there is {there}",
        remedy="Choose one of those with --subtitle-track, or `subtitle_track` in the run config "
        "of `transcript`",
    )


def fullest_subtitles(streams: Sequence[SubtitleStream]) -> SubtitleStream:
    """The stream with all that is said: forced ones translate signs only, and come last."""
    return min(streams, key=lambda one: (one.is_forced, not one.is_default, one.index))


def is_silent(container: InputContainer, stream: AudioStream) -> bool:
    """Whether a sound stream is silence wherever it is looked at: a dozen places, a second each.

    Args:
        container: The file, opened; it is read on.
        stream: One of its streams, which decodes.
    """
    decoded: Any = container.streams[stream.index]
    length = (container.duration or 0) / av.time_base
    for look in range(_LOOKS):
        with suppress(*UNREADABLE):
            start = stream.start_seconds + length * look / _LOOKS
            container.seek(int(start / decoded.time_base), stream=decoded)
            if _peak(container, decoded) > _LOUDEST_OF_SILENCE:
                return False
    return True


def _peak(container: InputContainer, stream: Any) -> int:
    """The loudest sample of the next second or so, of 32,768."""
    mono = av.AudioResampler(format="s16", layout="mono", rate=_RATE)
    packets = islice(container.demux(stream), _PACKETS_A_LOOK)
    samples = (
        part.to_ndarray().astype(np.int32)
        for packet in packets
        for frame in frames_of(packet)
        for part in mono.resample(frame)
    )
    return max((int(np.abs(one).max(initial=0)) for one in samples), default=0)
