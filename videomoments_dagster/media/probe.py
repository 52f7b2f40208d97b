"""Probing: what a media file holds, or why it cannot be worked on.

Belongs here: choosing the streams, checking that they decode, measuring the presented timeline.
Does not belong here: fetching the file; anything that changes it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.stream import Disposition

from videomoments_dagster.base.failures import SourceRejected
from videomoments_dagster.media import timeline
from videomoments_dagster.media.container import MP4, MediaFile, open_media, open_packets
from videomoments_dagster.media.facts import AudioStream, MediaFacts, SubtitleStream, VideoStream
from videomoments_dagster.media.sniffing import what_it_is_instead
from videomoments_dagster.media.truncation import is_fragmented_mp4, why_incomplete

_TEXT_SUBTITLES = frozenset(
    {"mov_text", "subrip", "srt", "webvtt", "ass", "ssa", "text", "ttml", "subviewer", "microdvd"}
)
_NOT_A_PICTURE_STREAM = Disposition.attached_pic | Disposition.timed_thumbnails
_CLAIM_TOLERANCE_SECONDS = 1.0
_CLAIM_TOLERANCE_SHARE = 0.05
_IMPLAUSIBLE_EDIT_SHARE = 0.5
_SAMPLED_FROM_SECONDS = 2.0
_Opened = Callable[[], AbstractContextManager[InputContainer]]
_OpenedAs = Callable[[MediaFacts], AbstractContextManager[InputContainer]]
_FirstFrame = Callable[[InputContainer, Any], tuple[float, Any] | None]
_REMEDY = "Give a video or audio file that plays from start to end"


def probe(path: Path, *, sample: bool = True) -> MediaFacts:
    """Find out what a media file holds.

    Args:
        path: A local file.
        sample: Whether to check that it decodes in its middle as well as at its start.

    Returns:
        Its streams, and its duration as presented, measured from the data.

    Raises:
        SourceRejected: There is no such file, or it is none that can be worked on; the reason
            names the file.
    """
    size = _size_of_file(path)
    instead = what_it_is_instead(path)
    if instead is not None:
        raise _rejected(path, f"is {instead}, not a video or audio file")
    incomplete = why_incomplete(path)
    try:
        found = _facts_from_outside(path, size, incomplete, edit_list=True)
        if found is None:
            found = _facts_from_outside(path, size, incomplete, edit_list=False)
        if found is not None and sample:
            _reject_undecodable(path, found)
    except timeline.ScanTooLong:
        raise _rejected(path, "could not be read to its end within two minutes") from None
    except (av.error.FFmpegError, ValueError, OSError) as error:
        if incomplete is not None:
            raise _rejected(path, f"is truncated: {incomplete}") from error
        raise _rejected(path, "is corrupt or in a format that is not supported") from error
    if found is None:
        raise _rejected(path, "is corrupt: its edit list shows nothing of its data")
    return found


def probe_written(path: Path) -> MediaFacts:
    """Probe an MP4 that this project just wrote.

    Nothing is asked of it that only files from outside can get wrong: it is opened once, and of
    its pictures only the first stored one is decoded.

    Raises:
        SourceRejected: It does not play.
    """
    written = MediaFacts(
        container=MP4,
        duration_seconds=0.0,
        size_bytes=_size_of_file(path),
        video=None,
        audio=None,
    )
    try:
        with MediaFile(path, written) as media:
            found = _facts(
                path,
                written,
                opened=media.packets,
                packets=lambda _: media.packets(),
                first_frame=timeline.first_frame_by_packets,
            )
    except (av.error.FFmpegError, ValueError, OSError, timeline.ScanTooLong) as error:
        raise _rejected(path, "is corrupt") from error
    if found is None:
        raise _rejected(path, "is corrupt: its edit list shows nothing of its data")
    return found


def _size_of_file(path: Path) -> int:
    try:
        status = path.stat()
        if path.is_dir():
            raise _rejected(path, "is a directory")
        if not path.is_file():
            raise _rejected(path, "is not a regular file")
        if status.st_size == 0:
            raise _rejected(path, "is empty (0 bytes)")
        with path.open("rb"):
            return status.st_size
    except FileNotFoundError as error:
        raise SourceRejected(
            f"'{path}' does not exist", remedy="Correct the path, or put the file there"
        ) from error
    except PermissionError as error:
        raise SourceRejected(
            f"'{path}' may not be read by this user", remedy="Change the file's permissions"
        ) from error
    except OSError as error:
        raise _rejected(path, f"could not be read: {error.strerror or error}") from error


def _rejected(path: Path, reason: str) -> SourceRejected:
    return SourceRejected(f"'{path}' {reason}", remedy=_REMEDY)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A stream that was seen to decode; what is needed of it after its container is closed."""

    index: int
    codec: str
    start_seconds: float
    time_base: Fraction
    frame_rate: Fraction | None
    frame: Any


def _facts_from_outside(
    path: Path, size: int, incomplete: str | None, *, edit_list: bool
) -> MediaFacts | None:
    """Probe with or without the edit list; None when the edit list contradicts the data."""
    facts = MediaFacts(
        container=MP4,
        duration_seconds=0.0,
        size_bytes=size,
        video=None,
        audio=None,
        ignore_edit_list=not edit_list,
    )
    source = None if edit_list else facts
    with open_media(path, source) as container:
        _reject_truncated(path, container, incomplete)
        facts = replace(facts, container=container.format.name)
    return _facts(
        path,
        facts,
        opened=lambda: open_media(path, source),
        packets=partial(open_packets, path),
        first_frame=timeline.first_frame,
    )


def _facts(
    path: Path,
    facts: MediaFacts,
    *,
    opened: _Opened,
    packets: _OpenedAs,
    first_frame: _FirstFrame,
) -> MediaFacts | None:
    """Measure what a file of a known container holds; None when its edit list contradicts it."""
    with opened() as container:
        facts = replace(facts, subtitles=_subtitle_streams(container))
        claimed_end = _claimed_end(container)
        pictures, sounds = (_candidates(container, kind) for kind in ("video", "audio"))
    video = _choose(path, opened, first_frame, pictures, what="pictures")
    audio = _choose(path, opened, first_frame, sounds, what="sound")
    timed = video or audio
    if timed is None:
        raise _rejected(path, "holds neither moving pictures nor sound")
    facts = replace(
        facts,
        video=_video_stream(video) if video else None,
        audio=_audio_stream(audio) if audio else None,
    )
    end = _measured_end(path, facts, claimed_end, opened=opened, packets=packets)
    duration = end - timed.start_seconds
    if not facts.ignore_edit_list and facts.container == MP4:
        promised = (claimed_end or 0.0) - timed.start_seconds
        if duration <= _IMPLAUSIBLE_EDIT_SHARE * promised or duration <= 0:
            return None
    if duration <= 0:
        raise _rejected(path, "is corrupt: none of its frames lasts any time")
    return replace(facts, duration_seconds=duration)


def _reject_truncated(path: Path, container: InputContainer, incomplete: str | None) -> None:
    if container.format.name != MP4:
        if incomplete is not None:
            raise _rejected(path, f"is truncated: {incomplete}")
        return
    if incomplete is not None and is_fragmented_mp4(path):
        raise _rejected(path, f"is truncated: {incomplete}")
    size = path.stat().st_size
    promised = max(
        (entry.pos + entry.size for stream in container.streams for entry in stream.index_entries),
        default=0,
    )
    if promised > size:
        raise _rejected(
            path, f"is truncated: its index reaches {promised - size} bytes past its end"
        )


def _claimed_end(container: InputContainer) -> float | None:
    if not container.duration or container.duration < 0:
        return None
    return ((container.start_time or 0) + container.duration) / float(av.time_base)


def _candidates(container: InputContainer, kind: str) -> dict[int, str]:
    """Indexes of a container's streams of a kind, and their codecs; the likeliest first."""
    candidates = [
        stream
        for stream in container.streams
        if stream.type == kind and not stream.disposition & _NOT_A_PICTURE_STREAM
    ]
    if kind == "audio":
        candidates.sort(key=lambda s: (not s.disposition & Disposition.default, s.index))
    return {stream.index: _codec(stream) for stream in candidates}


def _choose(
    path: Path,
    opened: _Opened,
    first_frame: _FirstFrame,
    candidates: dict[int, str],
    *,
    what: str,
) -> _Chosen | None:
    """Take the first stream that decodes; for sound, the default one before others."""
    for index in candidates:
        with opened() as container:
            stream = container.streams[index]
            found = first_frame(container, stream) if stream.codec_context else None
            if found is not None:
                return _Chosen(
                    index=index,
                    codec=_codec(stream),
                    start_seconds=found[0],
                    time_base=stream.time_base or Fraction(1, 1000),
                    frame_rate=getattr(stream, "average_rate", None),
                    frame=found[1],
                )
    for index, codec in candidates.items():
        with opened() as container:
            if timeline.has_packets(container, container.streams[index]):
                raise _rejected(path, f"is corrupt: its {what} ({codec}) cannot be decoded")
    return None


def _codec(stream: Any) -> str:
    context = stream.codec_context
    return str(context.codec.canonical_name) if context else "unknown codec"


def _video_stream(chosen: _Chosen) -> VideoStream:
    # FFmpeg's angle is counterclockwise and may be off by a fraction.
    rotation = round(-chosen.frame.rotation / 90) * 90 % 360
    width, height = chosen.frame.width, chosen.frame.height
    if rotation in {90, 270}:
        width, height = height, width
    return VideoStream(
        index=chosen.index,
        codec=chosen.codec,
        width=width,
        height=height,
        rotation=rotation,
        frame_rate=float(chosen.frame_rate) if chosen.frame_rate else None,
        start_seconds=chosen.start_seconds,
        time_base=round(1 / chosen.time_base),
    )


def _audio_stream(chosen: _Chosen) -> AudioStream:
    return AudioStream(
        index=chosen.index,
        codec=chosen.codec,
        sample_rate=chosen.frame.sample_rate,
        channels=chosen.frame.layout.nb_channels,
        start_seconds=chosen.start_seconds,
    )


def _subtitle_streams(container: InputContainer) -> tuple[SubtitleStream, ...]:
    return tuple(
        SubtitleStream(index=stream.index, codec=_codec(stream), language=stream.language)
        for stream in container.streams
        if stream.type == "subtitle" and _codec(stream) in _TEXT_SUBTITLES
    )


def _measured_end(
    path: Path,
    facts: MediaFacts,
    claimed_end: float | None,
    *,
    opened: _Opened,
    packets: _OpenedAs,
) -> float:
    """Container time at which the last presented frame or sample ends."""
    indexes = [stream.index for stream in (facts.video, facts.audio) if stream is not None]
    tail = None
    if claimed_end is not None and facts.container not in timeline.ESTIMATING_DEMUXERS:
        with packets(facts) as container:
            streams = tuple(container.streams[index] for index in indexes)
            tail = timeline.tail_after_seek(container, streams, claimed_end)
        tolerance = max(_CLAIM_TOLERANCE_SECONDS, _CLAIM_TOLERANCE_SHARE * claimed_end)
        if tail is not None and abs(tail.end_seconds - claimed_end) > tolerance:
            tail = None
    if tail is None:
        with opened() as container:
            streams = tuple(container.streams[index] for index in indexes)
            tail = timeline.tail_by_scan(container, streams)
    if tail is None:
        raise _rejected(path, "is corrupt: it holds no frames with a time")
    # Within one packet the header knows better: it has cut off what the encoder padded.
    if claimed_end is not None and abs(tail.end_seconds - claimed_end) <= tail.packet_seconds:
        return claimed_end
    return tail.end_seconds


def _reject_undecodable(path: Path, facts: MediaFacts) -> None:
    """Refuse a file of which only the beginning decodes."""
    stream = facts.video or facts.audio
    if stream is None or facts.duration_seconds < _SAMPLED_FROM_SECONDS:
        return
    with open_media(path, facts) as container:
        decodable = any(
            timeline.decodes_at(
                container,
                container.streams[stream.index],
                stream.start_seconds + share * facts.duration_seconds,
            )
            for share in (0.5, 0.75, 0.25)
        )
    if not decodable:
        raise _rejected(path, "is corrupt: only its beginning can be decoded")
