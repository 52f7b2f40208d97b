"""Reads recordings with word times: who said what when, and what people said of it.

Belongs here: files to transcripts, chapters and housekeeping. Does not belong here: measures.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from videomoments_dagster.media.facts import MediaFacts
from videomoments_dagster.speech.captions import CaptionsEngine
from videomoments_dagster.speech.engine import (
    TranscriptionOptions,
    TranscriptionRequest,
    transcript_from,
)
from videomoments_dagster.speech.transcripts import Segment, SpokenSegment, Transcript, Word

LANGUAGE = "en"
HOUSEKEEPING = Path(__file__).with_name("housekeeping.json")
"""Greetings, adverts and goodbyes of spoken/ and talks/ as read: `[start, end]`, seconds."""

OPTIONS = TranscriptionOptions(models_folder=Path(), language=LANGUAGE)
_LONGEST_SECONDS = 86_400.0
_AFTER_LAST_WORD = 1.0

Spans = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Recording:
    """Something that is said, and what people said of it.

    Attributes:
        name: Of its file, without the ending.
        transcript: The words.
        seconds: How long it is.
        chapters: Where chapters start, seconds; empty where nobody said.
        housekeeping: Greetings, adverts and goodbyes, seconds; None where nobody looked for them.
        media: Its file, where the sound is there.
    """

    name: str
    transcript: Transcript
    seconds: float
    chapters: tuple[float, ...] = ()
    housekeeping: Spans | None = None
    media: Path | None = None


def read_lectures(folder: Path) -> Iterator[Recording]:
    """Recordings as JSON with `words` (`[text, start, end]`) and `chapters` (`[start, title]`)."""
    for path in sorted(folder.glob("*.json")):
        yield read_lecture(path)


def read_lecture(path: Path) -> Recording:
    """One such file."""
    value = json.loads(path.read_text(encoding="utf-8"))
    words = [Word(text, start, max(start, end)) for text, start, end in value["words"]]
    whole = Segment(" ".join(word.text for word in words), words[0].start, words[-1].end)
    return recording_of(
        path.stem,
        [(whole, words)],
        seconds=words[-1].end + _AFTER_LAST_WORD,
        chapters=tuple(float(start) for start, _ in value["chapters"]),
        housekeeping=marked().get(path.stem, ()),
    )


def read_podcasts(folder: Path) -> Iterator[Recording]:
    """Recordings as WebVTT; housekeeping is known of those that somebody marked."""
    for path in sorted(folder.glob("*.vtt")):
        facts = MediaFacts("", _LONGEST_SECONDS, 0, None, None)
        request = TranscriptionRequest(path, facts, path, path.parent, LANGUAGE)
        transcript = CaptionsEngine(OPTIONS).transcribe(request)
        seconds = transcript.words[-1].end + _AFTER_LAST_WORD
        housekeeping = marked().get(path.stem)
        yield Recording(path.stem, transcript, seconds, housekeeping=housekeeping)


def recording_of(
    name: str,
    spoken: Sequence[SpokenSegment],
    *,
    seconds: float,
    chapters: tuple[float, ...] = (),
    housekeeping: Spans | None = None,
    media: Path | None = None,
) -> Recording:
    """A recording of what an engine heard."""
    transcript = transcript_from(
        spoken, duration=seconds, language=LANGUAGE, service="read", processing_time_seconds=0.0
    )
    return Recording(name, transcript, seconds, chapters, housekeeping, media)


def marked() -> dict[str, Spans]:
    """Housekeeping by the name of the recording."""
    found = json.loads(HOUSEKEEPING.read_text(encoding="utf-8"))
    return {name: tuple((start, end) for start, end in spans) for name, spans in found.items()}
