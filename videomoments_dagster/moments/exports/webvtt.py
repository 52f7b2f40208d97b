"""WebVTT: captions for the web's own player (https://www.w3.org/TR/webvtt1/)."""

from __future__ import annotations

from videomoments_dagster.moments.exports.caption_lines import cues, without_times
from videomoments_dagster.moments.exports.material import Material, required_segments


def webvtt(material: Material) -> str:
    """Write the transcript as WebVTT.

    `&`, `<` and `>` are escaped, so that nothing that is said is taken for a tag, and `-->` for
    a time.

    Raises:
        ResultMissing: There is no transcript.
    """
    blocks = ["WEBVTT\n"]
    for cue in cues(required_segments(material), material.words):
        times = f"{clock(cue.start_ms)} --> {clock(cue.end_ms)}"
        blocks.append("\n".join([times, *map(_escaped, cue.lines)]) + "\n")
    return "\n".join(blocks)


def clock(milliseconds: int, *, point: str = ".") -> str:
    """Write a time as `hh:mm:ss.ttt`."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{rest:03d}"


def _escaped(line: str) -> str:
    return without_times(line).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
