"""OpenTimelineIO JSON, for editors and everything else that cuts.

The schemas written are those of OpenTimelineIO 0.15 and later: `Timeline.1`, `Stack.1`, `Track.1`,
`Clip.2`, `ExternalReference.1`, `Marker.2`, `TimeRange.1`, `RationalTime.1`. A picture track and a
sound track hold the same clips, one a moment; a marker on each clip has its score.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from videomoments_dagster.moments.exports.edl import RECORD_STARTS_AT, span_in_frames
from videomoments_dagster.moments.exports.material import ExportedMoment, Material, required_moments
from videomoments_dagster.moments.exports.timecode import (
    FrameRate,
    frame_rate_of,
    frames_at,
    frames_of,
)

Schema = dict[str, Any]

_GOOD_SCORE, _FAIR_SCORE = 7, 4


def otio(material: Material) -> str:
    """Write the moments as an OpenTimelineIO timeline.

    Raises:
        ResultMissing: There are no moments yet.
    """
    moments = required_moments(material)
    rate = frame_rate_of(material.frame_rate)
    kinds = [
        kind
        for kind, there in (("Video", material.has_picture), ("Audio", material.has_sound))
        if there
    ]
    timeline = _schema(
        "Timeline.1",
        name=material.title,
        global_start_time=_time(frames_of(f"{RECORD_STARTS_AT}:00", rate), rate),
        tracks=_item(
            "Stack.1",
            name="tracks",
            children=[
                _track(kind, material, moments, rate, with_markers=number == 0)
                for number, kind in enumerate(kinds)
            ],
        ),
        metadata={"videomoments": {"video": material.identifier}},
    )
    return json.dumps(timeline, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _track(
    kind: str,
    material: Material,
    moments: Sequence[ExportedMoment],
    rate: FrameRate,
    *,
    with_markers: bool,
) -> Schema:
    return _item(
        "Track.1",
        name=kind,
        kind=kind,
        children=[_clip(material, moment, rate, with_marker=with_markers) for moment in moments],
    )


def _clip(
    material: Material, moment: ExportedMoment, rate: FrameRate, *, with_marker: bool
) -> Schema:
    start, end = span_in_frames(moment, rate)
    of_moment = {
        "moment": moment.identifier,
        "start_seconds": moment.start,
        "end_seconds": moment.end,
        "score": moment.score,
    }
    return _item(
        "Clip.2",
        name=moment.title,
        source_range=_range(start, end - start, rate),
        markers=[_marker(moment, start, rate)] if with_marker else [],
        media_references={"DEFAULT_MEDIA": _media(material, end, rate)},
        active_media_reference_key="DEFAULT_MEDIA",
        metadata={"videomoments": of_moment},
    )


def _marker(moment: ExportedMoment, start: int, rate: FrameRate) -> Schema:
    score = moment.score
    color = (
        "WHITE"
        if score is None
        else "GREEN"
        if score >= _GOOD_SCORE
        else "YELLOW"
        if score >= _FAIR_SCORE
        else "RED"
    )
    return _schema(
        "Marker.2",
        name="not scored" if score is None else f"score {score}",
        color=color,
        comment=moment.title,
        marked_range=_range(start, 0, rate),
        metadata={"videomoments": {"score": score}},
    )


def _media(material: Material, end: int, rate: FrameRate) -> Schema:
    frames = 0 if material.duration is None else frames_at(material.duration, rate)
    return _schema(
        "ExternalReference.1",
        name=material.media_name,
        target_url=media_url(material.media),
        # Rounding may put the last frame of a moment just after the last one of the file.
        available_range=_range(0, max(frames, end), rate),
        available_image_bounds=None,
        metadata={},
    )


def media_url(media: str) -> str:
    """A URL for a path; addresses, and paths of other systems, are kept."""
    return Path(media).as_uri() if media.startswith("/") else media


def _item(schema: str, **fields: Any) -> Schema:
    whole: Schema = {
        "source_range": None,
        "effects": [],
        "markers": [],
        "enabled": True,
        "metadata": {},
    }
    return _schema(schema, **{**whole, **fields})


def _schema(schema: str, **fields: Any) -> Schema:
    return {"OTIO_SCHEMA": schema, **fields}


def _range(start: int, duration: int, rate: FrameRate) -> Schema:
    return _schema("TimeRange.1", start_time=_time(start, rate), duration=_time(duration, rate))


def _time(frames: int, rate: FrameRate) -> Schema:
    return _schema("RationalTime.1", rate=float(rate.exact), value=float(frames))
