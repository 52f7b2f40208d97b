"""Whether a packet holds a picture at which a decoder starts afresh.

Belongs here: reading the types of NAL units in H.264 and HEVC packets. Does not belong here: what
a container says of keyframes, which is not always so.
"""

from __future__ import annotations

from collections.abc import Iterator

REFRESHING_CODECS = frozenset({"h264", "hevc"})
"""FFmpeg's names of the codecs whose packets can be told apart here."""
_H264_SLICES = range(1, 6)
_H264_IDR = frozenset({5})
_HEVC_SLICES = range(32)
_HEVC_IDR = frozenset({19, 20})
_AVCC_VERSION = 1
_SHORTEST_AVCC_BYTES = 7
_SHORTEST_HVCC_BYTES = 23


def refreshes_decoder(packet: bytes, *, codec: str, setup: bytes) -> bool:
    """Tell whether a packet holds an IDR picture, and no other.

    Nothing decoded after it refers to anything before it, whatever a decoder was given before
    (ITU-T H.264, 7.4.1.2.4; H.265, 3.76). Containers mark other pictures as keyframes too, behind
    which some pictures do refer to what lies before them.

    Args:
        packet: The packet's bytes, its NAL units each behind their length, as MP4, Matroska and
            FLV store them.
        codec: FFmpeg's name of the codec.
        setup: The codec's own header, an avcC or hvcC (ISO/IEC 14496-15).

    Returns:
        Whether it is certain; False also for other codecs and for what cannot be read.
    """
    if codec == "h264":
        if len(setup) < _SHORTEST_AVCC_BYTES or setup[0] != _AVCC_VERSION:
            return False
        types = {unit & 0x1F for unit in _first_bytes(packet, (setup[4] & 3) + 1)}
        return bool(types) and types.intersection(_H264_SLICES) == _H264_IDR
    if codec == "hevc":
        if len(setup) < _SHORTEST_HVCC_BYTES or not (setup[0] or setup[1] or setup[2] > 1):
            return False
        types = {(unit >> 1) & 0x3F for unit in _first_bytes(packet, (setup[21] & 3) + 1)}
        slices = types.intersection(_HEVC_SLICES)
        return bool(slices) and slices <= _HEVC_IDR
    return False


def _first_bytes(packet: bytes, length_bytes: int) -> Iterator[int]:
    """The first byte of each NAL unit; nothing from where the lengths do not fit on."""
    at = 0
    while at + length_bytes < len(packet):
        length = int.from_bytes(packet[at : at + length_bytes], "big")
        at += length_bytes
        if not 0 < length <= len(packet) - at:
            return
        yield packet[at]
        at += length
