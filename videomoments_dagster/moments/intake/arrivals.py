"""What lies in an inbox, as values.

Belongs here: one arrival, and which file names count. Does not belong here: where they are listed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from videomoments_dagster.sources.locations import MEDIA_SUFFIXES

CAPTION_SUFFIXES = (".srt", ".vtt")


@dataclass(frozen=True, slots=True)
class Arrival:
    """A source that lies in the inbox, or a line of the manifest.

    Attributes:
        location: Absolute path or URL; for a line that cannot be read, where that line is.
        state: Changes when its bytes may have changed: size and time, or generation.
        size_bytes: Size; None where it is not known without fetching.
        checksum: Of its bytes, with the name of its kind, where the listing gives one.
        captions: Caption file that came with it, if any.
        identifier: Wanted identifier, if the manifest gives one.
        title: Title, if the manifest gives one.
        profile: Generation profile, if the manifest gives one.
        problem: Why it cannot be taken in, where that is known already.
    """

    location: str
    state: str
    size_bytes: int | None = None
    checksum: str | None = None
    captions: str | None = None
    identifier: str | None = None
    title: str | None = None
    profile: str | None = None
    problem: str | None = None

    @property
    def key(self) -> str:
        """Names the arrival in the database, where locations are too long for an index."""
        return hashlib.sha256(self.location.encode(errors="surrogatepass")).hexdigest()


def is_media_name(path: str) -> bool:
    """Whether a file of this name is taken in: a media suffix, and no part of its path hidden.

    Programs that copy write to hidden or otherwise named files first, and rename them at the end.
    """
    parts = PurePosixPath(path)
    hidden = any(part.startswith(".") for part in parts.parts)
    return parts.suffix.lower() in MEDIA_SUFFIXES and not hidden


def captions_beside(path: str, present: Mapping[str, object]) -> str | None:
    """The caption file of the same name in the same folder, if there is one.

    Args:
        path: Path of a media file, relative to the inbox.
        present: All paths of the inbox.
    """
    stem = path[: len(path) - len(PurePosixPath(path).suffix)]
    return next((stem + suffix for suffix in CAPTION_SUFFIXES if stem + suffix in present), None)
