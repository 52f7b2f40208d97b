"""The one interface that every transcription engine has.

Belongs here: what an engine is given, what it promises, and how its words become a transcript.
Does not belong here: any particular engine.

A new engine is a module beside this one with a class of this shape, and a line in `registry`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from videomoments_dagster.media.facts import MediaFacts
from videomoments_dagster.speech.transcript import Transcript
from videomoments_dagster.speech.word_times import SpokenSegment, joined, well_formed

Progress = Callable[[float], None]
"""Called now and then with the share of the audio that is done, 0 to 1."""

LANGUAGE_UNKNOWN = "und"
"""ISO 639's own code for "undetermined"."""

_LEAST_EXTRACTION_SECONDS = 120.0
_SLOWEST_DECODING = 10.0
_SLOWEST_DISK = 5e6

MAX_SERVICE_LENGTH = 50
MAX_LANGUAGE_LENGTH = 10

NO_SOUND = "The file has no sound, so there is nothing to transcribe"
NO_SPEECH = "No speech was found in the sound"


@dataclass(frozen=True, slots=True)
class TranscriptionRequest:
    """One file to transcribe.

    Attributes:
        media: Readable local file.
        facts: What probing found in it.
        captions: Caption file that belongs to it, or None.
        scratch: Existing folder for temporary files.
        language: ISO 639-1 code of the speech; None leaves it to the engine's options.
    """

    media: Path
    facts: MediaFacts
    captions: Path | None
    scratch: Path
    language: str | None = None


class TranscriptionEngine(Protocol):
    """Turns the speech of a file into words with times."""

    @property
    def name(self) -> str:
        """Name by which configuration chooses the engine."""
        ...

    @property
    def service(self) -> str:
        """Engine and model as stored in `transcripts.transcription_service`, at most 50."""
        ...

    @property
    def settings(self) -> Mapping[str, object]:
        """Everything beside the media that determines the result, as JSON values."""
        ...

    def check(self) -> None:
        """Return if the engine can be used here; needs no network and no long time.

        Raises:
            EngineUnavailable: Something is missing; the remedy says what to install or where
                to put it.
        """
        ...

    def transcribe(
        self, request: TranscriptionRequest, *, progress: Progress | None = None
    ) -> Transcript:
        """Transcribe one file. No sound or no speech is an empty transcript.

        Raises:
            EngineUnavailable: As in `check`.
            SettingsRejected: The engine cannot do what the options ask for.
            TranscriptionFailed: The engine ran and gave no usable result.
            MediaFailed: The sound could not be decoded.
        """
        ...


def transcript_from(
    words_by_segment: Iterable[SpokenSegment],
    *,
    duration: float,
    language: str | None,
    service: str,
    processing_time_seconds: float,
    notes: Iterable[str] = (),
) -> Transcript:
    """Make the transcript out of what an engine heard, with times that can be relied on.

    Args:
        words_by_segment: What was said.
        duration: Presented duration of the media, seconds.
        language: Language code, or None if it is not known.
        service: Engine and model.
        processing_time_seconds: Wall-clock time that the engine took.
        notes: What a reader should know.
    """
    words, segments = well_formed(words_by_segment, duration=duration)
    return Transcript(
        full_text=joined(segments),
        words=words,
        segments=segments,
        language=(language or LANGUAGE_UNKNOWN)[:MAX_LANGUAGE_LENGTH],
        transcription_service=service[:MAX_SERVICE_LENGTH],
        processing_time_seconds=processing_time_seconds,
        notes=tuple(notes),
    )


def empty_transcript(
    *, why: str, service: str, language: str | None, processing_time_seconds: float = 0.0
) -> Transcript:
    """Make the transcript of a file in which nothing is said, noting why it is empty."""
    return transcript_from(
        (),
        duration=0.0,
        language=language,
        service=service,
        processing_time_seconds=processing_time_seconds,
        notes=(why,),
    )


def extraction_seconds(facts: MediaFacts) -> float:
    """Give the time limit for decoding a file's sound: generous, and growing with the file."""
    by_duration = facts.duration_seconds / _SLOWEST_DECODING
    return _LEAST_EXTRACTION_SECONDS + max(by_duration, facts.size_bytes / _SLOWEST_DISK)
