"""Windows: parts of a transcript that a model reads at once.

A line is a sentence. Lines are numbered from 1 in each window: small numbers are what models name
without mistakes, and a window's text then depends on nothing but its words.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from videomoments_dagster.base.text import folded
from videomoments_dagster.language_models.questions import estimated_tokens
from videomoments_dagster.moments.finding.language_model.question_parts import shown_text
from videomoments_dagster.moments.finding.speech_layout import Sentence

_LONGEST_SHOWN = 2_000
_SHARE_TO_CUT_IN = 0.25


def _shown_line(sentence: Sentence) -> str:
    """A sentence as a model sees it, cut where it is absurdly long."""
    return folded(shown_text(sentence.text), longest=_LONGEST_SHOWN)


def window_text(lines: Sequence[Sentence], window: range) -> str:
    """The lines of a window with their ids: `id`, a tab, and what is said."""
    shown = (_shown_line(line) for line in lines[window.start : window.stop])
    return "\n".join(f"{number}\t{text}" for number, text in enumerate(shown, start=1))


def transcript_windows(
    lines: Sequence[Sentence], *, tokens_at_most: int, overlap_seconds: float
) -> tuple[range, ...]:
    """Divide a transcript into windows that fit a model, cut at pauses.

    Every stretch of up to `overlap_seconds` lies wholly in at least one window, unless that takes
    more than half of one.

    Args:
        lines: Sentences in order.
        tokens_at_most: Most tokens of one window, by estimate. A line that is longer makes a
            window of its own.
        overlap_seconds: How much of a window the next one repeats.

    Returns:
        Windows in order, each the indexes of its lines; together they hold every line.
    """
    tokens = [estimated_tokens(f"99999\t{_shown_line(line)}\n") for line in lines]
    before = [0, *accumulate(tokens)]
    starts = [line.start for line in lines]
    windows: list[range] = []
    first = stop = 0
    while stop < len(lines):
        held = stop
        stop = _fitting(before, first=first, tokens_at_most=tokens_at_most)
        while stop <= held:
            # A long line leaves no room for so much that was said before.
            first = (first + held + 1) // 2
            stop = _fitting(before, first=first, tokens_at_most=tokens_at_most)
        if stop < len(lines):
            stop = _at_longest_pause(lines, before=before, first=first, stop=stop, after=held)
        windows.append(range(first, stop))
        if stop < len(lines):
            repeated = bisect_left(starts, starts[stop] - overlap_seconds, 0, stop)
            first = max(repeated, (first + stop + 1) // 2)
    return tuple(windows)


def _fitting(before: Sequence[int], *, first: int, tokens_at_most: int) -> int:
    """Where the longest window from a line ends that fits; it has one line in any case."""
    return max(bisect_left(before, before[first] + tokens_at_most + 1) - 1, first + 1)


def _at_longest_pause(
    lines: Sequence[Sentence], *, before: Sequence[int], first: int, stop: int, after: int
) -> int:
    """The place near the end of a window where the pause is longest; the latest of equals."""
    from_tokens = before[stop] - _SHARE_TO_CUT_IN * (before[stop] - before[first])
    earliest = max(bisect_left(before, from_tokens, first, stop), first + 1, after + 1)
    return max(range(earliest, stop + 1), key=lambda at: (lines[at].start - lines[at - 1].end, at))
