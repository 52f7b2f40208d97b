"""What every format is made of, and the failures that all of them share.

Belongs here: typed values read from a video's document, and the choice of boundaries. Does not
belong here: any format.

Documents are those of `video_documents`, as plain data; times are seconds on the
presented timeline.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from videomoments_dagster.base.failures import ResultMissing
from videomoments_dagster.speech.transcript import Segment, Word

Document = Mapping[str, Any]
Boundaries = Literal["refined", "moments", "clips"]

BOUNDARIES: Mapping[Boundaries, str] = {
    "refined": "refined boundaries where there are, else those of the moment",
    "moments": "the moments as they were found",
    "clips": "the clips, with the seconds around each moment",
}

# These make a line read as another one; the joiners and marks that scripts need are kept.
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class ExportedMoment:
    """A moment with the boundaries that were asked for.

    Attributes:
        identifier: 16 hexadecimal characters, of the root moment.
        start: Seconds.
        end: Seconds, after `start`.
        title: On one line, without control characters.
        score: 0 to 10, or None.
        document: All that is stored of it.
    """

    identifier: str
    start: float
    end: float
    title: str
    score: int | None
    document: Document

    @property
    def label(self) -> str:
        """Title and score, for people."""
        return self.title if self.score is None else f"{self.title} ({self.score}/10)"


@dataclass(frozen=True, slots=True)
class Material:
    """One video, ready to be written in any format.

    Attributes:
        identifier: The video's identifier.
        title: Its title, else its identifier; on one line.
        media: Address of the file that editors shall use.
        duration: Seconds, or None where it is not known.
        frame_rate: Average frames per second as stored, or None.
        has_picture: Whether it has a picture.
        has_sound: Whether it has sound.
        moments: In time order.
        words: All words in order.
        segments: All segments in order.
        document: All that is stored, for formats that want more.
    """

    identifier: str
    title: str
    media: str
    duration: float | None
    frame_rate: float | None
    has_picture: bool
    has_sound: bool
    moments: tuple[ExportedMoment, ...]
    words: tuple[Word, ...]
    segments: tuple[Segment, ...]
    document: Document

    @property
    def media_name(self) -> str:
        """File name of the media, such as "talk.mp4"."""
        return media_name(self.media)


def material_of(
    document: Document,
    *,
    boundaries: Boundaries = "refined",
    media: str | None = None,
    frame_rate: float | None = None,
) -> Material:
    """Read what formats need from a video's document.

    Args:
        document: All that is stored, with the words and segments of the transcript.
        boundaries: Which start and end each moment gets. A moment without a clip keeps its own.
        media: Address or path of the file that editors shall use; None for the stored one.
        frame_rate: Frames per second to count in; None for the stored rate.

    Raises:
        ResultMissing: The video is registered, and nothing is stored of it.
    """
    identifier = document["identifier"]
    if document["state"] != "materialised":
        raise ResultMissing(
            f"the video '{identifier}' is registered, and nothing is stored of it yet",
            remedy=f"Run `videomoments run {identifier}` first",
        )
    transcript = document["transcript"] or {}
    moments = [_moment(one, boundaries) for one in document["moments"]]
    return Material(
        identifier=identifier,
        title=one_line(document["title"] or "") or identifier,
        media=media or document["cloud_url"],
        duration=document["duration_seconds"],
        frame_rate=frame_rate or document["frame_rate"],
        has_picture=document["video_codec"] is not None,
        has_sound=document["audio_codec"] is not None,
        moments=tuple(sorted(moments, key=lambda one: (one.start, one.end, one.identifier))),
        words=tuple(
            Word(str(word["word"]), float(word["start"]), float(word["end"]))
            for word in transcript.get("words", ())
        ),
        segments=tuple(
            Segment(str(segment["text"]), float(segment["start"]), float(segment["end"]))
            for segment in transcript.get("segments", ())
        ),
        document=document,
    )


def _moment(moment: Document, boundaries: Boundaries) -> ExportedMoment:
    of: Mapping[Boundaries, Document | None] = {
        "refined": moment["refined"],
        "moments": None,
        "clips": moment["clip"],
    }
    span = of[boundaries] or moment
    score = None if boundaries != "refined" else (moment["refined"] or {}).get("score")
    return ExportedMoment(
        identifier=moment["identifier"],
        start=float(span["start_time"]),
        end=float(span["end_time"]),
        title=one_line(moment["title"]) or "Untitled",
        score=moment["score"] if score is None else score,
        document=moment,
    )


def required_moments(material: Material) -> Sequence[ExportedMoment]:
    """The moments; none where the step was done and found none.

    Raises:
        ResultMissing: Moments were never materialised.
    """
    if not material.moments and material.document["moments_made"] is None:
        raise ResultMissing(
            f"there are no moments of '{material.identifier}' yet",
            remedy=f"Run `videomoments run {material.identifier}` first",
        )
    return material.moments


def required_segments(material: Material) -> Sequence[Segment]:
    """The transcript's segments; none where nothing is said.

    Raises:
        ResultMissing: There is no transcript.
    """
    if material.document["transcript"] is None:
        raise ResultMissing(
            f"there is no transcript of '{material.identifier}' yet",
            remedy=f"Run `videomoments run {material.identifier}` first",
        )
    return material.segments


def one_line(text: str) -> str:
    """Put text on one line, without what steers terminals or turns its direction."""
    spaced = "".join(
        " " if unicodedata.category(character) in {"Cc", "Zl", "Zp"} else character
        for character in _TURNING.sub("", text)
        if unicodedata.category(character) != "Cs"
    )
    return " ".join(spaced.split())


def media_name(media: str) -> str:
    """File name of a path or address, without query; never empty."""
    path = unquote(urlsplit(media).path) if "://" in media else media
    name = path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    return one_line(name) or "media"
