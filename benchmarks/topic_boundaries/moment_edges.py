"""Whether moments begin where a topic begins, and end where one ends.

Belongs here: what users get of topic boundaries. Does not belong here: the boundaries themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from topic_boundaries.measures import NEAR_SECONDS
from topic_boundaries.readers import DividedText
from topic_boundaries.segmenters import LANGUAGE
from videomoments_dagster.moments.finding.extractive import find_moments
from videomoments_dagster.moments.profiles import load_profiles, profile_named
from videomoments_dagster.speech.engine import transcript_from
from videomoments_dagster.speech.transcripts import Segment

LEVEL = "fine"

_PROFILE = "default"
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MomentEdges:
    """Edges of moments beside topic boundaries; shares are 0 to 1, over all moments.

    Attributes:
        recordings: How many recordings there were.
        moments: How many moments were found in them.
        starts_near: Share that start within 10 s of the start of a topic.
        ends_near: Share that end within 10 s of the end of a topic.
        random_starts_near: What is expected of moments of the same lengths that start with any
            utterance that leaves them room.
        random_ends_near: Likewise, where they end with the utterance whose end is nearest.
    """

    recordings: int
    moments: int
    starts_near: float
    ends_near: float
    random_starts_near: float
    random_ends_near: float


def measure_moments(texts: Sequence[DividedText]) -> MomentEdges | None:
    """Find moments with the default profile and hold their edges against the finest topics.

    Args:
        texts: Texts; those without times or fine topics are passed over.

    Returns:
        The measures, or None where no moment was found.
    """
    timed = [text for text in texts if text.spans and LEVEL in text.topic_starts]
    rows: list[tuple[float, float, float, float]] = []
    for text in timed:
        topic_starts = np.array([text.spans[at].start for at in (0, *text.topic_starts[LEVEL])])
        duration = max(span.end for span in text.spans)
        topic_ends = np.array([*topic_starts[1:], duration])
        starts = np.array([span.start for span in text.spans])
        ends = np.maximum.accumulate([span.end for span in text.spans])
        for start, end in _moments(text, duration=duration):
            random_starts, random_ends = _random_edges(
                starts, ends, length=end - start, duration=duration
            )
            rows.append(
                (
                    _near(np.array([start]), topic_starts),
                    _near(np.array([end]), topic_ends),
                    _near(random_starts, topic_starts),
                    _near(random_ends, topic_ends),
                )
            )
    if not rows:
        return None
    starts_near, ends_near, random_starts_near, random_ends_near = np.mean(rows, axis=0)
    return MomentEdges(
        recordings=len(timed),
        moments=len(rows),
        starts_near=float(starts_near),
        ends_near=float(ends_near),
        random_starts_near=float(random_starts_near),
        random_ends_near=float(random_ends_near),
    )


def _moments(text: DividedText, *, duration: float) -> list[tuple[float, float]]:
    """Starts and ends of the moments; the words of an utterance are spread over its time."""
    transcript = transcript_from(
        (
            (Segment(text=unit, start=span.start, end=span.end), ())
            for unit, span in zip(text.units, text.spans, strict=True)
        ),
        duration=duration,
        language=LANGUAGE,
        service="transcribed elsewhere",
        processing_time_seconds=0.0,
    )
    config = profile_named(_PROFILE, load_profiles()).generation
    found = find_moments(transcript, duration_seconds=duration, config=config)
    return [(draft.start_time, draft.end_time) for draft in found.drafts]


def _random_edges(
    starts: Floats, ends: Floats, *, length: float, duration: float
) -> tuple[Floats, Floats]:
    """All starts that leave room for a length, and the ends that go with them."""
    roomy = starts[starts + length <= duration]
    if not len(roomy):
        roomy = starts[:1]
    behind = np.clip(np.searchsorted(ends, roomy + length), 1, max(len(ends) - 1, 1))
    before, after = ends[behind - 1], ends[np.minimum(behind, len(ends) - 1)]
    wanted = roomy + length
    return roomy, np.where(wanted - before <= after - wanted, before, after)


def _near(times: Floats, boundaries: Floats) -> float:
    apart = np.abs(times[:, None] - boundaries[None, :]).min(axis=1)
    return float((apart <= NEAR_SECONDS).mean())
