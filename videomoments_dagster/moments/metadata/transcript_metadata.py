"""What the UI tells about `transcript`: how much is said, and how it begins."""

from __future__ import annotations

from typing import Any

import dagster as dg

from videomoments_dagster.base.text import clock
from videomoments_dagster.core.metadata_tables import cut_off, markdown_text
from videomoments_dagster.moments.pictures.svg import INLINE_CHARACTERS
from videomoments_dagster.speech.transcript import Transcript, spoken_seconds, spoken_stretches

_LONGEST_LINE = 160
_MOST_LINES = 12


def transcript_metadata(transcript: Transcript, *, duration_seconds: float) -> dict[str, Any]:
    """Speech in seconds, as a share and by the minute, and the first lines.

    Args:
        transcript: What is said.
        duration_seconds: Length of the video.
    """
    spoken = spoken_seconds(spoken_stretches(transcript.words, duration_seconds=duration_seconds))
    told: dict[str, Any] = {
        "speech_seconds": round(spoken, 3),
        "speech_share": round(spoken / duration_seconds, 4) if duration_seconds > 0 else 0.0,
    }
    if spoken > 0:
        told["words_per_minute_of_speech"] = round(len(transcript.words) / spoken * 60, 1)
    if transcript.segments:
        told["first_lines"] = dg.MetadataValue.md(_first_lines(transcript))
    return told


def _first_lines(transcript: Transcript) -> str:
    lines: list[str] = []
    for segment in transcript.segments[:_MOST_LINES]:
        text = markdown_text(cut_off(segment.text, _LONGEST_LINE))
        line = f"**{clock(segment.start)}** {text}"
        if len("  \n".join([*lines, line])) > INLINE_CHARACTERS:
            break
        lines.append(line)
    return "  \n".join(lines)
