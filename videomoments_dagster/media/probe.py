"""Probing: what a media file holds, measured on its presented timeline, or why it is refused.

First and last presented times come from decoding the beginning and demuxing the end; all packets
are read only where that quick way is suspicious.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import av
from av.container import InputContainer
from av.stream import Disposition

from videomoments_dagster.base.failures import SourceRejected
from videomoments_dagster.media.clock_jumps import clock_jump
from videomoments_dagster.media.container import (
    MP4,
    UNREADABLE,
    MediaFile,
    decode_with,
    frames_of,
    is_stray,
    open_media,
    open_packets,
    picture_sizes,
    time_of,
)
from videomoments_dagster.media.facts import AudioStream, MediaFacts, SoundTrack, VideoStream
from videomoments_dagster.media.ffmpeg import most_pixels
from videomoments_dagster.media.frame_access import NAL_CODECS, REORDERING_FRAMES
from videomoments_dagster.media.sniffing import (
    is_encrypted_mp4,
    is_fragmented_mp4,
    mp4_codecs,
    mp4_seconds,
    what_it_is_instead,
    where_data_is,
    why_incomplete,
)
from videomoments_dagster.media.tracks import (
    is_silent,
    named_track,
    sound_order,
    sound_track,
    subtitle_stream,
)

_TEXT_SUBTITLES = frozenset(
    {"mov_text", "subrip", "srt", "webvtt", "ass", "ssa", "text", "ttml", "subviewer", "microdvd"}
)
_NOT_A_PICTURE_STREAM = Disposition.attached_pic | Disposition.timed_thumbnails
_SAMPLED_FROM_SECONDS = 2.0
_PACKETS_TRIED = 600
_FRAMES_FOR_START = 4
_EXAGGERATED = 1.5
_UNKNOWN = "unknown codec"
_ESTIMATING_DEMUXERS = frozenset({"mp3", "aac", "ac3", "amr"})
"""Demuxers that guess the time after a seek from the bit rate."""

_First = tuple[float, Any]
"""Container time of the first presented frame in seconds, and a frame of the stream's beginning."""
_Stream = TypeVar("_Stream", VideoStream, AudioStream)


class _ScanTooLong(Exception):
    """Reading all packets took longer than its limit."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """How a file is looked at.

    Attributes:
        opened: Opens it from its start.
        packets: Opens it to read its packets only; with what is known of it by then.
        first_frame: Decodes the beginning of a stream; None when nothing there decodes.
        sound_needed: Whether pictures alone will not do where nothing here knows the sound's codec.
        sound_track: Number of the sound track that somebody chose.
    """

    opened: Callable[[], AbstractContextManager[InputContainer]]
    packets: Callable[[MediaFacts], AbstractContextManager[InputContainer]]
    first_frame: Callable[[InputContainer, Any], _First | None]
    sound_needed: bool = True
    sound_track: int | None = None


def probe(path: Path, *, sound_needed: bool = True, sound_track: int | None = None) -> MediaFacts:
    """Find out what a media file holds.

    Args:
        path: A local file.
        sound_needed: Whether pictures alone will not do where nothing here knows the sound's codec.
        sound_track: Number of the sound track that is worked on, from 1; None leaves it to
            disposition and content.

    Returns:
        Its streams, and its duration as presented, measured from the data.

    Raises:
        SourceRejected: There is no such file, or it is none that can be worked on; the reason
            names the file.
    """
    facts = _facts_before(path)
    instead = what_it_is_instead(path)
    if instead is not None:
        raise _rejected(path, f"is {instead}, not a video or audio file")
    incomplete = why_incomplete(path)
    try:
        looked = partial(
            _facts_from_outside,
            path,
            incomplete=incomplete,
            sound_needed=sound_needed,
            sound_track=sound_track,
        )
        found = looked(facts) or looked(replace(facts, ignore_edit_list=True))
        if found is not None:
            _reject_jumping_clock(path, found)
        if found is not None and not _decodes_inside(path, found):
            raise _rejected(path, "is corrupt: only its beginning can be decoded")
    except _ScanTooLong:
        raise _rejected(path, "could not be read to its end within two minutes") from None
    except (*UNREADABLE, ValueError) as error:
        if incomplete is not None:
            raise _rejected(path, f"is truncated: {incomplete}") from error
        raise _rejected(path, "is corrupt or in a format that is not supported") from error
    return _shown(path, found)


def probe_written(path: Path) -> MediaFacts:
    """Probe an MP4 that this project just wrote.

    Nothing is asked of it that only files from outside can get wrong: it is opened once, and of
    its pictures only the first stored one is decoded.

    Raises:
        SourceRejected: It does not play.
    """
    facts = _facts_before(path)
    try:
        with MediaFile(path, facts) as media:
            reading = _Reading(media.packets, lambda _: media.packets(), _first_by_packets)
            found = _facts(path, facts, reading)
    except (*UNREADABLE, ValueError, _ScanTooLong) as error:
        raise _rejected(path, "is corrupt") from error
    return _shown(path, found)


def _shown(path: Path, found: MediaFacts | None) -> MediaFacts:
    if found is None:
        raise _rejected(path, "is corrupt: its edit list shows nothing of its data")
    return found


def _facts_before(path: Path) -> MediaFacts:
    """The size of a file, as the facts of an MP4 of which nothing else is known."""
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise _rejected(path, "is a directory")
        if not path.is_file():
            raise _rejected(path, "is not a regular file")
        if size == 0:
            raise _rejected(path, "is empty (0 bytes)")
        path.open("rb").close()
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
    return MediaFacts(container=MP4, duration_seconds=0.0, size_bytes=size, video=None, audio=None)


def _rejected(path: Path, reason: str) -> SourceRejected:
    remedy = "Give a video or audio file that plays from start to end"
    return SourceRejected(f"'{path}' {reason}", remedy=remedy)


def _reject_jumping_clock(path: Path, facts: MediaFacts) -> None:
    jump = clock_jump(path, facts)
    if jump is not None:
        before, after = (seconds - facts.origin_seconds for seconds in jump)
        raise SourceRejected(
            f"'{path}' has a clock that jumps from {before:.1f} s to {after:.1f} s",
            remedy=f"Close it with `ffmpeg -i '{path.name}' -c copy closed.mkv`, and give that",
        )


def _facts_from_outside(
    path: Path,
    facts: MediaFacts,
    *,
    incomplete: str | None,
    sound_needed: bool,
    sound_track: int | None,
) -> MediaFacts | None:
    """Probe with or without the edit list; None when the edit list contradicts the data."""
    opened = partial(open_media, path, facts if facts.ignore_edit_list else None)
    with opened() as container:
        _reject_absent_data(path, container)
        _reject_truncated(path, container, incomplete)
        _reject_too_large(path, container)
        # FFmpeg does not tell what an MP4's header says, where it knows better.
        claimed = mp4_seconds(path) if container.format.name == MP4 else None
        facts = replace(facts, container=container.format.name, claimed_seconds=claimed)
    packets = partial(open_packets, path)
    reading = _Reading(opened, packets, _first_decoded, sound_needed, sound_track)
    return _facts(path, facts, reading)


def _facts(path: Path, facts: MediaFacts, reading: _Reading) -> MediaFacts | None:
    """Measure what a file of a known container holds; None when its edit list contradicts it."""
    with reading.opened() as container:
        written = [stream for stream in container.streams if stream.type == "subtitle"]
        subtitles = tuple(
            subtitle_stream(stream, number=number, codec=_codec(stream))
            for number, stream in enumerate(written, start=1)
            if _codec(stream) in _TEXT_SUBTITLES
        )
        tracks = tuple(
            sound_track(stream, number=number, codec=_codec(stream))
            for number, stream in enumerate(container.streams.audio, start=1)
        )
        claimed_end = None
        if container.duration and container.duration > 0:
            claimed_end = ((container.start_time or 0) + container.duration) / float(av.time_base)
        pictures, sounds = (_candidates(container, kind) for kind in ("video", "audio"))
    if reading.sound_track is not None:
        sounds = _chosen_sound(path, tracks, reading.sound_track)
    video = _choose(path, reading, pictures, _video_stream, kind="pictures")
    audio = _choose(
        path,
        reading,
        sounds,
        _audio_stream,
        kind="sound",
        may_be_unknown=video is not None and not reading.sound_needed,
    )
    audio, silent = _sounding(path, reading, sounds, audio)
    if video is None and audio is None:
        raise _rejected(path, "holds neither moving pictures nor sound")
    facts = replace(
        facts,
        video=video,
        audio=audio,
        subtitles=subtitles,
        has_unknown_sound=audio is None and _UNKNOWN in sounds.values(),
        silent_streams=silent,
        sound_tracks=tracks,
        sound_is_chosen=reading.sound_track is not None,
    )
    facts = replace(facts, origin_seconds=facts.earliest_seconds)
    duration = _measured_end(path, facts, claimed_end, reading) - facts.origin_seconds
    promised = (claimed_end or 0.0) - facts.origin_seconds
    contradicted = duration <= 0.5 * promised or duration <= 0
    if contradicted and not facts.ignore_edit_list and facts.container == MP4:
        return None
    if duration <= 0:
        raise _rejected(path, "is corrupt: none of its frames lasts any time")
    promised = max(promised, facts.claimed_seconds or 0.0)
    exaggerates = promised > _EXAGGERATED * duration + _SAMPLED_FROM_SECONDS
    claimed = promised if exaggerates else None
    return replace(facts, duration_seconds=duration, claimed_seconds=claimed)


def _chosen_sound(path: Path, tracks: Sequence[SoundTrack], number: int) -> dict[int, str]:
    """Index and codec of the sound track with that number."""
    for track in tracks:
        if track.number == number:
            return {track.index: track.codec}
    there = ", ".join(named_track(one, one.codec) for one in tracks) or "none"
    raise SourceRejected(
        f"'{path}' has no sound track {number}; there is {there}",
        remedy="Choose one of those with --audio-track, or `audio_track` in the run config of "
        "`video`",
    )


def _reject_absent_data(path: Path, container: InputContainer) -> None:
    if container.format.name == MP4:
        elsewhere = where_data_is(path)
        if elsewhere is not None:
            raise _rejected(path, f"cannot be played: {elsewhere}")
    keys = any("enc_key_id" in stream.metadata for stream in container.streams)
    if keys or (container.format.name == MP4 and is_encrypted_mp4(path)):
        raise SourceRejected(
            f"'{path}' is encrypted", remedy="Give a copy of it without copy protection"
        )


def _reject_truncated(path: Path, container: InputContainer, incomplete: str | None) -> None:
    if container.format.name != MP4 or (incomplete and is_fragmented_mp4(path)):
        if incomplete is not None:
            raise _rejected(path, f"is truncated: {incomplete}")
        return
    entries = (entry for stream in container.streams for entry in stream.index_entries)
    missing = max((entry.pos + entry.size for entry in entries), default=0) - path.stat().st_size
    if missing > 0:
        raise _rejected(path, f"is truncated: its index reaches {missing} bytes past its end")


def _reject_too_large(path: Path, container: InputContainer) -> None:
    """Refuse pictures that take more memory than there may be, before one is decoded."""
    pictures = [
        (stream.codec_context.width, stream.codec_context.height)
        for stream in container.streams.video
        if stream.codec_context and not stream.disposition & _NOT_A_PICTURE_STREAM
    ]
    # FFmpeg forgets the size of a stream whose decoder refused it.
    if not all(map(math.prod, pictures)):
        pictures += picture_sizes(path)
    largest = max(pictures, key=math.prod, default=(0, 0))
    if math.prod(largest) > most_pixels():
        raise SourceRejected(
            f"'{path}' has pictures of {largest[0]}x{largest[1]}, more than the limit of "
            f"{most_pixels() / 1_000_000:g} megapixels",
            remedy="Give a smaller one, or raise VIDEOMOMENTS_MAX_PICTURE_MEGAPIXELS if there is "
            "memory for it",
        )


def _candidates(container: InputContainer, kind: str) -> dict[int, str]:
    """Indexes of a container's streams of a kind, and their codecs; the likeliest first."""
    candidates = [
        stream
        for stream in container.streams
        if stream.type == kind and not stream.disposition & _NOT_A_PICTURE_STREAM
    ]
    if kind == "audio":
        candidates.sort(key=sound_order)
    return {stream.index: _codec(stream) for stream in candidates}


def _sounding(
    path: Path, reading: _Reading, candidates: dict[int, str], first: AudioStream | None
) -> tuple[AudioStream | None, tuple[int, ...]]:
    """The first sound stream with anything to hear in it, and those passed over for it.

    A screen recorder writes a track for each source; that of the computer may be silent, and that
    of the microphone come second.
    """
    if first is None or len(candidates) == 1:
        return first, ()
    silent: list[int] = []
    for index, codec in candidates.items():
        stream: AudioStream | None = first
        if index != first.index:
            try:
                stream = _choose(path, reading, {index: codec}, _audio_stream, kind="sound")
            except SourceRejected:
                # Of a track that nobody asked for, it is no matter that it does not decode.
                continue
        if stream is None:
            continue
        with reading.opened() as container:
            if not is_silent(container, stream):
                return stream, tuple(silent)
        silent.append(index)
    return first, ()


def _choose(
    path: Path,
    reading: _Reading,
    candidates: dict[int, str],
    described: Callable[[Any, _First], _Stream],
    *,
    kind: str,
    may_be_unknown: bool = False,
) -> _Stream | None:
    """Take the first stream that decodes; for sound, the default one before others.

    Args:
        path: The file.
        reading: How it is looked at.
        candidates: Indexes of streams, and their codecs.
        described: Makes what is known of a stream of its beginning.
        kind: What they are, as messages name it.
        may_be_unknown: Whether they may all be in codecs that nothing here knows.
    """
    for index in candidates:
        with reading.opened() as container:
            stream = container.streams[index]
            found = reading.first_frame(container, stream) if stream.codec_context else None
            if found is not None:
                return described(stream, found)
    for index, codec in candidates.items():
        with reading.opened() as container:
            stream = container.streams[index]
            if any(packet.size > 0 for packet in container.demux(stream)):
                if stream.codec_context:
                    raise _rejected(path, f"is corrupt: its {kind} ({codec}) cannot be decoded")
                if not may_be_unknown:
                    raise _unsupported(path, kind, index)
    return None


def _unsupported(path: Path, kind: str, index: int) -> SourceRejected:
    """The refusal of a stream whose codec nothing here knows."""
    names = mp4_codecs(path)
    called = f" ({names[index].strip()})" if index < len(names) and names[index].isascii() else ""
    verb, remedy = "are", "Convert it to H.264 or another common codec"
    if kind == "sound":
        verb, remedy = (
            "is",
            ("Convert its sound to AAC; or add it with --captions FILE, and its clips are silent"),
        )
    return SourceRejected(
        f"'{path}' cannot be used as it is: its {kind} {verb} in a codec that is not supported"
        f"{called}",
        remedy=remedy,
    )


def _codec(stream: Any) -> str:
    context = stream.codec_context
    return str(context.codec.canonical_name) if context else _UNKNOWN


def _video_stream(stream: Any, first: _First) -> VideoStream:
    start, frame = first
    # FFmpeg's angle is counterclockwise and may be off by a fraction.
    rotation = round(-frame.rotation / 90) * 90 % 360
    turned = rotation in {90, 270}
    return VideoStream(
        index=stream.index,
        codec=_codec(stream),
        width=frame.height if turned else frame.width,
        height=frame.width if turned else frame.height,
        rotation=rotation,
        frame_rate=float(stream.average_rate) if stream.average_rate else None,
        start_seconds=start,
        time_base=round(1 / stream.time_base) if stream.time_base else 1000,
    )


def _audio_stream(stream: Any, first: _First) -> AudioStream:
    start, frame = first
    return AudioStream(
        index=stream.index,
        codec=_codec(stream),
        sample_rate=frame.sample_rate,
        channels=frame.layout.nb_channels,
        start_seconds=start,
    )


def _measured_end(
    path: Path, facts: MediaFacts, claimed_end: float | None, reading: _Reading
) -> float:
    """Container time at which the last presented frame or sample ends."""
    tail = None
    if claimed_end is not None and facts.container not in _ESTIMATING_DEMUXERS:
        # Some containers cannot seek, or not to the end that they claim.
        with reading.packets(facts) as container, suppress(*UNREADABLE, OverflowError):
            stream: Any = container.streams[facts.streams[0].index]
            container.seek(int(claimed_end / stream.time_base), stream=stream)
            tail = _tail(container, facts)
        if tail is not None and abs(tail[0] - claimed_end) > max(1.0, 0.05 * claimed_end):
            tail = None
    if tail is None:
        with reading.opened() as container:
            tail = _tail(container, facts)
    if tail is None:
        raise _rejected(path, "is corrupt: it holds no frames with a time")
    end, last_seconds = tail
    # Within one packet the header knows better: it has cut off what the encoder padded.
    if claimed_end is not None and abs(end - claimed_end) <= last_seconds:
        return claimed_end
    return end


def _tail(container: InputContainer, facts: MediaFacts) -> tuple[float, float] | None:
    """Find where packets end by reading on to the end of the file.

    Returns:
        Container time in seconds at which the last presented packet ends, and how long it lasts.

    Raises:
        _ScanTooLong: The file could not be read within the limit.
    """
    deadline = time.monotonic() + 120.0
    streams: list[Any] = [container.streams[stream.index] for stream in facts.streams]
    ticks = {stream.index: float(stream.time_base) for stream in streams}
    rates = {stream.index: getattr(stream, "average_rate", None) for stream in streams}
    usual = {index: float(1 / rate) if rate else 0.0 for index, rate in rates.items()}
    end = -math.inf  # times before 0 are those before a clock wraps
    length = 0.0
    for count, packet in enumerate(container.demux(streams)):
        if packet.size == 0 or packet.is_discard:
            continue
        tick = ticks[packet.stream_index]
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None or is_stray(packet, tick):
            continue
        seconds = packet.duration * tick if packet.duration else usual[packet.stream_index]
        if stamp * tick + seconds > end:
            end, length = stamp * tick + seconds, seconds
        if count % 4096 == 0 and time.monotonic() > deadline:
            raise _ScanTooLong
    return (end, length) if end > -math.inf else None


def _first_decoded(container: InputContainer, stream: Any) -> _First | None:
    """Decode a stream's beginning, for its first presented frame."""
    found: list[_First] = []
    pictures = stream.type == "video"
    if pictures:
        decode_with(container, threads=2)
    decoding_starts: float | None = None
    for packet in islice(container.demux(stream), _PACKETS_TRIED):
        if decoding_starts is None and packet.dts is not None:
            decoding_starts = float(packet.dts * packet.time_base)
        if pictures:
            # What an edit list hides is decoded only as far as something refers to it.
            stream.codec_context.skip_frame = "NONREF" if packet.is_discard else "DEFAULT"
        found += [(time_of(frame, stream), frame) for frame in frames_of(packet)]
        if len(found) >= _FRAMES_FOR_START:
            break
    first = min(found, key=lambda item: item[0]) if found else None
    if first and decoding_starts is not None and _tells_only_decoding(container, stream):
        # FFmpeg guesses times of showing there; the first picture is shown when the first is read.
        return decoding_starts, first[1]
    return first


def _tells_only_decoding(container: InputContainer, stream: Any) -> bool:
    return container.format.name == "avi" and _codec(stream) in NAL_CODECS


def _first_by_packets(container: InputContainer, stream: Any) -> _First | None:
    """Decode the first stored picture only, and take the first presented time from packets.

    For files that are known to decode: an edit list may hide seconds of pictures in front of the
    first one that is presented. Of the container, packets alone can be read afterwards.
    """
    if stream.type != "video":
        return _first_decoded(container, stream)
    stored: Any = None
    times: list[float] = []
    tick = float(stream.time_base)
    for packet in container.demux(stream):
        if packet.size == 0:
            continue
        if stored is None:
            # FFmpeg gives no frame of a packet that is marked as hidden; its bytes alone are not.
            # Decoders hold frames back until they are told that no more come.
            context = stream.codec_context
            frames = [*context.decode(av.Packet(bytes(packet))), *context.decode(None)]
            if not frames:
                return None
            stored = frames[0]
        if packet.pts is not None and not packet.is_discard:
            times.append(packet.pts * tick)
        if len(times) > REORDERING_FRAMES:
            break
    return (min(times), stored) if times else None


def _decodes_inside(path: Path, facts: MediaFacts) -> bool:
    """Whether more of a file than its beginning decodes; short ones are taken to."""
    if facts.duration_seconds < _SAMPLED_FROM_SECONDS:
        return True
    with open_media(path, facts) as container:
        stream: Any = container.streams[facts.streams[0].index]
        for share in (0.5, 0.75, 0.25):
            seconds = facts.origin_seconds + share * facts.duration_seconds
            with suppress(*UNREADABLE):
                container.seek(int(seconds / stream.time_base), stream=stream)
                if any(map(frames_of, islice(container.demux(stream), _PACKETS_TRIED))):
                    return True
    return False
