"""Stored videos made by hand, as exports get them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from videomoments_dagster.media.facts import AudioStream, MediaFacts, VideoStream
from videomoments_dagster.moments.exports.material import Material, material_of
from videomoments_dagster.moments.records import (
    Clip,
    Moment,
    Source,
    Thumbnail,
    Video,
)
from videomoments_dagster.moments.stored_videos import RegisteredVideo, RowNote, StoredVideo
from videomoments_dagster.speech.transcripts import Segment, Transcript, Word

NO_OPENTIMELINEIO = "OpenTimelineIO has no wheel for Python 3.14"
"""Why timelines are not read back there; what is written is the same on every Python."""

MADE = RowNote(datetime(2026, 2, 6, 10))  # noqa: DTZ001  as stored


def moment_document(number: int, start: float, end: float, **fields: Any) -> dict[str, Any]:
    return {
        "identifier": f"{number:016x}",
        "start_time": start,
        "end_time": end,
        "title": f"Moment {number}",
        "score": 5,
        "scoring_model": "extractive",
        "scored_at": None,
        "generation_model": "extractive",
        "refined": None,
        "clip": None,
        **fields,
    }


def stored_video(*moments: dict[str, Any], **fields: Any) -> Any:
    """A video with these moments, as `moment_document` gives them; of `fields` any may be named."""
    of_video = {
        "state": "materialised",
        "title": "A talk",
        "duration_seconds": 3600.0,
        "video_codec": "h264",
        "audio_codec": "aac",
        "frame_rate": 25.0,
        "transcript": None,
        "moments_made": MADE,
        **fields,
    }
    if of_video["state"] == "registered":
        return RegisteredVideo(Source("talk", "/talks/talk.mp4"))
    picture, sound = of_video["video_codec"], of_video["audio_codec"]
    facts = MediaFacts(
        container="mov",
        duration_seconds=of_video["duration_seconds"],
        size_bytes=1,
        video=picture and VideoStream(0, picture, 1280, 720, 0, of_video["frame_rate"], 0.0, 90000),
        audio=sound and AudioStream(1, sound, 48000, 2, 0.0),
    )
    made = of_video["moments_made"]
    return StoredVideo(
        video=Video(
            identifier="talk",
            source_url="/talks/talk.mp4",
            cloud_url="file:///objects/videos/talk/a%20b.mp4",
            content_hash="0" * 64,
            facts=facts,
            title=of_video["title"],
        ),
        transcript=of_video["transcript"],
        moments=tuple(map(_root, moments)),
        refined=tuple(_refined(one) for one in moments if one["refined"]),
        clips={one["identifier"]: _clip(one) for one in moments if one["clip"]},
        thumbnails={
            one["identifier"]: Thumbnail(one["identifier"], one["clip"]["thumbnail_url"], None)
            for one in moments
            if one["clip"] and one["clip"].get("thumbnail_url")
        },
        notes={("made", "moments"): made} if made else {},
    )


def material(*moments: dict[str, Any], boundaries: Any = "refined", **fields: Any) -> Material:
    return material_of(stored_video(*moments, **fields), boundaries=boundaries)


def transcript(*segments: tuple[str, float, float], words: Any = None) -> Transcript:
    """Segments (text, start, end); words (word, start, end) are spread evenly if not given."""
    if words is None:
        words = [
            (
                word,
                start + (end - start) * at / len(text.split()),
                start + (end - start) * (at + 1) / len(text.split()),
            )
            for text, start, end in segments
            for at, word in enumerate(text.split())
        ]
    return Transcript(
        full_text=" ".join(text for text, _, _ in segments),
        words=tuple(Word(*word) for word in words),
        segments=tuple(Segment(*segment) for segment in segments),
        language="en",
        transcription_service="captions",
        processing_time_seconds=0.0,
    )


def _root(moment: dict[str, Any]) -> Moment:
    return Moment(**{name: moment[name] for name in moment if name not in ("refined", "clip")})


def _refined(moment: dict[str, Any]) -> Moment:
    return Moment(
        identifier=f"{moment['identifier']}r",
        title=moment["title"],
        generation_model="extractive",
        parent_identifier=moment["identifier"],
        **moment["refined"],
    )


def _clip(moment: dict[str, Any]) -> Clip:
    given = {
        "cloud_url": "file:///objects/clips/talk/a.mp4",
        "padding_left": 0.0,
        "padding_right": 0.0,
        **dict.fromkeys(("file_size_kb", "format", "video_codec", "audio_codec", "resolution")),
        **moment["clip"],
    }
    given.pop("thumbnail_url", None)
    return Clip(moment_identifier=moment["identifier"], **given)
