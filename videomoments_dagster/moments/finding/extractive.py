"""The extractive engine: moments found without a model, in the words alone.

Belongs here: putting sentences, topics and centrality together into moments that keep every promise
of their configuration. Does not belong here: scores, refined boundaries and storage.

Topics come from a Bayesian model of the text (Eisenstein and Barzilay, 2008), the weight of what
is said from LexRank (Erkan and Radev, 2004); see `topic_segmentation` and `centrality`. The
strongest stretches are taken first. Where that leaves room for fewer moments than are wanted and
the material has more, the weakest give way to a packing that is proved to place as many as there
can be; see `packing`.
"""

from __future__ import annotations

import numpy as np

from videomoments_dagster.moments.finding.candidates import (
    TargetLengths,
    Topics,
    candidate_stretches,
    measure,
)
from videomoments_dagster.moments.finding.centrality import inverse_document_frequency
from videomoments_dagster.moments.finding.outcomes import Found, MomentDraft
from videomoments_dagster.moments.finding.packing import pack
from videomoments_dagster.moments.finding.selection import Stretch, make_room, select_strongest
from videomoments_dagster.moments.finding.speech import (
    LengthLimits,
    SpeechLayout,
    SpeechMeasures,
    lay_out,
    sentence_edges,
)
from videomoments_dagster.moments.finding.titles import title_of
from videomoments_dagster.moments.finding.topic_segmentation import topic_starts_of_terms
from videomoments_dagster.moments.records import GenerationConfig
from videomoments_dagster.speech.transcript import Transcript

EXTRACTIVE_MODEL = "extractive"

_NATURAL_SHORTEST = 30.0
_NATURAL_LONGEST = 90.0
# Of the room that each wanted moment has on average, so that they all find a place.
_SHARE_OF_ROOM = 0.8


def find_moments(
    transcript: Transcript, *, duration_seconds: float, config: GenerationConfig
) -> Found:
    """Find the stretches of a video that are most worth watching.

    Every moment lies inside the video, starts at a word's start and ends at a word's end, and meets
    the configured lengths to `speech.LENGTH_TOLERANCE`. There are at most `max_moments`, none
    overlaps another, and there are fewer than `min_moments` only when no choice of stretches gives
    more. The same words give the same moments.

    Args:
        transcript: What is said.
        duration_seconds: Length of the video.
        config: Limits; its prompt and sampling parameters play no part here.
    """
    limits = LengthLimits.of(config)
    layout = lay_out(transcript, duration_seconds=duration_seconds)
    wanted = config.min_moments or 0
    at_most = len(layout.words) if config.max_moments is None else max(config.max_moments, 0)
    possible = len(
        pack(layout.starts.times, layout.ends.times, limits=limits, free=[(0.0, duration_seconds)])
    )
    why_fewer = _why_fewer(layout, config=config, limits=limits, possible=possible)
    if min(possible, at_most) == 0:
        return Found(drafts=(), why_fewer=why_fewer)
    measures = SpeechMeasures(layout, language=transcript.language)
    needed = min(wanted, possible, at_most)
    stretches = _stretches(
        measures,
        limits=limits,
        needed=needed,
        at_most=at_most,
        duration_seconds=duration_seconds,
    )
    return Found(drafts=_drafts(stretches, measures=measures), why_fewer=why_fewer)


def _stretches(
    measures: SpeechMeasures,
    *,
    limits: LengthLimits,
    needed: int,
    at_most: int,
    duration_seconds: float,
) -> list[Stretch]:
    """Choose stretches, strongest first: at least `needed`, at most `at_most`."""
    layout = measures.layout
    first_sentences = topic_starts_of_terms(measures.terms, words=len(layout.words))
    topics = Topics(layout, first_sentences=first_sentences)
    target = _target_lengths(layout, limits=limits, needed=needed)
    starts, ends = candidate_stretches(layout, topics=topics, limits=limits, target=target)
    candidates, scale = measure(starts, ends, measures=measures, topics=topics, target=target)
    chosen = select_strongest(candidates, at_least=needed, at_most=at_most)
    # With nothing on sentence edges there is still something to find: `possible` says so.
    missing = max(needed, 1) - len(chosen)
    if missing <= 0:
        return chosen
    kept, packed = make_room(
        chosen,
        layout=layout,
        limits=limits,
        ideal_length=target.shortest,
        needed=max(needed, 1),
        duration_seconds=duration_seconds,
    )
    filling, _ = measure(
        np.array([start for start, _ in packed]),
        np.array([end for _, end in packed]),
        measures=measures,
        topics=topics,
        target=target,
        scale=scale if len(starts) else None,
    )
    count = max(needed, 1) - len(kept)
    return kept + select_strongest(filling, at_least=count, at_most=count)


def _target_lengths(layout: SpeechLayout, *, limits: LengthLimits, needed: int) -> TargetLengths:
    """What a moment's length ideally is, within the limits and so that enough of them fit."""
    spoken = float(layout.ends.times[-1] - layout.starts.times[0])
    room = _SHARE_OF_ROOM * spoken / max(needed, 1)
    shortest, longest = (
        float(np.clip(min(natural, room), limits.shortest, limits.longest))
        for natural in (_NATURAL_SHORTEST, _NATURAL_LONGEST)
    )
    return TargetLengths(shortest=shortest, longest=longest)


def _drafts(stretches: list[Stretch], *, measures: SpeechMeasures) -> tuple[MomentDraft, ...]:
    sentences = measures.layout.sentences
    starts, ends = sentence_edges(measures.layout)
    rarity = inverse_document_frequency(measures.terms)
    drafts: list[MomentDraft] = []
    for stretch in sorted(stretches, key=lambda stretch: stretch.start):
        # Sentences that lie inside; else the ones that the stretch is a part of.
        first = int(np.searchsorted(starts, stretch.start, side="left"))
        stop = int(np.searchsorted(ends, stretch.end, side="right"))
        if stop <= first:
            first = max(int(np.searchsorted(starts, stretch.start, side="right")) - 1, 0)
            stop = first + 1
        title = title_of(
            [sentence.text for sentence in sentences[first:stop]],
            terms=measures.terms[first:stop],
            rarity=rarity,
            start_time=stretch.start,
            taken={draft.title for draft in drafts},
        )
        drafts.append(
            MomentDraft(
                start_time=stretch.start,
                end_time=stretch.end,
                title=title,
                strength=stretch.strength,
            )
        )
    return tuple(drafts)


def _why_fewer(
    layout: SpeechLayout, *, config: GenerationConfig, limits: LengthLimits, possible: int
) -> str:
    wanted = max(config.min_moments or 0, 1)
    if not layout.words:
        return "There is no speech."
    if possible == 0:
        return _why_none(layout, limits=limits)
    if config.max_moments is not None and config.max_moments < min(wanted, possible):
        return f"The configuration keeps at most {max(config.max_moments, 0)} moments."
    if possible >= wanted:
        return ""
    return (
        f"The speech has room for only {possible} separate "
        f"{'moment' if possible == 1 else 'moments'} {_allowed_lengths(limits)}, fewer than the "
        f"{wanted} wanted."
    )


def _why_none(layout: SpeechLayout, *, limits: LengthLimits) -> str:
    """Why not a single stretch of speech meets the limits."""
    spoken = float(layout.ends.times[-1] - layout.starts.times[0])
    if spoken <= 0:
        return "The speech takes no time: all words begin and end at the same instant."
    if spoken < limits.shortest:
        return (
            f"The speech spans only {spoken:.1f} s, shorter than the minimum moment length of "
            f"{limits.shortest:g} s."
        )
    return f"No stretch from a word's start to a word's end is {_allowed_lengths(limits)}."


def _allowed_lengths(limits: LengthLimits) -> str:
    if np.isinf(limits.longest):
        return f"of at least {limits.shortest:g} s" if limits.shortest else "of any length"
    if not limits.shortest:
        return f"of at most {limits.longest:g} s"
    return f"between {limits.shortest:g} and {limits.longest:g} s long"
