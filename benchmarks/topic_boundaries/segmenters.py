"""The methods that are compared: ours and its rivals.

Belongs here: what turns units into topic starts. Does not belong here: how good they are.

A division is the units at which a topic starts, ascending, without the first unit.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from nltk.tokenize.texttiling import TextTilingTokenizer

from topic_boundaries.readers import DividedText
from videomoments_dagster.moments.finding.terms import STOP_WORDS
from videomoments_dagster.moments.finding.topics import topic_starts

LANGUAGE = "en"
DRAWS = 20

_SEED = 1997
_PARAGRAPH_BREAK = "\n\n"

Division = tuple[int, ...]


def extractive(text: DividedText) -> Division:
    """The division that the extractive engine works with."""
    pauses = None
    if text.spans:
        starting = np.array([span.start for span in text.spans])
        ended = np.maximum.accumulate([span.end for span in text.spans])
        pauses = np.concatenate((np.zeros(1), np.maximum(starting[1:] - ended[:-1], 0.0)))
    starts = topic_starts(text.units, language=LANGUAGE, pauses=pauses)
    return tuple(start for start in starts if start > 0)


def text_tiling(units: Sequence[str]) -> Division | None:
    """Hearst's TextTiling (1997) as NLTK has it, with its default parameters and our stop words.

    A unit is a paragraph, since only between paragraphs does it see boundaries; NLTK joins those
    of fewer than 100 characters to the next.

    Returns:
        The division, or None where NLTK raises, as it does for short texts.
    """
    whole = _PARAGRAPH_BREAK.join(units)
    try:
        tiles = TextTilingTokenizer(stopwords=STOP_WORDS).tokenize(whole)
    except (ValueError, ZeroDivisionError, IndexError, TimeoutError):
        return None
    # A tile ends where a unit ends, before the break.
    unit_ends = accumulate(len(unit) + len(_PARAGRAPH_BREAK) for unit in units)
    unit_behind = {end - len(_PARAGRAPH_BREAK): at + 1 for at, end in enumerate(unit_ends)}
    tile_ends = list(accumulate(len(tile) for tile in tiles))[:-1]
    starts = {_start_behind(end, unit_behind=unit_behind) for end in tile_ends}
    return tuple(sorted(start for start in starts if 0 < start < len(units)))


def _start_behind(end: int, *, unit_behind: dict[int, int]) -> int:
    """The unit that starts at or next after a place in the text; empty units share places."""
    if end in unit_behind:
        return unit_behind[end]
    return next((unit for place, unit in unit_behind.items() if place >= end), 0)


def evenly_spaced(count: int, *, segments: int) -> Division:
    """Segments of the same length, as near as whole units allow."""
    starts = {round(at * count / segments) for at in range(1, segments)}
    return tuple(sorted(start for start in starts if 0 < start < count))


def at_random(count: int, *, segments: int, name: str) -> list[Division]:
    """Several divisions with starts anywhere, the same ones in every run.

    Args:
        count: How many units there are.
        segments: How many segments each has, where there are units enough.
        name: Whose divisions they are.
    """
    source = random.Random(f"{_SEED} {name}")  # noqa: S311
    starts = min(segments, count) - 1
    return [tuple(sorted(source.sample(range(1, count), starts))) for _ in range(DRAWS)]
