"""Quotes: the sentence of a moment that its title was taken from, whole, as it was said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from videomoments_dagster.base.text import one_line
from videomoments_dagster.moments.finding.outcomes import TimeSpan
from videomoments_dagster.moments.finding.speech_layout import LENGTH_TOLERANCE, split_sentences
from videomoments_dagster.speech.transcripts import Transcript


class TitledSpan(TimeSpan, Protocol):
    """A stretch with a title."""

    @property
    def title(self) -> str:
        """Its title."""


def quotes(moments: Sequence[TitledSpan], transcript: Transcript) -> tuple[str, ...]:
    """Quote each moment.

    Args:
        moments: The moments.
        transcript: What is said.

    Returns:
        For each, the first of its sentences that holds the title's words; else its first
        sentence; empty where nothing is said in it.
    """
    sentences = split_sentences(transcript.words, transcript.segments)

    def quote(moment: TitledSpan) -> str:
        inside = [
            one_line(sentence.text)
            for sentence in sentences
            if sentence.end > moment.start_time + LENGTH_TOLERANCE
            and sentence.start < moment.end_time - LENGTH_TOLERANCE
        ]
        title = moment.title.casefold()
        holding = (text for text in inside if title in text.casefold())
        return next(holding, inside[0] if inside else "")

    return tuple(map(quote, moments))
