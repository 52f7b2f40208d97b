"""What `make bench` says about code alone: finding moments, and loading the definitions.

Belongs here: what needs neither media nor a database.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
from pathlib import Path

from comparison import Row, Rows, medians, seconds_of

from videomoments_dagster.moments.finding.extractive import find_moments
from videomoments_dagster.moments.records import GenerationConfig, Prompt
from videomoments_dagster.speech.transcripts import Segment, Transcript, Word

WORDS = 30_000


def make_transcript() -> Transcript:
    """Sentences of a made-up vocabulary that changes from topic to topic."""
    source = random.Random(1)  # noqa: S311
    words: list[Word] = []
    segments: list[Segment] = []
    now = 0.0
    while len(words) < WORDS:
        topic = len(words) // 1500
        spoken = [f"word{topic * 40 + source.randrange(60)}" for _ in range(source.randint(6, 18))]
        first = len(words)
        for text in spoken:
            words.append(Word(text=text, start=now, end=now + 0.3))
            now += 0.36
        segments.append(Segment(text=" ".join(spoken) + ".", start=words[first].start, end=now))
        now += source.choice([0.2, 0.5, 1.5])
    return Transcript(
        full_text=" ".join(segment.text for segment in segments),
        words=tuple(words),
        segments=tuple(segments),
        language="en",
        transcription_service="benchmark",
        processing_time_seconds=0.0,
    )


def moments(rows: Rows, folder: Path) -> None:  # noqa: ARG001 - every part gets one
    """Finding moments in three hours of words."""
    transcript = make_transcript()
    config = GenerationConfig(
        prompt=Prompt(user_prompt="", system_prompt=""),
        model="extractive",
        operation_type="generation",
        min_moment_length=20,
        max_moment_length=90,
        min_moments=3,
        max_moments=10,
    )
    duration = transcript.words[-1].end
    taken = statistics.median(
        seconds_of(lambda: find_moments(transcript, duration_seconds=duration, config=config))
        for _ in range(3)
    )
    rows.add(Row(f"moments in {WORDS:,} words", taken, "the promised limit", 5.0, 1.0))


def imports(rows: Rows, folder: Path) -> None:
    """Loading the definitions in a new process, against the packages that they stand on.

    Those alone take 1.7 times what Dagster takes, and are imported plainly, at the top.
    """
    environment = {**os.environ, "VIDEOMOMENTS_HOME": str(folder)}

    def load(module: str) -> None:
        subprocess.run(
            [sys.executable, "-c", f"import {module}"], check=True, timeout=120, env=environment
        )

    ours, bare = medians(
        lambda: load("videomoments_dagster.definitions"),
        lambda: load("dagster, sqlalchemy.orm, numpy, av"),
        runs=9,
    )
    rows.add(Row("loading the definitions", ours, "dagster, sqlalchemy, numpy, av", bare, 1.7))
