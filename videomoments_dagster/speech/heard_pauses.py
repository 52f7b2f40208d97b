"""Where nobody speaks near some places of a file, by its sound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from videomoments_dagster.media.container import MP4
from videomoments_dagster.media.facts import MediaFacts
from videomoments_dagster.media.speech_audio import (
    SPEECH_RATE,
    extract_speech_audio,
    speech_samples,
)
from videomoments_dagster.speech.pauses import (
    FRAMES_PER_SECOND,
    loudness_db,
    quiet_stretches,
    silence_threshold,
)

# Elsewhere a seek lands where the bit rate says it should, and times are off by seconds.
_KEEP_TIMES = (MP4, "matroska,webm")
_WORTH_SEEKING = 0.5
_TIMEOUT_SECONDS = 600.0


def listened_to(
    places: Sequence[tuple[float, float]], facts: MediaFacts
) -> list[tuple[float, float]]:
    """The stretches to listen to for knowing the pauses in some places.

    Args:
        places: Presented start and end of each, seconds, in any order.
        facts: The file's probe.

    Returns:
        Stretches in order, apart from each other; all of the file where that is about as quick.
    """
    lasts = facts.duration_seconds
    stretches: list[tuple[float, float]] = []
    for start, end in sorted((max(start, 0.0), min(end, lasts)) for start, end in places):
        if stretches and start <= stretches[-1][1]:
            stretches[-1] = (stretches[-1][0], max(end, stretches[-1][1]))
        elif start < end:
            stretches.append((start, end))
    together = sum(end - start for start, end in stretches)
    if facts.container in _KEEP_TIMES and together < _WORTH_SEEKING * lasts:
        return stretches
    return [(0.0, lasts)] if stretches else []


def heard_pauses(
    media: Path,
    facts: MediaFacts,
    stretches: Sequence[tuple[float, float]],
    *,
    shortest_seconds: float,
    scratch: Path,
    progress: Callable[[int, int], None],
) -> list[tuple[float, float]] | None:
    """The pauses in some stretches of the sound, by a threshold taken from the recording itself.

    Args:
        media: Readable local file.
        facts: Its probe.
        stretches: What to listen to, as `listened_to` gives it.
        shortest_seconds: Shortest pause wanted.
        scratch: Folder for a temporary file.
        progress: Told how many of how many stretches are done.

    Returns:
        Pauses in order, with presented start and end in seconds; None where there is no sound, or
        none that is quieter in one place than in another.

    Raises:
        MediaFailed: The sound cannot be decoded.
    """
    curves = []
    for done, stretch in enumerate(stretches, start=1):
        wav = extract_speech_audio(
            media,
            facts,
            to=scratch / "pauses.wav",
            timeout_seconds=_TIMEOUT_SECONDS,
            stretch=stretch,
        )
        if wav is None:
            return None
        curves.append(loudness_db(speech_samples(wav), rate=SPEECH_RATE))
        progress(done, len(stretches))
    threshold = silence_threshold(np.concatenate(curves)) if curves else None
    if threshold is None:
        return None
    return [
        (start + quiet, start + until)
        for (start, end), curve in zip(stretches, curves, strict=True)
        for quiet, until in quiet_stretches(
            _to_its_end(curve, end - start), threshold=threshold, shortest_seconds=shortest_seconds
        )
    ]


def _to_its_end(curve: NDArray[np.float32], seconds: float) -> NDArray[np.float32]:
    """The loudness of all of a stretch: silence where the sound ends before it does."""
    missing = max(int(seconds * FRAMES_PER_SECOND) - curve.size, 0)
    return np.pad(curve, (0, missing), constant_values=-np.inf)
