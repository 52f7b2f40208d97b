"""Moments for editors, as a CMX 3600 edit decision list and as an OpenTimelineIO timeline.

One event or clip a moment, one after the other, from the record timecode 01:00:00:00 on. Source
timecodes count from the first frame that a player shows, whatever timecode track the file has.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect
from pathlib import Path
from typing import Any

from videomoments_dagster.base.failures import ExportRefused
from videomoments_dagster.moments.exports.material import ExportedMoment, Material, required_moments
from videomoments_dagster.moments.exports.timecode import (
    FrameRate,
    TimecodeOutOfRange,
    frame_rate_of,
    frames_at,
    timecode,
)

Schema = dict[str, Any]

MOST_EVENTS = 999
REEL_CHARACTERS = 8

_HIGHEST_NOMINAL = 60
# Reels that editors give a meaning: material without a tape, and black.
_RESERVED = {"AX", "BL"}
_COLORS, _COLORS_FROM = ("RED", "YELLOW", "GREEN"), (4, 7)


def edl(material: Material) -> str:
    """Write the moments as an edit decision list.

    Raises:
        ResultMissing: There are no moments yet.
        ExportRefused: There are more moments, or later ones, than the format can name.
    """
    moments, identifier = required_moments(material), material.identifier
    if len(moments) > MOST_EVENTS:
        raise ExportRefused(
            f"a CMX 3600 list holds {MOST_EVENTS} events, and '{identifier}' has "
            f"{len(moments)} moments",
            remedy="Use the format otio",
        )
    rate = countable(frame_rate_of(material.frame_rate))
    fcm = "DROP FRAME" if rate.dropped else "NON-DROP FRAME"
    lines = [f"TITLE: {material.title[:70]}", f"FCM: {fcm}"]
    record, facts = rate.frames_per_hour, material.stored.video.facts
    channel = "V" if not facts.audio else "AA/V" if facts.video else "AA"
    try:
        for number, moment in enumerate(moments, start=1):
            start, end = _span_in_frames(moment, rate)
            after = record + end - start
            times = " ".join(timecode(frame, rate) for frame in (start, end, record, after))
            score = "" if moment.score is None else f" ({moment.score}/10)"
            lines += [
                "",
                f"{number:03d}  {reel(identifier):<8} {channel:<5} C        {times}",
                f"* FROM CLIP NAME: {material.media_name}",
                f"* COMMENT: {moment.title}",
                f"* LOC: {timecode(record, rate)} GREEN   {moment.title}{score}",
            ]
            record = after
    except TimecodeOutOfRange as error:
        raise ExportRefused(
            f"timecodes of a CMX 3600 list end after 24 hours, and those of '{identifier}' do not",
            remedy="Use the format otio",
        ) from error
    return "\n".join(lines) + "\n"


def otio(material: Material) -> str:
    """Write the moments as an OpenTimelineIO timeline.

    The schemas are those of OpenTimelineIO 0.15 and later. A picture track and a sound track hold
    the same clips; a marker on each clip of the first track has its score.

    Raises:
        ResultMissing: There are no moments yet.
    """
    moments = required_moments(material)
    rate = frame_rate_of(material.frame_rate)
    facts = material.stored.video.facts
    tracks: list[Schema] = []
    for kind in [kind for kind, there in (("Video", facts.video), ("Audio", facts.audio)) if there]:
        clips = [_clip(material, one, rate, has_marker=not tracks) for one in moments]
        tracks.append(_item("Track.1", name=kind, kind=kind, children=clips))
    timeline = _schema(
        "Timeline.1",
        name=material.title,
        global_start_time=_time(rate.frames_per_hour, rate),
        tracks=_item("Stack.1", name="tracks", children=tracks),
        metadata={"videomoments": {"video": material.identifier}},
    )
    return json.dumps(timeline, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def countable(rate: FrameRate) -> FrameRate:
    """The rate, or half of it and so on, until two digits and editors can count it."""
    while rate.nominal > _HIGHEST_NOMINAL and rate.nominal % 2 == 0:
        rate = FrameRate(rate.nominal // 2, is_ntsc=rate.is_ntsc)
    return rate


def reel(identifier: str) -> str:
    """At most 8 capitals and digits; two videos do not share one that was shortened."""
    plain = "".join(character for character in identifier.upper() if character.isalnum())
    if plain == identifier.upper() and len(plain) <= REEL_CHARACTERS and plain not in _RESERVED:
        return plain
    mark = hashlib.sha256(identifier.encode()).hexdigest()[:4].upper()
    return plain[: REEL_CHARACTERS - len(mark)] + mark


def _span_in_frames(moment: ExportedMoment, rate: FrameRate) -> tuple[int, int]:
    """First frame of a moment and the frame after its last; at least one frame."""
    start = frames_at(moment.start, rate)
    return start, max(frames_at(moment.end, rate), start + 1)


def _clip(
    material: Material, moment: ExportedMoment, rate: FrameRate, *, has_marker: bool
) -> Schema:
    start, end = _span_in_frames(moment, rate)
    # Rounding may put the last frame of a moment just after the last one of the file.
    frames = max(frames_at(material.stored.video.facts.duration_seconds, rate), end)
    address = material.media
    media = _schema(
        "ExternalReference.1",
        name=material.media_name,
        # Addresses, and paths of other systems, are kept.
        target_url=Path(address).as_uri() if address.startswith("/") else address,
        available_range=_range(0, frames, rate),
        available_image_bounds=None,
        metadata={},
    )
    about = {
        "moment": moment.root.identifier,
        "start_seconds": moment.start,
        "end_seconds": moment.end,
        "score": moment.score,
    }
    return _item(
        "Clip.2",
        name=moment.title,
        source_range=_range(start, end - start, rate),
        markers=[_marker(moment, start, rate)] if has_marker else [],
        media_references={"DEFAULT_MEDIA": media},
        active_media_reference_key="DEFAULT_MEDIA",
        metadata={"videomoments": about},
    )


def _marker(moment: ExportedMoment, start: int, rate: FrameRate) -> Schema:
    score = moment.score
    return _schema(
        "Marker.2",
        name="not scored" if score is None else f"score {score}",
        color="WHITE" if score is None else _COLORS[bisect(_COLORS_FROM, score)],
        comment=moment.title,
        marked_range=_range(start, 0, rate),
        metadata={"videomoments": {"score": score}},
    )


def _item(schema: str, **fields: Any) -> Schema:
    own: Schema = {
        "source_range": None,
        "effects": [],
        "markers": [],
        "enabled": True,
        "metadata": {},
    }
    return _schema(schema, **(own | fields))


def _schema(schema: str, **fields: Any) -> Schema:
    return {"OTIO_SCHEMA": schema, **fields}


def _range(start: int, duration: int, rate: FrameRate) -> Schema:
    return _schema("TimeRange.1", start_time=_time(start, rate), duration=_time(duration, rate))


def _time(frames: int, rate: FrameRate) -> Schema:
    return _schema("RationalTime.1", rate=float(rate.exact), value=float(frames))
