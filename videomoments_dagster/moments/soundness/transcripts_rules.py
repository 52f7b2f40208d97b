"""What must hold of a transcript.

Belongs here: rules about its times and its amount of speech. Does not belong here: mending any.
"""

from __future__ import annotations

import math

from videomoments_dagster.base.text import clock
from videomoments_dagster.moments.soundness import TIME_TOLERANCE_SECONDS
from videomoments_dagster.speech.transcript import Transcript, spoken_seconds, spoken_stretches

_LONG_ENOUGH_SECONDS = 120.0
_LEAST_SHARE = 0.02
_LEAST_WORDS_PER_MINUTE = 20.0
_MOST_WORDS_PER_MINUTE = 450.0


def word_time_problems(transcript: Transcript, *, duration_seconds: float) -> tuple[str, ...]:
    """Words whose times go backwards or lie outside the video, each as a sentence.

    Args:
        transcript: What is said.
        duration_seconds: Length of the video.
    """
    problems: list[str] = []
    latest = -math.inf
    for place, word in enumerate(transcript.words, start=1):
        named = f"word {place}, '{word.text[:40]}',"
        if not (math.isfinite(word.start) and math.isfinite(word.end)):
            problems.append(f"{named} has no time")
            continue
        if word.end < word.start:
            problems.append(
                f"{named} ends at {word.end:.2f} s before it starts at {word.start:.2f} s"
            )
        if word.start < latest - TIME_TOLERANCE_SECONDS:
            problems.append(
                f"{named} starts at {word.start:.2f} s, before the word before it at {latest:.2f} s"
            )
        if (
            word.start < -TIME_TOLERANCE_SECONDS
            or word.end > duration_seconds + TIME_TOLERANCE_SECONDS
        ):
            problems.append(
                f"{named} from {word.start:.2f} s to {word.end:.2f} s is not inside the video of "
                f"{duration_seconds:.2f} s"
            )
        latest = max(latest, word.start)
    return tuple(problems)


def speech_problems(transcript: Transcript, *, duration_seconds: float) -> tuple[str, ...]:
    """What is odd about the amount of speech, each as a sentence.

    No speech at all is a result. Very little in a long video, or words that come slower or faster
    than anybody speaks, point to a wrong language, engine or caption file.

    Args:
        transcript: What is said.
        duration_seconds: Length of the video.
    """
    if not transcript.words or duration_seconds <= 0:
        return ()
    spoken = spoken_seconds(spoken_stretches(transcript.words, duration_seconds=duration_seconds))
    problems = []
    if duration_seconds >= _LONG_ENOUGH_SECONDS and spoken < _LEAST_SHARE * duration_seconds:
        problems.append(
            f"there is speech in only {spoken:.0f} s of {clock(duration_seconds)}, "
            f"{spoken / duration_seconds:.1%} of the video"
        )
    if spoken >= 1.0:
        pace = len(transcript.words) / spoken * 60
        if not _LEAST_WORDS_PER_MINUTE <= pace <= _MOST_WORDS_PER_MINUTE:
            problems.append(
                f"{pace:.0f} words come in a minute of speech, where people say "
                f"{_LEAST_WORDS_PER_MINUTE:.0f} to {_MOST_WORDS_PER_MINUTE:.0f}"
            )
    return tuple(problems)
