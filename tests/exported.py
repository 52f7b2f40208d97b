"""Documents made by hand, as exports get them."""

from __future__ import annotations

from typing import Any

from videomoments_dagster.moments.exports.material import Material, material_of


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


def document(*moments: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "identifier": "talk",
        "state": "materialised",
        "source": None,
        "source_url": "/talks/talk.mp4",
        "cloud_url": "file:///objects/videos/talk/a%20b.mp4",
        "title": "A talk",
        "duration_seconds": 3600.0,
        "video_codec": "h264",
        "audio_codec": "aac",
        "frame_rate": 25.0,
        "transcript": None,
        "moments": list(moments),
        "moments_made": {"at": "2026-02-06T10:00:00.000Z", "why_fewer": None},
        **fields,
    }


def material(*moments: dict[str, Any], boundaries: Any = "refined", **fields: Any) -> Material:
    return material_of(document(*moments, **fields), boundaries=boundaries)


def transcript(*segments: tuple[str, float, float], words: Any = None) -> dict[str, Any]:
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
    return {
        "segments": [{"text": text, "start": a, "end": b} for text, a, b in segments],
        "words": [{"word": text, "start": a, "end": b} for text, a, b in words],
    }
