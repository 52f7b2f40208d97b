"""Whether a file ends before its own structure says it does.

Belongs here: reading the sizes that containers promise (MP4 boxes, Matroska's segment, RIFF).
Does not belong here: durations in headers, which are claims about time and often wrong in files
that are whole (`timeline`).
"""

from __future__ import annotations

from pathlib import Path

_BOX_HEADER = 8
_LARGE_BOX_HEADER = 16
_MAX_TOP_LEVEL_BOXES = 100_000
_EBML_MAGIC = b"\x1a\x45\xdf\xa3"
_SEGMENT_ID = b"\x18\x53\x80\x67"
_RIFF_UNKNOWN_FROM = 0x7FFF_F000


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
    with path.open("rb") as file:
        head = file.read(64)
    if head[4:8] in {b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip", b"pnot", b"styp"}:
        return _incomplete_mp4(path, size)
    if head[:4] == _EBML_MAGIC:
        return _incomplete_matroska(path, size)
    if head[:4] == b"RIFF":
        return _incomplete_riff(head, size)
    return None


def is_fragmented_mp4(path: Path) -> bool:
    """Tell whether an MP4's samples are indexed piece by piece (`moof` boxes)."""
    return any(kind == b"moof" for kind, _, _ in _top_level_boxes(path, path.stat().st_size))


def _incomplete_mp4(path: Path, size: int) -> str | None:
    boxes = _top_level_boxes(path, size)
    kinds = {kind for kind, _, _ in boxes}
    if b"moov" not in kinds:
        return "its index (the moov box) is missing"
    kind, start, length = boxes[-1]
    if start + length > size and kind in {b"mdat", b"moof", b"moov"}:
        return f"{start + length - size} bytes at its end are missing"
    return None


def _top_level_boxes(path: Path, size: int) -> list[tuple[bytes, int, int]]:
    boxes: list[tuple[bytes, int, int]] = []
    position = 0
    with path.open("rb") as file:
        while position + _BOX_HEADER <= size and len(boxes) < _MAX_TOP_LEVEL_BOXES:
            file.seek(position)
            header = file.read(_LARGE_BOX_HEADER)
            length = int.from_bytes(header[:4], "big")
            if length == 1:
                length = int.from_bytes(header[8:16], "big")
            elif length == 0:
                length = size - position
            if length < _BOX_HEADER:
                break
            boxes.append((header[4:8], position, length))
            position += length
    return boxes


def _incomplete_matroska(path: Path, size: int) -> str | None:
    with path.open("rb") as file:
        head = file.read(4096)
    header_size, width = _ebml_size(head, 4)
    if header_size is None:
        return None
    position = 4 + width + header_size
    if head[position : position + 4] != _SEGMENT_ID:
        return None
    segment_size, width = _ebml_size(head, position + 4)
    if segment_size is None:
        return None
    missing = position + 4 + width + segment_size - size
    return f"{missing} bytes at its end are missing" if missing > 0 else None


def _ebml_size(data: bytes, position: int) -> tuple[int | None, int]:
    """Read an EBML size; None when it is absent or "unknown", as live recordings write it."""
    if position >= len(data) or data[position] == 0:
        return None, 1
    width = 9 - data[position].bit_length()
    value = int.from_bytes(data[position : position + width], "big") & ((1 << 7 * width) - 1)
    return (None if value == (1 << 7 * width) - 1 else value), width


def _incomplete_riff(head: bytes, size: int) -> str | None:
    promised = int.from_bytes(head[4:8], "little")
    if promised == 0 or promised >= _RIFF_UNKNOWN_FROM:
        return None
    # Writers disagree by a few bytes about what the size covers.
    missing = promised + _BOX_HEADER - size
    return f"{missing} bytes at its end are missing" if missing > _LARGE_BOX_HEADER else None
