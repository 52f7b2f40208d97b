"""Transcripts for tests of moment finding: written ones, generated ones, and a checker."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from itertools import pairwise

from hypothesis import strategies as st

from videomoments_dagster.moments.records import GenerationConfig, Prompt
from videomoments_dagster.speech.transcripts import Segment, Transcript, Word

TOLERANCE = 1e-6

TOPICS = (
    (
        "The volcano sends hot lava down its slope.",
        "Lava cools into black rock near the volcano.",
        "Ash from the crater covers the slope for years.",
        "Scientists measure gas above the crater of the volcano.",
        "A rising level of gas warns of an eruption.",
        "After the eruption the lava leaves a new crater.",
    ),
    (
        "Bread starts with flour, water and a little yeast.",
        "The baker kneads the dough until the flour is smooth.",
        "Yeast makes the dough rise in a warm kitchen.",
        "Rising dough needs an hour before the oven is ready.",
        "A hot oven gives the bread its crust.",
        "The baker listens to the crust as the bread cools.",
    ),
    (
        "Chess opens with a pawn in the centre of the board.",
        "A knight attacks the pawn and controls the board.",
        "The bishop pins the knight against its king.",
        "Castling brings the king behind a wall of pawns.",
        "A rook on an open file attacks the king.",
        "The player with the rook wins the chess endgame.",
    ),
)


def config(
    *,
    min_length: float | None = None,
    max_length: float | None = None,
    min_moments: int | None = None,
    max_moments: int | None = None,
) -> GenerationConfig:
    return GenerationConfig(
        prompt=Prompt(user_prompt="", system_prompt=""),
        model="extractive",
        operation_type="generation",
        min_moment_length=min_length,
        max_moment_length=max_length,
        min_moments=min_moments,
        max_moments=max_moments,
    )


def transcript_of(
    words: Sequence[Word], segments: Sequence[Segment] | None = None, *, language: str = "en"
) -> Transcript:
    text = " ".join(word.text for word in words)
    if segments is None:
        segments = [Segment(text, words[0].start, words[-1].end)] if words else []
    return Transcript(
        full_text=text,
        words=tuple(words),
        segments=tuple(segments),
        language=language,
        transcription_service="sample",
        processing_time_seconds=0.0,
    )


def spoken(
    sentences: Iterable[str],
    *,
    seconds_per_word: float = 0.4,
    pause: float = 0.3,
    start: float = 0.0,
) -> Transcript:
    """Sentences said one after another, a segment each."""
    words: list[Word] = []
    segments: list[Segment] = []
    time = start
    for sentence in sentences:
        first = time
        for text in sentence.split():
            words.append(Word(text, round(time, 3), round(time + seconds_per_word, 3)))
            time += seconds_per_word
        segments.append(Segment(sentence, round(first, 3), round(time, 3)))
        time += pause
    return transcript_of(words, segments)


def talk() -> Transcript:
    """Three topics of six sentences, about half a minute each."""
    return spoken(sentence for topic in TOPICS for sentence in topic)


def long_talk(*, words: int, seed: int = 7) -> Transcript:
    """A long talk: topics of about 600 words that each have words of their own."""
    rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
    sentences: list[str] = []
    count = 0
    common = [f"common{number}" for number in range(300)]
    while count < words:
        own = [f"own{rng.randrange(100_000)}" for _ in range(40)]
        for _ in range(50):
            length = rng.randint(6, 18)
            sentence = [rng.choice(own if rng.random() < 0.3 else common) for _ in range(length)]
            sentences.append(" ".join(sentence).capitalize() + ".")
            count += length
    return spoken(sentences, seconds_per_word=0.33)


_TEXTS = st.sampled_from(
    [
        "volcano",
        "lava.",
        "Dr.",
        "3.",
        "and",
        "bread,",
        "oven?",
        "the",
        "!",
        "",
        "<b>",
        "x" * 90,
        "国王",
    ]
)
_GAPS = st.sampled_from([0.0, 0.0, 0.1, 0.3, 0.9, 2.0, 7.7, 900.0])
_LENGTHS = st.sampled_from([0.0, 0.0, 0.1, 0.3, 1.1, 29.9, 300.0])


@st.composite
def transcripts(draw: st.DrawFn, *, max_words: int = 14) -> tuple[Transcript, float]:
    """A transcript that keeps its contract but is nasty otherwise, and its video's duration."""
    pieces = draw(st.lists(st.tuples(_GAPS, _LENGTHS, _TEXTS), max_size=max_words))
    words: list[Word] = []
    time = 0.0
    for gap, length, text in pieces:
        start = round(time + gap, 1)
        time = round(start + length, 1)
        words.append(Word(text, start, time))
    cuts = sorted(draw(st.sets(st.integers(1, max_words - 1), max_size=4)))
    edges = [0, *(cut for cut in cuts if cut < len(words)), len(words)]
    segments = [
        Segment(" ".join(w.text for w in words[a:b]), words[a].start, words[b - 1].end)
        for a, b in pairwise(edges)
        if b > a
    ]
    language = draw(st.sampled_from(["en", "de", "zh"]))
    duration = time + draw(st.sampled_from([0.0, 0.0, 0.5, 1000.0]))
    return transcript_of(words, segments, language=language), duration


@st.composite
def configs(draw: st.DrawFn) -> GenerationConfig:
    shortest = draw(st.sampled_from([None, 0.0, 0.1, 0.4, 1.0, 5.0, 30.0, 2000.0]))
    over = draw(st.sampled_from([None, 0.0, 0.1, 2.0, 60.0]))
    longest = None if over is None else (shortest or 0.0) + over
    return config(
        min_length=shortest,
        max_length=longest,
        min_moments=draw(st.sampled_from([None, 0, 1, 2, 3, 5, 40])),
        max_moments=draw(st.sampled_from([None, None, 0, 1, 3, 40])),
    )


def broken_promises(
    spans: Sequence[tuple[float, float]],
    transcript: Transcript,
    *,
    duration: float,
    config: GenerationConfig,
) -> list[str]:
    """Every promise of the configuration that the spans break."""
    starts = {word.start for word in transcript.words}
    ends = {word.end for word in transcript.words}
    broken: list[str] = []
    for start, end in spans:
        if not 0 <= start < end <= duration:
            broken.append(f"{start}-{end} is not inside 0-{duration}")
        if start not in starts or end not in ends:
            broken.append(f"{start}-{end} is not on word edges")
        if end - start < (config.min_moment_length or 0.0) - TOLERANCE:
            broken.append(f"{start}-{end} is too short")
        if end - start > _longest(config) + TOLERANCE:
            broken.append(f"{start}-{end} is too long")
    if config.max_moments is not None and len(spans) > config.max_moments:
        broken.append(f"{len(spans)} are too many")
    broken.extend(
        f"{before} and {after} overlap or are out of order"
        for before, after in pairwise(spans)
        if after[0] < before[1]
    )
    return broken


def most_disjoint(transcript: Transcript, *, duration: float, config: GenerationConfig) -> int:
    """The largest number of disjoint allowed stretches, by looking at every one of them."""
    stretches = sorted(
        (last.end, first.start)
        for first in transcript.words
        for last in transcript.words
        if 0 <= first.start < last.end <= duration
        and (config.min_moment_length or 0.0) - TOLERANCE <= last.end - first.start
        and last.end - first.start <= _longest(config) + TOLERANCE
    )
    best_until: list[tuple[float, int]] = [(-math.inf, 0)]
    for end, start in stretches:
        before = max(count for until, count in best_until if until <= start)
        best_until.append((end, max(best_until[-1][1], before + 1)))
    return best_until[-1][1]


def _longest(config: GenerationConfig) -> float:
    return math.inf if config.max_moment_length is None else config.max_moment_length
