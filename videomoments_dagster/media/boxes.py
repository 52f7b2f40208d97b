"""MP4 boxes (ISO/IEC 14496-12): walking them, and rewriting the index of a file ffmpeg has cut.

ffmpeg's own edit list ends a copied clip with one or two frames too many and a gap, because it
has to copy the frame that the last B-frames refer to and then presents it. A duration in the
edit list hides it.
"""

from __future__ import annotations

import math
import os
import shutil
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from videomoments_dagster.base.files import BLOCK_BYTES

_PARENTS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts"})
_U32_MAX = 0xFFFF_FFFF
_NO_MEDIA = -1
HEADER_BYTES = 8
"""Size and kind, before a box's content."""
WIDE_HEADER_BYTES = 16
"""The same with a size of 64 bits."""

Reader = Callable[[int, int], bytes]
"""Reads bytes: where they start, and how many."""


class UnsuitableMp4(Exception):
    """The file is not laid out as a plain MP4 with one index."""


class BoxPlace(NamedTuple):
    """Where a box says it lies; that may reach past the end of its file."""

    kind: bytes
    start: int
    length: int

    @property
    def end(self) -> int:
        """Where the next box starts."""
        return self.start + self.length


def walk(read: Reader, size: int, *, most: int = 100_000) -> Iterator[BoxPlace]:
    """Walk from box to box until the end, or until something that cannot be one.

    Args:
        read: Reads bytes.
        size: Bytes that there are.
        most: Boxes after which the walk ends.
    """
    position = 0
    for _ in range(most):
        if position + HEADER_BYTES > size:
            return
        header = read(position, min(WIDE_HEADER_BYTES, size - position))
        length, kind = struct.unpack_from(">I4s", header)
        if length == 1 and len(header) == WIDE_HEADER_BYTES:
            (length,) = struct.unpack_from(">Q", header, HEADER_BYTES)
        elif length == 0:
            length = size - position
        if length < HEADER_BYTES:
            return
        yield BoxPlace(kind, position, length)
        position += length


def file_reader(file: BinaryIO) -> Reader:
    """Read an open file."""
    return lambda start, length: os.pread(file.fileno(), length, start)


@dataclass(slots=True)
class Box:
    """An MP4 box: either children or a payload."""

    kind: bytes
    payload: bytearray = field(default_factory=bytearray)
    children: list[Box] = field(default_factory=list)

    def find(self, *kinds: bytes) -> Box | None:
        """Follow a path of first children."""
        if not kinds:
            return self
        found = next((child for child in self.children if child.kind == kinds[0]), None)
        return found.find(*kinds[1:]) if found else None

    def need(self, *kinds: bytes) -> Box:
        """Follow a path that has to be there."""
        box = self.find(*kinds)
        if box is None:
            raise UnsuitableMp4(f"box {b'/'.join(kinds).decode()} is missing")
        return box

    def serialised(self) -> bytes:
        """The box as it stands in a file."""
        body = b"".join(child.serialised() for child in self.children) + bytes(self.payload)
        return struct.pack(">I4s", len(body) + HEADER_BYTES, self.kind) + body


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
        media_end: Where the track's last frame or sample ends on its own clock, in seconds.
        presentation: What its edit list presents.
        first_sample: The sample that is stored, and so decoded, first; None without any.
    """

    kind: str
    media_end: Fraction
    presentation: Presentation
    first_sample: Sample | None


def read_tracks(path: Path) -> dict[str, Track]:
    """Read the tracks of an MP4 that holds at most one of each kind.

    Raises:
        UnsuitableMp4: The file is not laid out as a plain MP4.
    """
    with path.open("rb") as file:
        moov = _index(file, _top_level(file))
    tracks = [_track(trak, _timescale(moov.need(b"mvhd"))) for trak in _traks(moov)]
    found = {track.kind: track for track in tracks}
    if len(found) != len(tracks):
        raise UnsuitableMp4("two tracks of one kind")
    return found


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
        boxes = _top_level(file)
        moov = _index(file, boxes)
        kept = [box for box in boxes if box.kind in {b"ftyp", b"mdat"}]
        if [box.kind for box in kept] != [b"ftyp", b"mdat"]:
            raise UnsuitableMp4("expected one ftyp and one mdat box")
        ftyp, mdat = kept
        try:
            _apply(moov, presentations)
            index = moov.serialised()
            spare = mdat.start - ftyp.end - len(index)
            indexed_in_front = all(box.start < mdat.start for box in boxes if box.kind == b"moov")
            if indexed_in_front and spare >= HEADER_BYTES:
                file.seek(ftyp.end)
                file.write(index + Box(b"free", bytearray(spare - HEADER_BYTES)).serialised())
                source.replace(destination)
                return
            for trak in _traks(moov):
                _shift_chunks(_sample_tables(trak), ftyp.length + len(index) - mdat.start)
        except struct.error as error:
            raise UnsuitableMp4("the clip is too long or too large for its index") from error
        with destination.open("wb") as output:
            output.write(file_reader(file)(ftyp.start, ftyp.length) + moov.serialised())
            file.seek(mdat.start)
            shutil.copyfileobj(file, output, BLOCK_BYTES)
            output.truncate(ftyp.length + len(index) + mdat.length)


def _top_level(file: BinaryIO) -> list[BoxPlace]:
    size = os.fstat(file.fileno()).st_size
    return filling(walk(file_reader(file), size), size)


def filling(boxes: Iterator[BoxPlace], size: int) -> list[BoxPlace]:
    """The boxes that fill `size` bytes exactly.

    Raises:
        UnsuitableMp4: They end before or after it.
    """
    found = list(boxes)
    if (found[-1].end if found else 0) != size:
        raise UnsuitableMp4("a box has an impossible size")
    return found


def _index(file: BinaryIO, boxes: list[BoxPlace]) -> Box:
    for box in boxes:
        if box.kind == b"moov":
            content = file_reader(file)(box.start + HEADER_BYTES, box.length - HEADER_BYTES)
            return Box(b"moov", children=_parsed(content))
    raise UnsuitableMp4("box moov is missing")


def _parsed(data: bytes) -> list[Box]:
    boxes: list[Box] = []
    for place in filling(walk(lambda at, length: data[at : at + length], len(data)), len(data)):
        body = data[place.start + HEADER_BYTES : place.end]
        inside = _parsed(body) if place.kind in _PARENTS else []
        boxes.append(Box(place.kind, bytearray() if inside else bytearray(body), inside))
    return boxes


def _traks(moov: Box) -> list[Box]:
    return [child for child in moov.children if child.kind == b"trak"]


def _sample_tables(trak: Box) -> Box:
    return trak.need(b"mdia", b"minf", b"stbl")


def _kind(trak: Box) -> str:
    return trak.need(b"mdia", b"hdlr").payload[8:12].decode("latin-1")


def _timescale(header: Box) -> int:
    """Ticks per second, of an mvhd or an mdhd."""
    (ticks,) = struct.unpack_from(">I", header.payload, 20 if header.payload[0] == 1 else 12)
    return int(ticks)


def _track(trak: Box, movie_timescale: int) -> Track:
    timescale = _timescale(trak.need(b"mdia", b"mdhd"))
    tables = _sample_tables(trak)
    end = Fraction(_composition_end(tables), timescale)
    shown = Presentation(delay=Fraction(0), media_start=Fraction(0), duration=end)
    edits = trak.find(b"edts", b"elst")
    if edits is not None:
        delay = Fraction(0)
        layout = ">Qqhh" if edits.payload[0] == 1 else ">Iihh"
        for ticks, media_time, _, _ in struct.iter_unpack(layout, edits.payload[8:]):
            length = Fraction(ticks, movie_timescale)
            if media_time != _NO_MEDIA:
                shown = Presentation(delay, Fraction(media_time, timescale), length)
                break
            delay += length
    return Track(_kind(trak), end, shown, _first_sample(tables, timescale))


def _first_sample(tables: Box, timescale: int) -> Sample | None:
    sizes = tables.need(b"stsz").payload
    same_for_all, samples = struct.unpack_from(">II", sizes, 4)
    if samples == 0:
        return None
    wide, reordering = tables.find(b"co64"), tables.find(b"ctts")
    chunks = (">Q", wide) if wide else (">I", tables.need(b"stco"))
    (position,) = struct.unpack_from(chunks[0], chunks[1].payload, 8)
    offset = struct.unpack_from(">i", reordering.payload, 12)[0] if reordering else 0
    size = same_for_all or struct.unpack_from(">I", sizes, 12)[0]
    return Sample(Fraction(offset, timescale), position, size)


def _composition_end(tables: Box) -> int:
    """Ticks at which the last presented sample ends; decoding order is not that of showing."""
    ends = np.cumsum(_runs(tables.need(b"stts"), ">u4"))
    reordering = tables.find(b"ctts")
    if reordering is not None:
        offsets = _runs(reordering, ">i4")
        samples = min(offsets.size, ends.size)
        ends = ends[:samples] + offsets[:samples]
    return int(ends.max(initial=0))


def _runs(table: Box, value_type: str) -> NDArray[np.int64]:
    """A table of run lengths and values, as one value for each sample."""
    layout = [("count", ">u4"), ("value", value_type)]
    entries = np.frombuffer(bytes(table.payload[8:]), dtype=layout)
    return np.repeat(entries["value"].astype(np.int64), entries["count"])


def _apply(moov: Box, presentations: Mapping[str, Presentation]) -> None:
    # The finest track clock as the movie's clock, so that durations need not be rounded much.
    scale = max(_timescale(trak.need(b"mdia", b"mdhd")) for trak in _traks(moov))
    longest = 0
    for trak in _traks(moov):
        kind = _kind(trak)
        wanted = presentations[kind]
        timescale = _timescale(trak.need(b"mdia", b"mdhd"))
        delay, duration = round(wanted.delay * scale), round(wanted.duration * scale)
        if kind == "vide":
            until = math.ceil((wanted.media_start + wanted.duration) * timescale)
            _hold_last(trak, until)
        edits = [(delay, _NO_MEDIA)] if delay else []
        edits.append((duration, round(wanted.media_start * timescale)))
        _set_edits(trak, edits)
        _set_duration(trak.need(b"tkhd"), delay + duration, narrow_at=20, wide_at=28)
        longest = max(longest, delay + duration)
    mvhd = moov.need(b"mvhd")
    struct.pack_into(">I", mvhd.payload, 20 if mvhd.payload[0] == 1 else 12, scale)
    _set_duration(mvhd, longest, narrow_at=16, wide_at=24)


def _hold_last(trak: Box, until: int) -> None:
    """Present the last picture until then, in ticks."""
    tables = _sample_tables(trak)
    missing = until - _composition_end(tables)
    if missing <= 0:
        return
    stts = tables.need(b"stts")
    *entries, (count, ticks) = struct.iter_unpack(">II", stts.payload[8:])
    if count > 1:
        entries.append((count - 1, ticks))
    entries.append((1, ticks + missing))
    packed = b"".join(struct.pack(">II", *entry) for entry in entries)
    stts.payload[4:] = struct.pack(">I", len(entries)) + packed
    # Players end a track where this header says, and with it the file where nothing lasts longer.
    decoded = sum(count * ticks for count, ticks in entries)
    _set_duration(trak.need(b"mdia", b"mdhd"), decoded, narrow_at=16, wide_at=24)


def _set_edits(trak: Box, edits: list[tuple[int, int]]) -> None:
    wide = any(ticks > _U32_MAX or media_time > _U32_MAX // 2 for ticks, media_time in edits)
    payload = bytearray(struct.pack(">BxxxI", wide, len(edits)))
    for edit in edits:
        payload += struct.pack(">Qqhh" if wide else ">Iihh", *edit, 1, 0)
    trak.children = [child for child in trak.children if child.kind != b"edts"]
    after_header = trak.children.index(trak.need(b"tkhd")) + 1
    trak.children.insert(after_header, Box(b"edts", children=[Box(b"elst", payload=payload)]))


def _set_duration(header: Box, ticks: int, *, narrow_at: int, wide_at: int) -> None:
    layout, at = (">Q", wide_at) if header.payload[0] == 1 else (">I", narrow_at)
    struct.pack_into(layout, header.payload, at, ticks)


def _shift_chunks(tables: Box, shift: int) -> None:
    for kind, letter in ((b"stco", "I"), (b"co64", "Q")):
        table = tables.find(kind)
        if table is not None:
            places = struct.iter_unpack(f">{letter}", table.payload[8:])
            moved = [place + shift for (place,) in places]
            table.payload[8:] = struct.pack(f">{len(moved)}{letter}", *moved)
