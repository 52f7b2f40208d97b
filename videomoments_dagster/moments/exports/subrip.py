"""SubRip (`.srt`): captions for players and editors."""

from __future__ import annotations

from videomoments_dagster.moments.exports.caption_lines import cues, without_times
from videomoments_dagster.moments.exports.material import Material, required_segments
from videomoments_dagster.moments.exports.webvtt import clock

# The format has no escapes, and players take these for tags and times.
_LOOK_ALIKES = str.maketrans({"<": "\u2039", ">": "\u203a", "{": "(", "}": ")"})


def subrip(material: Material) -> str:
    """Write the transcript as SubRip.

    The format has no escapes: `<` and `>` become single angle quotation marks and braces
    become parentheses, so that nothing that is said is taken for a tag, and `-->` for a time.

    Raises:
        ResultMissing: There is no transcript.
    """
    blocks = [
        "\n".join(
            [
                str(number),
                f"{clock(cue.start_ms, point=',')} --> {clock(cue.end_ms, point=',')}",
                *(without_times(line).translate(_LOOK_ALIKES) for line in cue.lines),
            ]
        )
        + "\n"
        for number, cue in enumerate(cues(required_segments(material), material.words), start=1)
    ]
    return "\n".join(blocks)
