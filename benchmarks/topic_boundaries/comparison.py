"""Every method on every text, measured.

Belongs here: running the methods and putting their measures together. Does not belong here: the
methods, the measures and how results are shown.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from topic_boundaries import measures, segmenters
from topic_boundaries.readers import DividedText, TextSet, mean_segments
from topic_boundaries.segmenters import Division

OURS = "extractive (ours)"
NOTHING = "no boundaries"
TEXT_TILING = "NLTK TextTiling"
# These two are told what no method can know: how many segments a text of the set has on average.
EVENLY = "evenly spaced (told how many)"
RANDOM = "random (told how many)"


@dataclass(frozen=True, slots=True)
class Quality:
    """How well one method did on one text, or on average.

    Attributes:
        pk: Pk, 0 (best) to 1.
        windowdiff: WindowDiff, 0 (best) to 1.
        f1: F1 of boundaries within 10 s, 0 to 1 (best); None where there are no times.
        segments: How many segments it made.
    """

    pk: float
    windowdiff: float
    f1: float | None
    segments: float


def mean_quality(qualities: Sequence[Quality]) -> Quality:
    """The mean of each measure."""
    f1s = [quality.f1 for quality in qualities if quality.f1 is not None]
    return Quality(
        pk=statistics.fmean(quality.pk for quality in qualities),
        windowdiff=statistics.fmean(quality.windowdiff for quality in qualities),
        f1=statistics.fmean(f1s) if f1s else None,
        segments=statistics.fmean(quality.segments for quality in qualities),
    )


@dataclass(frozen=True, slots=True)
class Difference:
    """Ours minus the best rival on one measure; below 0 we lead.

    Attributes:
        measure: "Pk" or "WindowDiff".
        rival: The rival with the lowest mean.
        mean: Mean over documents.
        low: Lower end of the 95% interval.
        high: Upper end of the 95% interval.
    """

    measure: str
    rival: str
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """All methods on one set, at one level of topics.

    Attributes:
        name: Set and level, such as "tinyrec fine".
        documents: Names of the texts.
        reference_segments: How many topics people saw, on average.
        qualities: By method, one a document.
    """

    name: str
    documents: tuple[str, ...]
    reference_segments: float
    qualities: Mapping[str, tuple[Quality, ...]]

    def mean(self, method: str) -> Quality:
        """A method's mean over documents."""
        return mean_quality(self.qualities[method])

    def differences(self) -> tuple[Difference, Difference]:
        """Ours minus the best rival, on Pk and on WindowDiff."""
        return (
            self._difference("Pk", value=lambda quality: quality.pk),
            self._difference("WindowDiff", value=lambda quality: quality.windowdiff),
        )

    def leads(self) -> bool:
        """Whether ours is better than every rival, on Pk and on WindowDiff."""
        return all(difference.mean < 0 for difference in self.differences())

    def _difference(self, measure: str, *, value: Callable[[Quality], float]) -> Difference:
        rivals = {
            method: [value(quality) for quality in qualities]
            for method, qualities in self.qualities.items()
            if method != OURS
        }
        best = min(rivals, key=lambda method: statistics.fmean(rivals[method]))
        apart = [
            value(quality) - rival
            for quality, rival in zip(self.qualities[OURS], rivals[best], strict=True)
        ]
        low, high = measures.bootstrap_interval(apart)
        return Difference(
            measure=measure, rival=best, mean=statistics.fmean(apart), low=low, high=high
        )


@dataclass(frozen=True, slots=True)
class Results:
    """What comparing came to.

    Attributes:
        comparisons: One a set and level.
        our_seconds: Time that ours took for all texts.
        text_tiling_failed: How many texts TextTiling raised on, which counts as no boundaries.
    """

    comparisons: tuple[Comparison, ...]
    our_seconds: float
    text_tiling_failed: int


def compare(sets: Iterable[TextSet], *, processes: int) -> Results:
    """Divide every text with every method and measure the divisions.

    Args:
        sets: The texts.
        processes: How many processes TextTiling, which is slow, may take; 1 is this one.
    """
    present = [text_set for text_set in sets if text_set.texts]
    texts = [text for text_set in present for text in text_set.texts]
    began = time.perf_counter()
    ours = [segmenters.extractive(text) for text in texts]
    our_seconds = time.perf_counter() - began
    tiled = _tiled([text.units for text in texts], processes=processes)
    divisions: dict[int, dict[str, list[Division]]] = {
        id(text): {OURS: [our], NOTHING: [()], TEXT_TILING: [tiles or ()]}
        for text, our, tiles in zip(texts, ours, tiled, strict=True)
    }
    return Results(
        comparisons=tuple(
            _compared(text_set, level=level, divisions=divisions)
            for text_set in present
            for level in text_set.texts[0].topic_starts
        ),
        our_seconds=our_seconds,
        text_tiling_failed=sum(tiles is None for tiles in tiled),
    )


def _tiled(texts: Sequence[Sequence[str]], *, processes: int) -> list[Division | None]:
    if processes <= 1:
        return [segmenters.text_tiling(units) for units in texts]
    # Not forked: numpy may have threads by now.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=processes, mp_context=context) as pool:
        return list(pool.map(segmenters.text_tiling, texts))


def _compared(
    text_set: TextSet, *, level: str, divisions: Mapping[int, Mapping[str, list[Division]]]
) -> Comparison:
    reference_segments = mean_segments(text_set.texts, level=level)
    segments = max(round(reference_segments), 1)
    qualities: dict[str, list[Quality]] = {}
    for text in text_set.texts:
        count = len(text.units)
        by_method = {
            **divisions[id(text)],
            EVENLY: [segmenters.evenly_spaced(count, segments=segments)],
            RANDOM: segmenters.at_random(count, segments=segments, name=text.name),
        }
        for method, draws in by_method.items():
            measured = [quality_of(text, level=level, division=division) for division in draws]
            qualities.setdefault(method, []).append(mean_quality(measured))
    return Comparison(
        name=f"{text_set.name} {level}".strip(),
        documents=tuple(text.name for text in text_set.texts),
        reference_segments=reference_segments,
        qualities={method: tuple(measured) for method, measured in qualities.items()},
    )


def quality_of(text: DividedText, *, level: str, division: Division) -> Quality:
    """Measure one division of one text.

    Args:
        text: The text.
        level: Which topics of it to measure against.
        division: Units at which a topic starts, without the first.
    """
    reference = text.topic_starts[level]
    pk, windowdiff = measures.pk_and_windowdiff(reference, division, count=len(text.units))
    f1 = None
    if text.spans:
        f1 = measures.boundary_f1(
            [text.spans[unit].start for unit in reference],
            [text.spans[unit].start for unit in division],
        )
    return Quality(pk=pk, windowdiff=windowdiff, f1=f1, segments=len(division) + 1)
