"""Addresses that a page may link to, load or play, and the only ways to make one."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

_MEDIA_TYPE = re.compile(r"(image|video|audio)/[a-z0-9.+-]+")
_WEB = re.compile(r"https?://[^\s\\\"'<>`{}|^\x00-\x20\x7f-\U0010ffff]+")


@dataclass(frozen=True, slots=True)
class Address:
    """Something harmless to put into `href` or `src`; made by the functions below only."""

    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def is_embedded(self) -> bool:
        """Whether it holds the bytes themselves."""
        return self.text.startswith("data:")


def relative_address(segments: Sequence[str]) -> Address:
    """Address a file relative to the page; every segment is percent-encoded.

    Args:
        segments: Names of folders from the page's own, `..` for upwards, then of the file.
    """
    return Address("/".join(quote(os.fsencode(segment), safe="") for segment in segments))


def address_between(page: Path, file: Path) -> Address:
    """Address a local file from the place of a page.

    Both are taken as they are written: browsers, too, take `..` off the text, whatever is a
    symbolic link.

    Args:
        page: Absolute path of the page.
        file: Absolute path of the file.
    """
    return relative_address(Path(os.path.relpath(file, page.parent)).parts)


def data_address(media_type: str, content: bytes) -> Address:
    """Hold some bytes in the address itself.

    Raises:
        ValueError: If it is no type of picture, sound or video.
    """
    if not _MEDIA_TYPE.fullmatch(media_type):
        raise ValueError(f"{media_type!r} is no media type")
    return Address(f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}")


def web_address(url: str) -> Address | None:
    """Address a public page, or None for everything that is no plain `http(s)` address.

    `javascript:` and its like, credentials and characters outside of ASCII make it none.
    """
    if not _WEB.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return Address(url) if parts.hostname and "@" not in parts.netloc else None
