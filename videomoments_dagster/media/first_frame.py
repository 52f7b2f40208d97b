"""The frame with which a clip begins, in its source and in the clip.

Belongs here: finding it, by decoding or by packets alone, and what decoding it takes. Does not
belong here: comparing what was found (`clip_proof`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import av

from videomoments_dagster.media.container import MediaFile, presented_origin
from videomoments_dagster.media.decoder_refresh import REFRESHING_CODECS, refreshes_decoder
from videomoments_dagster.media.frame_access import (
    LARGEST_REORDERING_FRAMES,
    TIME_TOLERANCE_SECONDS,
    DecodedPackets,
    GivenPackets,
    Neighbourhood,
    digest,
    frame_at,
    seek_near,
    setup_of,
)
from videomoments_dagster.media.timeline import is_stray


@dataclass(frozen=True, slots=True)
class FirstFrame:
    """The frame with which a clip begins, as the source has it.

    Attributes:
        time: Presented time in the source in seconds at which it appears.
        decoded_from: Presented time to seek to for it to decode.
        decoded: The packets that decoding it takes, in that order; its own is the last.
        frames: It and its neighbours as decoded; None where packets alone told the rest.
    """

    time: float
    decoded_from: float
    decoded: DecodedPackets
    frames: Neighbourhood | None


def first_frame_by_decoding(media: MediaFile, seconds: float) -> FirstFrame | None:
    """Find the frame that is shown at a presented time by decoding it.

    Args:
        media: The media file.
        seconds: Presented time.

    Returns:
        The frame; None when nothing decodes at or before that time.
    """
    found = frame_at(media, seconds)
    if found is None:
        return None
    return FirstFrame(found.shown.time, found.decoded_from, found.decoded, found)


def first_frame_by_packets(media: MediaFile, seconds: float) -> FirstFrame | None:
    """Find the frame that is shown at a presented time without decoding up to it.

    Where it can be told: the keyframe before it is one at which any decoder starts afresh, so
    that its packets give the same pictures to all; and that keyframe decodes, as a whole picture.

    Args:
        media: The media file.
        seconds: Presented time.

    Returns:
        The frame; None where only decoding tells.
    """
    video = media.facts.video
    if video is None or video.codec not in REFRESHING_CODECS:
        return None
    latest = seconds + TIME_TOLERANCE_SECONDS
    with media.decoding(video.codec) as container:
        stream: Any = container.streams[video.index]
        tick = float(stream.time_base)
        seek_near(container, stream, video.start_seconds + seconds)
        given = GivenPackets(origin=video.start_seconds)
        shown: float | None = None
        keyframe: bytes | None = None
        later = 0
        for packet in container.demux(stream):
            if packet.size == 0:
                continue
            if packet.pts is None or is_stray(packet, tick):
                return None
            if keyframe is None:
                keyframe = bytes(packet)
                if not refreshes_decoder(keyframe, codec=video.codec, setup=setup_of(stream)):
                    return None
            given.note(packet, tick)
            time = packet.pts * tick - given.origin
            later += time > latest
            if later > LARGEST_REORDERING_FRAMES:
                break
            if not packet.is_discard and time <= latest and (shown is None or time > shown):
                shown = time
        if keyframe is None or shown is None or not _is_whole_picture(stream, keyframe):
            return None
        return FirstFrame(shown, seconds, given.up_to(shown, setup_of(stream)), None)


def _is_whole_picture(stream: Any, packet: bytes) -> bool:
    """Whether a packet decodes alone, and not to fields, which may have packets of their own."""
    context = stream.codec_context
    context.flush_buffers()
    try:
        frames = [*context.decode(av.Packet(packet)), *context.decode(None)]
    except av.error.FFmpegError:
        return False
    finally:
        context.flush_buffers()
    return len(frames) == 1 and not frames[0].interlaced_frame


def first_packets(
    media: MediaFile, *, stream_index: int, count: int
) -> tuple[DecodedPackets, float | None]:
    """Give the packets with which a stream begins, in order of decoding.

    Returns:
        At most `count` packets, and the presented time of the last of them in seconds; None for
        one that is not presented.
    """
    digests: list[bytes] = []
    with media.packets() as container:
        stream: Any = container.streams[stream_index]
        setup = setup_of(stream)
        for packet in container.demux(stream):
            if packet.size == 0:
                continue
            digests.append(digest(packet))
            if len(digests) == count:
                found = DecodedPackets(setup, tuple(digests))
                if packet.pts is None or packet.is_discard:
                    return found, None
                return found, float(packet.pts * stream.time_base) - presented_origin(media.facts)
    return DecodedPackets(setup, tuple(digests)), None
