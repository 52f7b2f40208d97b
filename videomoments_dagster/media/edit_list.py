"""Reading and rewriting an MP4's index: which part of each track is presented, and when.

Belongs here: MP4 boxes, as far as edit lists and moving the index to the front need them. Does
not belong here: which part it should be (`stream_copy`, `reencode`).

ffmpeg's own edit list ends a copied clip with one or two frames too many and a gap, because it
has to copy the frame that the last B-frames refer to and then presents it. A duration in the
edit list hides it.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

_CONTAINERS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts"})
_KEPT_AT_THE_TOP = frozenset({b"ftyp", b"mdat"})
_U32_MAX = 0xFFFF_FFFF
_NO_MEDIA = -1
_HEADER = 8
"""Bytes of size and kind before a box's content."""


class UnsuitableMp4(Exception):
    """The file is not laid out as a plain MP4 with one index."""


@dataclass(slots=True)
class Box:
    """An MP4 box: either children or a payload."""

    kind: bytes
    payload: bytearray = field(default_factory=bytearray)
    children: list[Box] = field(default_factory=list)

    def find(self, *kinds: bytes) -> Box | None:
        """Follow a path of first children."""
        box = self
        for kind in kinds:
            found = next((child for child in box.children if child.kind == kind), None)
            if found is None:
                return None
            box = found
        return box

    def need(self, *kinds: bytes) -> Box:
        """Follow a path that has to be there."""
        box = self.find(*kinds)
        if box is None:
            raise UnsuitableMp4(f"box {b'/'.join(kinds).decode()} is missing")
        return box

    def serialised(self) -> bytes:
        """The box as it stands in a file."""
        body = b"".join(child.serialised() for child in self.children) + bytes(self.payload)
        return struct.pack(">I4s", len(body) + _HEADER, self.kind) + body


@dataclass(frozen=True, slots=True)
class Presentation:
    """What of one track is presented.

    Attributes:
        delay: Seconds of nothing before the track starts.
        media_start: Seconds of the track's own clock at which presenting starts.
        duration: Seconds that are presented after the delay.
    """

    delay: Fraction
    media_start: Fraction
    duration: Fraction


@dataclass(frozen=True, slots=True)
class Sample:
    """A frame or a block of sound in the file.

    Attributes:
        time: Seconds of the track's own clock at which it is shown.
        position: Where its bytes start in the file.
        size: How many they are.
    """

    time: Fraction
    position: int
    size: int


@dataclass(frozen=True, slots=True)
class Track:
    """A track as its boxes describe it.

    Attributes:
        kind: "vide" or "soun".
        timescale: Ticks per second of the track's own clock.
        media_end: Where the track's last frame or sample ends on its own clock, in seconds.
        presentation: What its edit list presents.
        first_sample: The sample that is stored, and so decoded, first; None without any.
    """

    kind: str
    timescale: int
    media_end: Fraction
    presentation: Presentation
    first_sample: Sample | None


def read_tracks(path: Path) -> dict[str, Track]:
    """Read the tracks of an MP4 that holds at most one of each kind.

    Raises:
        UnsuitableMp4: The file is not laid out as a plain MP4.
    """
    with path.open("rb") as file:
        moov = _read_moov(file, path.stat().st_size)
    scale = _timescale(moov.need(b"mvhd"))
    tracks: dict[str, Track] = {}
    for trak in _traks(moov):
        track = _track(trak, scale)
        if track.kind in tracks:
            raise UnsuitableMp4(f"two tracks of kind {track.kind}")
        tracks[track.kind] = track
    return tracks


def present(source: Path, destination: Path, presentations: Mapping[str, Presentation]) -> None:
    """Give an MP4 an index in front that presents exactly what is asked.

    Where ffmpeg has kept room for the index (`moov_size`), it is written there and the file is
    renamed; otherwise everything is copied behind the index.

    Args:
        source: An MP4 as ffmpeg writes it, not fragmented; may be gone afterwards.
        destination: File to write; must not be `source`.
        presentations: For each kind of track ("vide", "soun"), what it presents. Where pictures
            are to be presented for longer than they last, the last one is held; it must then be
            the last in decoding order as well.

    Raises:
        UnsuitableMp4: The file is not of that layout, or a number does not fit in it.
    """
    with source.open("r+b") as file:
        size = source.stat().st_size
        boxes = _top_level(file, size)
        moov = _read_moov(file, size)
        _apply(moov, presentations)
        kept = [box for box in boxes if box[0] in _KEPT_AT_THE_TOP]
        if [kind for kind, _, _ in kept] != [b"ftyp", b"mdat"]:
            raise UnsuitableMp4("expected one ftyp and one mdat box")
        (_, ftyp_start, ftyp_length), (_, mdat_start, mdat_length) = kept
        index = moov.serialised()
        spare = mdat_start - (ftyp_start + ftyp_length) - len(index)
        if b"moov" not in _kinds_behind(boxes, mdat_start) and spare >= _HEADER:
            file.seek(ftyp_start + ftyp_length)
            file.write(index + struct.pack(">I4s", spare, b"free") + bytes(spare - _HEADER))
            source.replace(destination)
            return
        shift = ftyp_length + len(moov.serialised()) - mdat_start
        for trak in _traks(moov):
            _shift_chunks(trak.need(b"mdia", b"minf", b"stbl"), shift)
        with destination.open("wb") as output:
            file.seek(ftyp_start)
            output.write(file.read(ftyp_length))
            output.write(moov.serialised())
            _copy(file, output, mdat_start, mdat_length)


def _kinds_behind(boxes: list[tuple[bytes, int, int]], position: int) -> set[bytes]:
    return {kind for kind, start, _ in boxes if start > position}


def _copy(file: BinaryIO, output: BinaryIO, start: int, length: int) -> None:
    """Copy bytes from file to file inside the kernel."""
    output.flush()
    while length > 0:
        copied = os.sendfile(output.fileno(), file.fileno(), start, length)
        if copied == 0:
            raise UnsuitableMp4("the data ends early")
        start, length = start + copied, length - copied


def _top_level(file: BinaryIO, size: int) -> list[tuple[bytes, int, int]]:
    boxes: list[tuple[bytes, int, int]] = []
    position = 0
    while position + _HEADER <= size:
        file.seek(position)
        length, kind = struct.unpack(">I4s", file.read(8))
        if length == 1:
            length = int.from_bytes(file.read(8), "big")
        if length < _HEADER or position + length > size:
            raise UnsuitableMp4("a box has an impossible size")
        boxes.append((kind, position, length))
        position += length
    return boxes


def _read_moov(file: BinaryIO, size: int) -> Box:
    for kind, start, length in _top_level(file, size):
        if kind == b"moov":
            file.seek(start + _HEADER)
            return Box(b"moov", children=_parsed(file.read(length - _HEADER)))
    raise UnsuitableMp4("box moov is missing")


def _parsed(data: bytes) -> list[Box]:
    boxes: list[Box] = []
    position = 0
    while position + _HEADER <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        if length < _HEADER or position + length > len(data):
            raise UnsuitableMp4("a box has an impossible size")
        body = data[position + _HEADER : position + length]
        if kind in _CONTAINERS:
            boxes.append(Box(kind, children=_parsed(body)))
        else:
            boxes.append(Box(kind, payload=bytearray(body)))
        position += length
    return boxes


def _traks(moov: Box) -> list[Box]:
    return [child for child in moov.children if child.kind == b"trak"]


def _timescale(header: Box) -> int:
    offset = 20 if header.payload[0] == 1 else 12
    return int.from_bytes(header.payload[offset : offset + 4], "big")


def _track(trak: Box, movie_timescale: int) -> Track:
    mdhd = trak.need(b"mdia", b"mdhd")
    timescale = _timescale(mdhd)
    stbl = trak.need(b"mdia", b"minf", b"stbl")
    end = _composition_end(stbl)
    return Track(
        kind=_kind(trak),
        timescale=timescale,
        media_end=Fraction(end, timescale),
        presentation=_presentation(trak, movie_timescale, timescale, end),
        first_sample=_first_sample(stbl, timescale),
    )


def _first_sample(stbl: Box, timescale: int) -> Sample | None:
    sizes = stbl.need(b"stsz").payload
    same_for_all, samples = struct.unpack_from(">II", sizes, 4)
    if samples == 0:
        return None
    wide = stbl.find(b"co64")
    if wide is None:
        (position,) = struct.unpack_from(">I", stbl.need(b"stco").payload, 8)
    else:
        (position,) = struct.unpack_from(">Q", wide.payload, 8)
    reordering = stbl.find(b"ctts")
    offset = 0 if reordering is None else struct.unpack_from(">i", reordering.payload, 12)[0]
    return Sample(
        time=Fraction(offset, timescale),
        position=position,
        size=same_for_all or struct.unpack_from(">I", sizes, 12)[0],
    )


def _composition_end(stbl: Box) -> int:
    """Ticks at which the last presented sample ends; decoding order is not that of showing."""
    durations = _runs(stbl.need(b"stts"), ">u4")
    if durations.size == 0:
        return 0
    ends = np.cumsum(durations)
    reordering = stbl.find(b"ctts")
    if reordering is not None:
        offsets = _runs(reordering, ">i4")
        samples = min(offsets.size, ends.size)
        ends = ends[:samples] + offsets[:samples]
    return max(0, int(ends.max(initial=0)))


def _runs(table: Box, value_type: str) -> NDArray[np.int64]:
    """A table of run lengths and values, as one value for each sample."""
    entries = np.frombuffer(
        bytes(table.payload[8:]), dtype=[("count", ">u4"), ("value", value_type)]
    )
    return np.repeat(entries["value"].astype(np.int64), entries["count"])


def _kind(trak: Box) -> str:
    return trak.need(b"mdia", b"hdlr").payload[8:12].decode("latin-1")


def _presentation(trak: Box, movie_timescale: int, timescale: int, duration: int) -> Presentation:
    elst = trak.find(b"edts", b"elst")
    whole = Presentation(Fraction(0), Fraction(0), Fraction(duration, timescale))
    if elst is None:
        return whole
    layout = ">Qqhh" if elst.payload[0] == 1 else ">Iihh"
    delay = Fraction(0)
    for ticks, media_time, _, _ in struct.iter_unpack(layout, bytes(elst.payload[8:])):
        if media_time == _NO_MEDIA:
            delay += Fraction(ticks, movie_timescale)
        else:
            return Presentation(
                delay, Fraction(media_time, timescale), Fraction(ticks, movie_timescale)
            )
    return whole


def _apply(moov: Box, presentations: Mapping[str, Presentation]) -> None:
    mvhd = moov.need(b"mvhd")
    # The finest track clock as the movie's clock, so that durations need not be rounded much.
    scale = max(_timescale(trak.need(b"mdia", b"mdhd")) for trak in _traks(moov))
    longest = 0
    for trak in _traks(moov):
        kind = _kind(trak)
        wanted = presentations[kind]
        timescale = _timescale(trak.need(b"mdia", b"mdhd"))
        delay = round(wanted.delay * scale)
        duration = round(wanted.duration * scale)
        if kind == "vide":
            _hold_last(trak, wanted.media_start + wanted.duration, timescale)
        edits = [(delay, _NO_MEDIA)] if delay else []
        edits.append((duration, round(wanted.media_start * timescale)))
        _set_edits(trak, edits)
        _set_duration(trak.need(b"tkhd"), delay + duration, narrow_at=20, wide_at=28)
        longest = max(longest, delay + duration)
    offset = 20 if mvhd.payload[0] == 1 else 12
    mvhd.payload[offset : offset + 4] = scale.to_bytes(4, "big")
    _set_duration(mvhd, longest, narrow_at=16, wide_at=24)


def _hold_last(trak: Box, until: Fraction, timescale: int) -> None:
    stts = trak.need(b"mdia", b"minf", b"stbl", b"stts")
    missing = math.ceil(until * timescale) - _composition_end(trak.need(b"mdia", b"minf", b"stbl"))
    if missing <= 0:
        return
    entries = list(struct.iter_unpack(">II", bytes(stts.payload[8:])))
    count, ticks = entries.pop()
    if count > 1:
        entries.append((count - 1, ticks))
    entries.append((1, ticks + missing))
    stts.payload[4:] = struct.pack(">I", len(entries)) + b"".join(
        struct.pack(">II", *entry) for entry in entries
    )


def _set_edits(trak: Box, edits: list[tuple[int, int]]) -> None:
    trak.children = [child for child in trak.children if child.kind != b"edts"]
    wide = any(ticks > _U32_MAX or media_time > _U32_MAX // 2 for ticks, media_time in edits)
    layout = ">Qqhh" if wide else ">Iihh"
    payload = bytearray(struct.pack(">BxxxI", 1 if wide else 0, len(edits)))
    for ticks, media_time in edits:
        payload += struct.pack(layout, ticks, media_time, 1, 0)
    after_header = next(i for i, child in enumerate(trak.children) if child.kind == b"tkhd") + 1
    trak.children.insert(after_header, Box(b"edts", children=[Box(b"elst", payload=payload)]))


def _set_duration(header: Box, ticks: int, *, narrow_at: int, wide_at: int) -> None:
    if header.payload[0] == 1:
        header.payload[wide_at : wide_at + 8] = ticks.to_bytes(8, "big")
        return
    if ticks > _U32_MAX:
        raise UnsuitableMp4("the clip is too long for its clock")
    header.payload[narrow_at : narrow_at + 4] = ticks.to_bytes(4, "big")


def _shift_chunks(stbl: Box, shift: int) -> None:
    for kind, letter in ((b"stco", "I"), (b"co64", "Q")):
        table = stbl.find(kind)
        if table is None:
            continue
        layout = f">{(len(table.payload) - 8) // struct.calcsize(letter)}{letter}"
        offsets = [offset + shift for offset in struct.unpack(layout, table.payload[8:])]
        try:
            table.payload[8:] = struct.pack(layout, *offsets)
        except struct.error as error:
            raise UnsuitableMp4("the clip is too large for its index") from error
