"""What every format is made of: a video with the boundaries and the media that were asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

from videomoments_dagster.base.failures import ResultMissing
from videomoments_dagster.base.text import one_line
from videomoments_dagster.moments.records import Clip, Moment, Thumbnail
from videomoments_dagster.moments.stored_videos import RegisteredVideo, StoredVideo
from videomoments_dagster.speech.transcripts import Transcript

Boundaries = Literal["refined", "moments", "clips"]

BOUNDARIES: Mapping[Boundaries, str] = {
    "refined": "refined boundaries where there are, else those of the moment",
    "moments": "the moments as they were found",
    "clips": "the clips, with the seconds around each moment",
}


@dataclass(frozen=True, slots=True)
class ExportedMoment:
    """A moment with the boundaries that were asked for.

    Attributes:
        root: The moment as it was found.
        start: Seconds.
        end: Seconds, after `start`.
        title: On one line, without control characters.
        score: 0 to 10, or None.
        refined: What refines it, if anything does.
        clip: Its clip, if there is one.
        thumbnail: The clip's thumbnail, if there is one.
    """

    root: Moment
    start: float
    end: float
    title: str
    score: int | None
    refined: Moment | None
    clip: Clip | None
    thumbnail: Thumbnail | None


@dataclass(frozen=True, slots=True)
class Material:
    """One video, ready to be written in any format.

    Attributes:
        stored: All that is stored of it.
        title: Its title, else its identifier; on one line.
        media: Address of the file that editors shall use.
        frame_rate: Average frames per second to count in, or None.
        moments: In time order.
    """

    stored: StoredVideo
    title: str
    media: str
    frame_rate: float | None
    moments: tuple[ExportedMoment, ...]

    @property
    def identifier(self) -> str:
        """The video's identifier."""
        return self.stored.identifier

    @property
    def media_name(self) -> str:
        """File name of the media, such as "talk.mp4", without query; never empty."""
        path = unquote(urlsplit(self.media).path) if "://" in self.media else self.media
        return one_line(path.replace("\\", "/").rstrip("/").rpartition("/")[2]) or "media"


def material_of(
    known: StoredVideo | RegisteredVideo,
    *,
    boundaries: Boundaries = "refined",
    media: str | None = None,
    frame_rate: float | None = None,
) -> Material:
    """Choose what formats need.

    Args:
        known: The video.
        boundaries: Which start and end each moment gets. A moment without a clip keeps its own.
        media: Address or path of the file that editors shall use; None for the stored one.
        frame_rate: Frames per second to count in; None for the stored rate.

    Raises:
        ResultMissing: The video is registered, and nothing is stored of it.
    """
    if isinstance(known, RegisteredVideo):
        raise _missing(
            f"the video '{known.identifier}' is registered, and nothing is stored of it yet", known
        )
    video, picture = known.video, known.video.facts.video
    return Material(
        stored=known,
        title=one_line(video.title or "") or video.identifier,
        media=media or video.cloud_url,
        frame_rate=frame_rate or (picture.frame_rate if picture else None),
        moments=exported_moments(known, boundaries),
    )


def exported_moments(stored: StoredVideo, boundaries: Boundaries) -> tuple[ExportedMoment, ...]:
    """Give each moment its boundaries; in time order."""
    refined = stored.refined_by_root
    moments: list[ExportedMoment] = []
    for root in stored.moments:
        child, clip = refined.get(root.identifier), stored.clips.get(root.identifier)
        chosen = child if boundaries == "refined" and child else root
        span = clip if boundaries == "clips" and clip else chosen
        moments.append(
            ExportedMoment(
                root=root,
                start=span.start_time,
                end=span.end_time,
                title=one_line(root.title) or "Untitled",
                score=root.score if chosen.score is None else chosen.score,
                refined=child,
                clip=clip,
                thumbnail=stored.thumbnails.get(root.identifier),
            )
        )
    return tuple(sorted(moments, key=lambda one: (one.start, one.end, one.root.identifier)))


def required_moments(material: Material) -> tuple[ExportedMoment, ...]:
    """The moments; none where the step was done and found none.

    Raises:
        ResultMissing: Moments were never materialised.
    """
    if not material.moments and material.stored.note("made", "moments").written_at is None:
        raise _missing(f"there are no moments of '{material.identifier}' yet", material.stored)
    return material.moments


def required_transcript(material: Material) -> Transcript:
    """The transcript; an empty one where nothing is said.

    Raises:
        ResultMissing: There is no transcript.
    """
    if material.stored.transcript is None:
        raise _missing(f"there is no transcript of '{material.identifier}' yet", material.stored)
    return material.stored.transcript


def _missing(reason: str, known: StoredVideo | RegisteredVideo) -> ResultMissing:
    return ResultMissing(reason, remedy=f"Run `videomoments run {known.identifier}` first")
