"""The extractive engine: moments found, scored and refined without a model, in the words alone.

Topics come from a Bayesian model of the text (Eisenstein and Barzilay, 2008), the weight of what
is said from LexRank (Erkan and Radev, 2004); see `topics` and `terms`. Scores and refined
boundaries depend on a moment's start and end alone, whoever found it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np

from videomoments_dagster.moments.finding.outcomes import (
    Boundaries,
    Found,
    FrameSource,
    MomentDraft,
    Refined,
    Scored,
    TimeSpan,
)
from videomoments_dagster.moments.finding.selection import (
    Ranking,
    Stretch,
    pack,
    select_strongest,
    standardised,
)
from videomoments_dagster.moments.finding.speech_layout import (
    LENGTH_TOLERANCE,
    Edges,
    Floats,
    LengthLimits,
    SpeechLayout,
)
from videomoments_dagster.moments.records import GenerationConfig, ScoringConfig
from videomoments_dagster.speech.transcripts import Transcript

EXTRACTIVE_MODEL = "extractive"

_CONTENT_WEIGHT = 0.55
_BOUNDARY_WEIGHT = 0.2
_DENSITY_WEIGHT = 0.15
_LENGTH_WEIGHT = 0.1

_CENTRALITY_SHARE = 0.65
# A stretch this many deviations above an ordinary one of its video is half way up the scale:
# ordinary stretches are not moments.
_HALF_WAY = 0.7
_STEEPNESS = 1.6
_SPARSE_SPEECH = 0.5
_SHORTEST_IDEAL = 15.0
_LONGEST_IDEAL = 120.0
_LENGTH_SPREAD = 0.8
_MOST_COMPARED = 400
# An advert may be dense, central and well spoken: what is left is a score of 2 at most.
_COST_OF_ANNOUNCEMENT = 0.8

# What the longest allowed shift costs, in edge quality: a sentence edge is worth going that far.
# Where longer shifts are allowed, every `_FAR_SECONDS` cost as much again.
_COST_OF_SHIFT = 0.4
_FAR_SECONDS = 5.0
_NEAREST_EDGES = 400


def find_moments(
    transcript: Transcript, *, duration_seconds: float, config: GenerationConfig
) -> Found:
    """Find the stretches of a video that are most worth watching.

    Every moment lies inside the video, starts at a word's start and ends at a word's end, and meets
    the configured lengths to `LENGTH_TOLERANCE`. There are at most `max_moments`, none overlaps
    another, and there are fewer than `min_moments` only when no choice of stretches gives more. The
    same words give the same moments.

    Args:
        transcript: What is said.
        duration_seconds: Length of the video.
        config: Limits; its prompt and sampling parameters play no part here.
    """
    limits = LengthLimits.of(config)
    layout = SpeechLayout(transcript, duration_seconds=duration_seconds)
    if not layout.words:
        return Found(drafts=(), why_fewer="There is no speech.")
    at_most = len(layout.words) if config.max_moments is None else max(config.max_moments, 0)
    free = [(0.0, duration_seconds)]
    possible = len(pack(layout.starts.times, layout.ends.times, limits=limits, free=free))
    why_fewer = _why_fewer(layout, config=config, limits=limits, possible=possible)
    if min(possible, at_most) == 0:
        return Found(drafts=(), why_fewer=why_fewer)
    needed = min(config.min_moments or 0, possible, at_most)
    ranking = Ranking(layout, limits=limits, needed=needed)
    chosen = select_strongest(ranking.candidates, at_least=needed, at_most=at_most)
    # With nothing on sentence edges there is still something to find: `possible` says so.
    needed = max(needed, 1)
    if len(chosen) < needed:
        kept, filling = ranking.make_room(chosen, needed=needed)
        missing = needed - len(kept)
        chosen = kept + select_strongest(filling, at_least=missing, at_most=missing)
    return Found(drafts=_drafts(chosen, layout=layout), why_fewer=why_fewer)


def _drafts(stretches: list[Stretch], *, layout: SpeechLayout) -> tuple[MomentDraft, ...]:
    drafts: list[MomentDraft] = []
    for start, end, strength, *_ in sorted(stretches):
        # Sentences that lie inside; else the ones that the stretch is a part of.
        first = int(np.searchsorted(layout.sentence_starts, start, side="left"))
        stop = int(np.searchsorted(layout.sentence_ends, end, side="right"))
        if stop <= first:
            first = max(int(np.searchsorted(layout.sentence_starts, start, side="right")) - 1, 0)
            stop = first + 1
        taken = {draft.title for draft in drafts}
        title = layout.title(first, stop, start_time=start, taken=taken)
        drafts.append(MomentDraft(start, end, title, strength))
    return tuple(drafts)


def _why_fewer(
    layout: SpeechLayout, *, config: GenerationConfig, limits: LengthLimits, possible: int
) -> str:
    wanted, spoken = max(config.min_moments or 0, 1), layout.spoken_seconds
    if possible == 0 and spoken <= 0:
        return "The speech takes no time: all words begin and end at the same instant."
    if possible == 0 and spoken < limits.shortest:
        return (
            f"The speech spans only {spoken:.1f} s, shorter than the minimum moment length of "
            f"{limits.shortest:g} s."
        )
    if possible == 0:
        return f"No stretch from a word's start to a word's end is {_allowed_lengths(limits)}."
    if config.max_moments is not None and config.max_moments < min(wanted, possible):
        return f"The configuration keeps at most {max(config.max_moments, 0)} moments."
    if possible >= wanted:
        return ""
    moments = "moment" if possible == 1 else "moments"
    return (
        f"The speech has room for only {possible} separate {moments} {_allowed_lengths(limits)}, "
        f"fewer than the {wanted} wanted."
    )


def _allowed_lengths(limits: LengthLimits) -> str:
    if np.isinf(limits.longest):
        return f"of at least {limits.shortest:g} s" if limits.shortest else "of any length"
    if not limits.shortest:
        return f"of at most {limits.longest:g} s"
    return f"between {limits.shortest:g} and {limits.longest:g} s long"


def score_moments(
    spans: Sequence[TimeSpan],
    transcript: Transcript,
    *,
    duration_seconds: float,
    config: ScoringConfig | None = None,  # noqa: ARG001 - criteria are for models
) -> Scored:
    """Score stretches of a video from 0 (dull) to 10 (best).

    What is said counts most: its centrality in the whole (LexRank) and how much content it has a
    second, against other stretches of the same length in the same video. Then whether it starts
    and ends at sentence edges and pauses, how much of it is speech, and whether its length suits
    watching. Openings, goodbyes and adverts cost most of it. A stretch without words scores 0.

    Args:
        spans: The stretches; their order and number do not matter to any one score.
        transcript: What is said.
        duration_seconds: Length of the video.
        config: Plays no part.
    """
    layout = SpeechLayout(transcript, duration_seconds=duration_seconds)
    if not spans or not layout.words:
        return Scored((0,) * len(spans))
    starts, ends = np.array([(span.start_time, span.end_time) for span in spans], float).T
    density = layout.speech_density(starts, ends)
    lengths = np.maximum(ends - starts, LENGTH_TOLERANCE)
    off = np.log(lengths / np.clip(lengths, _SHORTEST_IDEAL, _LONGEST_IDEAL))
    total = (
        _CONTENT_WEIGHT * _content(layout, starts, ends)
        + _BOUNDARY_WEIGHT * layout.boundary_quality(starts, ends)
        + _DENSITY_WEIGHT * np.clip((density - _SPARSE_SPEECH) / (1 - _SPARSE_SPEECH), 0.0, 1.0)
        + _LENGTH_WEIGHT * np.exp(-((off / _LENGTH_SPREAD) ** 2) / 2)
    )
    first, stop = layout.word_range(starts, ends)
    total = np.where(stop > first, total, 0.0)
    announced = layout.announcement_seconds(starts, ends) / lengths
    total *= 1 - _COST_OF_ANNOUNCEMENT * np.clip(announced, 0.0, 1.0)
    return Scored(tuple(int(score) for score in np.floor(10 * total + 0.5)))


def _content(layout: SpeechLayout, starts: Floats, ends: Floats) -> Floats:
    """How much more each stretch says than others of its length, 0 to 1."""
    places, latest = layout.sentence_starts, layout.sentence_ends
    if len(places) > _MOST_COMPARED:
        places = places[np.linspace(0, len(places) - 1, _MOST_COMPARED).round().astype(np.int64)]
    values = np.zeros(len(starts))
    for at in range(len(starts)):
        start, end = starts[at : at + 1], ends[at : at + 1]
        others = places[places + (end - start) <= latest[-1] + LENGTH_TOLERANCE]
        for share, measure in (
            (_CENTRALITY_SHARE, layout.mean_centrality),
            (1 - _CENTRALITY_SHARE, layout.content_words_per_second),
        ):
            usual = measure(others, others + (end - start))
            values[at] += share * standardised(measure(start, end), usual=usual)[0]
    return np.asarray(1 / (1 + np.exp(-_STEEPNESS * (values - _HALF_WAY))))


def refine_moments(
    roots: Sequence[TimeSpan],
    transcript: Transcript,
    *,
    config: GenerationConfig,
    max_shift_seconds: float,
    duration_seconds: float,
    frames: FrameSource | None = None,  # noqa: ARG001 - pictures are for models
) -> Refined:
    """Move moments' boundaries to the best sentence edges or pauses near them.

    Each result starts at a word's start and ends at a word's end, no further than
    `max_shift_seconds` from where they were, within the video and the configured lengths, not
    before the refined moment before it ends and not after the next root starts. Where there are no
    such boundaries, the moment keeps its own.

    Args:
        roots: The moments, in time order.
        transcript: What is said.
        config: The limits of the refined moments.
        max_shift_seconds: How far each boundary may move.
        duration_seconds: Length of the video.
        frames: Play no part.

    Returns:
        One pair of boundaries a moment, in the order given.
    """
    limits = LengthLimits.of(config)
    layout = SpeechLayout(transcript, duration_seconds=duration_seconds)
    refined: list[Boundaries] = []
    for root, following in zip_longest(roots, roots[1:]):
        low = refined[-1].end_time if refined else 0.0
        high = following.start_time if following else duration_seconds
        starts, start_worth = _near(layout.starts, root.start_time, max_shift_seconds, low, high)
        ends, end_worth = _near(layout.ends, root.end_time, max_shift_seconds, low, high)
        allowed = limits.met_by(ends - starts[:, None])
        better = Boundaries(root.start_time, root.end_time)
        if allowed.any():
            worth = np.where(allowed, start_worth[:, None] + end_worth, -np.inf)
            best_start, best_end = np.unravel_index(int(np.argmax(worth)), worth.shape)
            better = Boundaries(float(starts[best_start]), float(ends[best_end]))
        refined.append(better)
    return Refined(tuple(refined))


def _near(
    edges: Edges, time: float, max_shift: float, low: float, high: float
) -> tuple[Floats, Floats]:
    """The edges near a time, nearest first, and what each is worth less the way to it."""
    shift = np.abs(edges.times - time)
    near = np.flatnonzero((shift <= max_shift) & (edges.times >= low) & (edges.times <= high))
    near = near[np.argsort(shift[near], kind="stable")][:_NEAREST_EDGES]
    way = shift[near] / max(min(max_shift, _FAR_SECONDS), LENGTH_TOLERANCE)
    return edges.times[near], edges.quality[near] - _COST_OF_SHIFT * way
