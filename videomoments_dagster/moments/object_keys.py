"""Where videos, clips, thumbnails and pages lie in the object store."""

from __future__ import annotations

import re

from videomoments_dagster.core.objects.keys import checked_hash, checked_segment, key_in, short_hash

VIDEOS = "videos"
CLIPS = "clips"
THUMBNAILS = "thumbnails"
PAGES = "pages"

_NOUN = "video identifier"
_EXTENSION = re.compile(r"[a-z0-9]{1,10}")


def video_key(identifier: str, content_hash: str, extension: str) -> str:
    """The key of a video's bytes: `videos/<identifier>/<sha256>.<extension>`.

    Args:
        identifier: The video's business identifier.
        content_hash: SHA-256 of the bytes, 64 hexadecimal characters.
        extension: File name extension, with or without its dot; "bin" when it is no plain word.
    """
    plain = extension.lower().removeprefix(".")
    suffix = plain if _EXTENSION.fullmatch(plain) else "bin"
    return key_in(VIDEOS, identifier, f"{checked_hash(content_hash)}.{suffix}", noun=_NOUN)


def clip_key(identifier: str, moment: str, content_hash: str) -> str:
    """The key of a clip: `clips/<identifier>/<moment>-<16 characters of sha256>.mp4`."""
    name = f"{checked_segment(moment, 'moment identifier')}-{short_hash(content_hash)}.mp4"
    return key_in(CLIPS, identifier, name, noun=_NOUN)


def thumbnail_key(identifier: str, moment: str | None, content_hash: str) -> str:
    """The key of a thumbnail: of a moment's clip, or of the video itself for None.

    It is `thumbnails/<identifier>/<moment or "video">-<16 characters of sha256>.jpg`.
    """
    subject = "video" if moment is None else checked_segment(moment, "moment identifier")
    name = f"{subject}-{short_hash(content_hash)}.jpg"
    return key_in(THUMBNAILS, identifier, name, noun=_NOUN)


def page_key(identifier: str, content_hash: str) -> str:
    """The key of a video's page: `pages/<identifier>/<16 characters of sha256>.html`."""
    return key_in(PAGES, identifier, f"{short_hash(content_hash)}.html", noun=_NOUN)
