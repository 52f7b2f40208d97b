"""What a file is by its first bytes, where that is not a media container.

Belongs here: recognising things that people hand in by mistake, so that the refusal can name
them. Does not belong here: media containers, which the demuxers recognise (`probe`).
"""

from __future__ import annotations

from pathlib import Path

_HEAD_BYTES = 4096
_PRINTABLE_SHARE = 0.95

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "an image (PNG)"),
    (0, b"\xff\xd8\xff", "an image (JPEG)"),
    (0, b"GIF8", "an image (GIF)"),
    (0, b"BM", "an image (BMP)"),
    (0, b"II*\x00", "an image (TIFF)"),
    (0, b"MM\x00*", "an image (TIFF)"),
    (8, b"WEBP", "an image (WebP)"),
    (4, b"ftypheic", "an image (HEIC)"),
    (4, b"ftypheix", "an image (HEIC)"),
    (4, b"ftypmif1", "an image (HEIF)"),
    (4, b"ftypavif", "an image (AVIF)"),
    (0, b"%PDF-", "a PDF document"),
    (0, b"PK\x03\x04", "a ZIP archive or office document"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"7z\xbc\xaf", "a 7-Zip archive"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"\x7fELF", "a program"),
)

_TEXT_OPENINGS: tuple[tuple[str, str], ...] = (
    ("#extm3u", "a playlist"),
    ("[playlist]", "a playlist"),
    ("ffconcat", "a list of other files"),
    ("<!doctype html", "a web page"),
    ("<html", "a web page"),
    ("webvtt", "a caption file"),
    ("<mpd", "a streaming manifest"),
)


def what_it_is_instead(path: Path) -> str | None:
    """Name what a file is when it plainly is no media container.

    Args:
        path: A readable, non-empty file.

    Returns:
        Such as "a playlist" or "a text file"; None when the file may be media.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    for offset, signature, name in _SIGNATURES:
        # Two bytes are too little to refuse a file on: BMP repeats its size and has zeros after.
        if signature == b"BM" and head[6:10] != b"\x00\x00\x00\x00":
            continue
        if head[offset : offset + len(signature)] == signature:
            return name
    text = _as_text(head)
    if text is None:
        return None
    opening = text.lstrip("\ufeff \t\r\n").lower()
    for prefix, name in _TEXT_OPENINGS:
        if opening.startswith(prefix):
            return name
    if "<svg" in opening[:1000]:
        return "an image (SVG)"
    if "<mpd" in opening[:1000]:
        return "a streaming manifest"
    return "a text file"


def _as_text(head: bytes) -> str | None:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) and b"\x00" in head[2:64]:
        encoding = "utf-16"
    elif b"\x00" in head:
        return None
    else:
        encoding = "utf-8"
    text = head.decode(encoding, errors="replace")
    printable = sum(character.isprintable() or character in "\r\n\t" for character in text)
    broken = text[:-4].count("\ufffd")
    if not text or printable - broken < _PRINTABLE_SHARE * len(text):
        return None
    return text
