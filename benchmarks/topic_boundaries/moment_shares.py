"""Whether moments are such as people would pick: shares of them, beside chance and rivals.

Belongs here: what is counted of moments. Does not belong here: how files are read and shown.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from topic_boundaries.measures import NEAR_SECONDS, RESAMPLES
from topic_boundaries.readers import DividedText
from topic_boundaries.recordings import Recording, recording_of
from videomoments_dagster.moments.finding.extractive import find_moments
from videomoments_dagster.moments.profiles import load_profiles, profile_named
from videomoments_dagster.speech.transcripts import Segment

OURS = "extractive (ours)"
BEFORE = "ours, 28 November 2026"
EVENLY = "evenly spaced"
CHANCE = "anywhere"
MEASURES = ("start near a chapter", "across a chapter", "housekeeping")
BEFORE_FILE = Path(__file__).with_name("moments_before.json")

_PROFILE = "default"
_PLACES = 400
_TOUCHED_SECONDS = 3.0
_SEED = 20_261_128

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Spans = Sequence[tuple[float, float]]
Counts = tuple[float, float, float, float]
"""Moments, and how many of them each of `MEASURES` is true of; NaN where that is not known."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share of moments, with its 95% interval by a bootstrap over recordings."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class MomentShares:
    """One method on one set.

    Attributes:
        set_name: Such as "talks, only measured".
        method: Whose moments.
        counts: By recording.
    """

    set_name: str
    method: str
    counts: Mapping[str, Counts]

    @property
    def per_recording(self) -> float:
        """How many moments there are in a recording, on average."""
        return sum(one[0] for one in self.counts.values()) / len(self.counts)

    def shares(self) -> dict[str, Share | None]:
        """Each measure; None where it is not known."""
        values = np.array([self.counts[name] for name in sorted(self.counts)])
        drawn = np.random.default_rng(_SEED).integers(len(values), size=(RESAMPLES, len(values)))
        sums = values[drawn].sum(axis=1)
        whole, found = values.sum(axis=0), {}
        for at, measure in enumerate(MEASURES, start=1):
            of = np.maximum(sums[:, 0], 1)
            low, high = np.percentile(sums[:, at] / of, (2.5, 97.5))
            share = Share(float(whole[at] / max(whole[0], 1)), float(low), float(high))
            found[measure] = None if np.isnan(share.value) else share
        return found


def found_by_ours(recording: Recording) -> Spans:
    """The moments of the default profile."""
    config = profile_named(_PROFILE, load_profiles()).generation
    found = find_moments(recording.transcript, duration_seconds=recording.seconds, config=config)
    return [(draft.start_time, draft.end_time) for draft in found.drafts]


def measure_moments(
    sets: Mapping[str, Sequence[Recording]],
    *,
    find: Callable[[Recording], Spans] = found_by_ours,
    before: Mapping[str, Counts] | None = None,
) -> list[MomentShares]:
    """Count moments of every set by every method.

    Args:
        sets: Recordings by the name of their set; those without any are passed over.
        find: Finds the moments of a recording.
        before: Counts of an earlier engine, by recording; sets that it does not cover have no such
            row.
    """
    before = before or {}
    measured: list[MomentShares] = []
    for set_name, recordings in sets.items():
        spans = {one.name: find(one) for one in recordings}
        counted: dict[str, dict[str, Counts]] = {OURS: {}, BEFORE: {}, EVENLY: {}, CHANCE: {}}
        for one in recordings:
            ours = spans[one.name]
            counted[OURS][one.name] = count_moments(ours, of=one)
            if one.name in before:
                counted[BEFORE][one.name] = before[one.name]
            counted[EVENLY][one.name] = count_moments(evenly_spaced(ours, of=one), of=one)
            counted[CHANCE][one.name] = expected_counts(ours, of=one)
        measured += [
            MomentShares(set_name, method, counts)
            for method, counts in counted.items()
            if len(counts) == len(recordings) > 0
        ]
    return measured


def count_moments(spans: Spans, *, of: Recording) -> Counts:
    """Count the moments that start near a chapter, lie across one, and hold housekeeping.

    A moment lies across a chapter when at least 10 s of it are on either side of the chapter's
    start. It holds housekeeping when more than 3 s of it are.
    """
    near = across = held = 0
    for start, end in spans:
        near += any(abs(start - at) <= NEAR_SECONDS for at in of.chapters)
        across += any(start + NEAR_SECONDS <= at <= end - NEAR_SECONDS for at in of.chapters)
        touched = sum(max(0.0, min(end, b) - max(start, a)) for a, b in of.housekeeping or ())
        held += touched > _TOUCHED_SECONDS
    unknown = float("nan")
    return (
        float(len(spans)),
        float(near) if of.chapters else unknown,
        float(across) if of.chapters else unknown,
        unknown if of.housekeeping is None else float(held),
    )


def evenly_spaced(spans: Spans, *, of: Recording) -> Spans:
    """As many moments, of their mean length, with the same time between all of them."""
    if not spans:
        return []
    length = float(np.mean([end - start for start, end in spans]))
    starts = np.linspace(0.0, max(of.seconds - length, 0.0), len(spans) + 2)[1:-1]
    return [(start, start + length) for start in starts.tolist()]


def expected_counts(spans: Spans, *, of: Recording) -> Counts:
    """What moments of the same lengths come to that start at any place with the same chance."""
    sums = np.zeros(4)
    for start, end in spans:
        length = end - start
        places = np.linspace(0.0, max(of.seconds - length, 0.0), _PLACES).tolist()
        anywhere = [(place, place + length) for place in places]
        sums += np.array(count_moments(anywhere, of=of)) / _PLACES
    if not spans:
        return count_moments([], of=of)
    return _counts(sums.tolist())


def recording_of_text(text: DividedText, *, level: str) -> Recording:
    """A text with times as a recording; the words of a unit are spread over its time."""
    starts = tuple(text.spans[at].start for at in (0, *text.topic_starts[level]))
    return recording_of(
        text.name,
        [
            (Segment(text=unit, start=span.start, end=span.end), ())
            for unit, span in zip(text.units, text.spans, strict=True)
        ],
        seconds=max(span.end for span in text.spans),
        chapters=starts,
    )


def halves(name: str, recordings: Iterable[Recording]) -> dict[str, list[Recording]]:
    """Every other recording was looked at when the engine was made; the rest only measure it."""
    ordered = sorted(recordings, key=lambda one: one.name)
    return {f"{name}, developed on": ordered[::2], f"{name}, only measured": ordered[1::2]}


def counts_before() -> dict[str, Counts]:
    """What the engine came to before it followed topics, by recording; `BEFORE` says when."""
    found: dict[str, list[float | None]] = json.loads(BEFORE_FILE.read_text(encoding="utf-8"))
    return {name: _counts(values) for name, values in found.items()}


def _counts(values: Sequence[float | None]) -> Counts:
    moments, near, across, held = (float("nan") if one is None else one for one in values)
    return moments, near, across, held


def difference(ours: MomentShares, other: MomentShares, *, measure: str) -> Share | None:
    """Ours minus another method's share, by a paired bootstrap over recordings."""
    at = 1 + MEASURES.index(measure)
    names = sorted(ours.counts)
    a, b = (np.array([one.counts[name] for name in names]) for one in (ours, other))
    if np.isnan(a[:, at]).any() or np.isnan(b[:, at]).any():
        return None
    drawn = np.random.default_rng(_SEED).integers(len(names), size=(RESAMPLES, len(names)))

    def apart(rows: Integers) -> Floats:
        of_a, of_b = a[rows].sum(axis=-2), b[rows].sum(axis=-2)
        shares_a = of_a[..., at] / np.maximum(of_a[..., 0], 1)
        return np.asarray(shares_a - of_b[..., at] / np.maximum(of_b[..., 0], 1))

    low, high = np.percentile(apart(drawn), (2.5, 97.5))
    return Share(float(apart(np.arange(len(names)))), float(low), float(high))


def missed(measured: Sequence[MomentShares], *, rival: str) -> list[str]:
    """Where our moments do worse than a rival's; sentences."""
    ours = {one.set_name: one for one in measured if one.method == OURS}
    return [
        f"{one.set_name}: {measure}, {apart.value:+.1%} against {rival}"
        for one in measured
        if one.method == rival
        for measure in MEASURES
        if (apart := difference(ours[one.set_name], one, measure=measure)) is not None
        and (apart.value < 0 if measure == MEASURES[0] else apart.value > 0)
    ]
