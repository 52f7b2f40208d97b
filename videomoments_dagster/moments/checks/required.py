"""What a step refuses to work with, whether or not a check was part of the run.

Belongs here: rules whose breach would spread, as typed failures. Does not belong here: rules that
only a person should know about (`made`, `stored`).
"""

from __future__ import annotations

from collections.abc import Sequence

from videomoments_dagster.base.failures import ResultUnsound
from videomoments_dagster.moments.records import Moments
from videomoments_dagster.moments.soundness.moments_rules import place_problems
from videomoments_dagster.moments.soundness.transcripts_rules import word_time_problems
from videomoments_dagster.speech.transcript import Transcript


def require_word_times(transcript: Transcript, *, duration_seconds: float) -> None:
    """Refuse a transcript by whose words nothing can be cut.

    Raises:
        ResultUnsound: If words go backwards or lie outside the video.
    """
    _require("transcript", word_time_problems(transcript, duration_seconds=duration_seconds))


def require_places(moments: Moments, *, asset: str, duration_seconds: float) -> None:
    """Refuse moments of which nothing can be cut.

    Raises:
        ResultUnsound: If one has no length or is not inside the video.
    """
    _require(asset, place_problems(moments.moments, duration_seconds=duration_seconds))


def _require(asset: str, problems: Sequence[str]) -> None:
    if problems:
        more = f", and {len(problems) - 1} more problems" if len(problems) > 1 else ""
        raise ResultUnsound(
            f"the stored result of the asset '{asset}' is not sound: {problems[0]}{more}",
            remedy=f"Materialise '{asset}' for this partition again, with `force` if it says that "
            "nothing changed",
        )
