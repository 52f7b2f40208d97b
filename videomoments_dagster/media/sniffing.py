"""What the first bytes of a file say before anything decodes it.

That is what it is, where it plainly is no media container, and whether it ends before its own
structure says it does: the sizes of MP4 boxes, Matroska's segment, RIFF. Durations in headers
prove nothing; they are often wrong in files that are whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from videomoments_dagster.media.boxes import (
    HEADER_BYTES,
    BoxPlace,
    Reader,
    file_reader,
    walk,
)

_MP4_OPENINGS = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip", b"pnot", b"styp"})
_ENCRYPTED = frozenset({"encv", "enca", "enct", "encs", "drmi", "drms", "drmt", "p608"})
_TABLES = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
_EBML_MAGIC = b"\x1a\x45\xdf\xa3"
_SEGMENT_ID = b"\x18\x53\x80\x67"
_RIFF_UNKNOWN_FROM = 0x7FFF_F000
_RIFF_SLACK_BYTES = 16

_SIGNATURES: tuple[tuple[str, int, tuple[bytes, ...]], ...] = (
    ("an image (PNG)", 0, (b"\x89PNG\r\n\x1a\n",)),
    ("an image (JPEG)", 0, (b"\xff\xd8\xff",)),
    ("an image (GIF)", 0, (b"GIF8",)),
    ("an image (TIFF)", 0, (b"II*\x00", b"MM\x00*")),
    ("an image (WebP)", 8, (b"WEBP",)),
    ("an image (HEIC)", 4, (b"ftypheic", b"ftypheix")),
    ("an image (HEIF)", 4, (b"ftypmif1",)),
    ("an image (AVIF)", 4, (b"ftypavif",)),
    ("a PDF document", 0, (b"%PDF-",)),
    ("a ZIP archive or office document", 0, (b"PK\x03\x04",)),
    ("a gzip archive", 0, (b"\x1f\x8b",)),
    ("a 7-Zip archive", 0, (b"7z\xbc\xaf",)),
    ("a RAR archive", 0, (b"Rar!",)),
    ("a program", 0, (b"\x7fELF",)),
)
_TEXT_OPENINGS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("a playlist", ("#extm3u", "[playlist]")),
    ("a list of other files", ("ffconcat",)),
    ("a web page", ("<!doctype html", "<html")),
    ("a caption file", ("webvtt",)),
    ("a streaming manifest", ("<mpd",)),
)


def what_it_is_instead(path: Path) -> str | None:
    """Name what a file is when it plainly is no media container.

    Args:
        path: A readable, non-empty file.

    Returns:
        Such as "a playlist" or "a text file"; None when the file may be media.
    """
    head = _head(path)
    # Two bytes are too little to refuse a file on: BMP repeats its size and has zeros after.
    if head.startswith(b"BM") and head[6:10] == bytes(4):
        return "an image (BMP)"
    for name, offset, signatures in _SIGNATURES:
        if head.startswith(signatures, offset):
            return name
    text = _as_text(head)
    if text is None:
        return None
    opening = text.lstrip("\ufeff \t\r\n").lower()
    for name, openings in _TEXT_OPENINGS:
        if opening.startswith(openings):
            return name
    if "<svg" in opening[:1000]:
        return "an image (SVG)"
    return "a streaming manifest" if "<mpd" in opening[:1000] else "a text file"


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4096)


def _as_text(head: bytes) -> str | None:
    utf_16 = head.startswith((b"\xff\xfe", b"\xfe\xff")) and b"\x00" in head[2:64]
    if b"\x00" in head and not utf_16:
        return None
    text = head.decode("utf-16" if utf_16 else "utf-8", errors="replace")
    printable = sum(character.isprintable() or character in "\r\n\t" for character in text)
    broken = text[:-4].count("\ufffd")
    return text if text and printable - broken >= 0.95 * len(text) else None


def why_incomplete(path: Path) -> str | None:
    """Say what is missing when a container's structure reaches past the end of its file.

    For an MP4 whose sample data ends early this is only a suspicion when the file is not
    fragmented: the index decides (`probe`).

    Args:
        path: A readable, non-empty file.

    Returns:
        What is missing, such as "its index (moov) is missing"; None when nothing seems to be.
    """
    size = path.stat().st_size
    head = _head(path)
    missing = 0
    if head[4:8] in _MP4_OPENINGS:
        boxes = _boxes(path)
        if all(box.kind != b"moov" for box in boxes):
            return "its index (the moov box) is missing"
        if boxes[-1].kind in {b"mdat", b"moof", b"moov"}:
            missing = boxes[-1].end - size
    elif head.startswith(_EBML_MAGIC):
        missing = (_matroska_end(head) or 0) - size
    elif head.startswith(b"RIFF"):
        promised = int.from_bytes(head[4:8], "little")
        # Writers disagree by a few bytes about what the size covers.
        if size + _RIFF_SLACK_BYTES < promised + 8 < _RIFF_UNKNOWN_FROM + 8:
            missing = promised + 8 - size
    return f"{missing} bytes at its end are missing" if missing > 0 else None


def mp4_codecs(path: Path) -> list[str]:
    """What an MP4 calls the codecs of its tracks, such as "avc1", in their order; empty for others.

    Args:
        path: A readable, non-empty file.
    """
    with path.open("rb") as file:
        found = _within(file_reader(file), path.stat().st_size, *_TABLES, b"stsd")
        # Behind a version, a count, and the size of the first entry.
        return [read(12, 4).decode("latin-1") for read, _ in found]


def mp4_seconds(path: Path) -> float | None:
    """How long the header of an MP4 says that it is; None where it does not say.

    Args:
        path: A readable, non-empty file.
    """
    with path.open("rb") as file:
        for read, _ in _within(file_reader(file), path.stat().st_size, b"moov", b"mvhd"):
            is_wide = read(0, 1) == b"\1"
            at, width = (20, 8) if is_wide else (12, 4)
            ticks_per_second = int.from_bytes(read(at, 4), "big")
            duration = read(at + 4, width)
            if ticks_per_second and duration != b"\xff" * width:
                return int.from_bytes(duration, "big") / ticks_per_second
    return None


def is_encrypted_mp4(path: Path) -> bool:
    """Tell whether a track of an MP4 is encrypted, by common encryption or Apple's."""
    return not _ENCRYPTED.isdisjoint(mp4_codecs(path))


def where_data_is(path: Path) -> str | None:
    """Say where the data of an MP4 is, if it is not in the file.

    Args:
        path: A readable, non-empty MP4 that is not cut off.

    Returns:
        The end of a sentence about the file; None where the data is there.
    """
    with path.open("rb") as file:
        kinds = {
            entry.kind
            for read, size in _within(
                file_reader(file), path.stat().st_size, *_TABLES[:-1], b"dinf", b"dref"
            )
            # Behind a version and a count.
            for entry in walk(_behind(read, 8), size - 8)
            # Its lowest bit says that the data is in this file.
            if not int.from_bytes(read(8 + entry.start + HEADER_BYTES, 4), "big") & 1
        }
    has_data = not {b"mdat", b"moof"}.isdisjoint(box.kind for box in _boxes(path))
    # Files with data of their own say `url ` to other files too, and nobody minds.
    if kinds - {b"url "} or (kinds and not has_data):
        return "its pictures and sound lie in another file, which it only refers to"
    return None if has_data else "it holds an index and no data (no mdat box)"


def _within(read: Reader, size: int, *kinds: bytes) -> Iterator[tuple[Reader, int]]:
    """The insides of all boxes at the end of a path of kinds."""
    if not kinds:
        yield read, size
        return
    for box in walk(read, size):
        if box.kind == kinds[0]:
            inside = _behind(read, box.start + HEADER_BYTES)
            yield from _within(inside, box.length - HEADER_BYTES, *kinds[1:])


def _behind(read: Reader, start: int) -> Reader:
    return lambda at, length: read(start + at, length)


def is_fragmented_mp4(path: Path) -> bool:
    """Tell whether an MP4's samples are indexed piece by piece (`moof` boxes)."""
    return any(box.kind == b"moof" for box in _boxes(path))


def _boxes(path: Path) -> list[BoxPlace]:
    with path.open("rb") as file:
        return list(walk(file_reader(file), path.stat().st_size))


def _matroska_end(head: bytes) -> int | None:
    """Where the segment of a Matroska file ends; None when it does not say."""
    length, position = _ebml_size(head, len(_EBML_MAGIC))
    if length is None or not head.startswith(_SEGMENT_ID, position + length):
        return None
    length, position = _ebml_size(head, position + length + len(_SEGMENT_ID))
    return None if length is None else position + length


def _ebml_size(data: bytes, position: int) -> tuple[int | None, int]:
    """Read an EBML size, and where it ends; None when absent or "unknown" (live recordings)."""
    if position >= len(data) or data[position] == 0:
        return None, position
    width = 9 - data[position].bit_length()
    unknown = (1 << 7 * width) - 1
    value = int.from_bytes(data[position : position + width], "big") & unknown
    return (None if value == unknown else value), position + width
