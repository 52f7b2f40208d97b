"""What is said in a recording, word by word.

Times are seconds on the presented timeline of the video.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Word:
    """One spoken word. `start` <= `end`, both in seconds of the presented timeline."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech that an engine gave as one piece, mostly a sentence or a cue."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Transcript:
    """What is said in a video.

    Word times never go backwards, lie inside the video, and every word lies inside a segment.
    No speech is an empty transcript: no words, no segments, `full_text` "".

    Attributes:
        full_text: The segments' texts joined by single spaces.
        words: All words in order.
        segments: All segments in order.
        language: ISO 639-1 code, at most 10 characters.
        transcription_service: Engine and model, such as "faster-whisper:small", at most 50.
        processing_time_seconds: Wall-clock time that the engine took.
        notes: What a reader of the metadata should know, such as word times that were spread.
    """

    full_text: str
    words: tuple[Word, ...]
    segments: tuple[Segment, ...]
    language: str
    transcription_service: str
    processing_time_seconds: float
    notes: tuple[str, ...] = ()
