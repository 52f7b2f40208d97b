"""The engine that reads captions which came with the video, instead of listening.

Belongs here: finding captions and making a transcript of them. Does not belong here: the
caption formats (`captions`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import ffmpeg

from videomoments_dagster.base.failures import EngineUnavailable, MediaFailed, SourceRejected
from videomoments_dagster.media.facts import MediaFacts, SubtitleStream
from videomoments_dagster.media.ffmpeg import input_options, run_ffmpeg, safe_input
from videomoments_dagster.speech.captions import Captions, NotCaptions, read_captions
from videomoments_dagster.speech.engine import Progress, TranscriptionRequest, transcript_from
from videomoments_dagster.speech.language_codes import two_letter
from videomoments_dagster.speech.transcript import Segment, Transcript, Word

NAME = "captions"
SPREAD_NOTE = "Word times are spread within each cue in proportion to length"
WITHOUT_CUES = "The captions say nothing"

_LARGEST_BYTES = 50 * 1024 * 1024
_BESIDE = re.compile(
    r"(?:\.(?P<language>[a-z]{2,3}(?:[-_][a-z0-9]+)*))?(?:\.(?:sdh|cc|hi|auto))?\.(?:srt|vtt)",
    re.IGNORECASE,
)
# Keeps every time positive in the extracted file, which has no form for negative ones.
_SHIFT_SECONDS = 1000.0
_EXTRACT_SECONDS = 120.0
_EXTRACT_BYTES_PER_SECOND = 10e6


def captions_beside(source_path: Path) -> Path | None:
    """Find the caption file beside a media file: same name, `.srt` or `.vtt`.

    A language may stand between (`talk.en.srt`); the name without one wins, then English, then
    the alphabet.
    """
    stem = source_path.stem
    found: list[tuple[int, int, str]] = []
    try:
        names = [entry.name for entry in source_path.parent.iterdir() if entry.is_file()]
    except OSError:
        return None
    for name in names:
        match = _BESIDE.fullmatch(name[len(stem) :]) if name.startswith(stem) else None
        if match:
            language = (match["language"] or "").lower()
            rank = 0 if not language else 1 if re.split("[-_]", language)[0] in {"en", "eng"} else 2
            found.append((rank, not name.lower().endswith(".srt"), name))
    return source_path.parent / min(found)[2] if found else None


@dataclass(frozen=True, slots=True)
class CaptionsEngine:
    """Makes the transcript from a caption file, else from a text subtitle stream.

    Attributes:
        language: ISO 639-1 code to prefer among streams and to record; None for what the
            captions say of themselves.
    """

    language: str | None = None

    @property
    def name(self) -> str:
        """`captions`."""
        return NAME

    @property
    def service(self) -> str:
        """`captions`."""
        return NAME

    @property
    def settings(self) -> Mapping[str, object]:
        """The wanted language; the caption file itself is part of the request."""
        return {"engine": NAME, "language": self.language}

    def check(self) -> None:
        """Return always: reading captions needs nothing that the project does not bring."""

    def transcribe(
        self, request: TranscriptionRequest, *, progress: Progress | None = None
    ) -> Transcript:
        """Read the captions.

        Raises:
            EngineUnavailable: No captions came with the video.
            SourceRejected: The caption file is missing or none.
            MediaFailed: The subtitle stream could not be extracted.
        """
        started = time.monotonic()
        wanted = request.language or self.language
        notes: list[str] = []
        shift = 0.0
        if request.captions is not None:
            captions = _read_file(request.captions)
            language = wanted or captions.language or _language_of_name(request.captions)
        else:
            stream = _stream_for(request.facts, wanted)
            captions = _read_stream(request, stream)
            shift = -_SHIFT_SECONDS
            language = stream.language or wanted
            notes.append(f"From the {stream.codec} subtitle stream {stream.index} of the file")
        spoken = [
            (
                Segment(segment.text, segment.start + shift, segment.end + shift),
                [Word(word.text, word.start + shift, word.end + shift) for word in words],
            )
            for segment, words in captions.spoken
        ]
        duration = request.facts.duration_seconds
        late = sum(segment.start >= duration for segment, _ in spoken)
        if not spoken:
            notes.append(WITHOUT_CUES)
        elif late:
            notes.append(f"{late} of {len(spoken)} cues start after the end and were left out")
        if captions.word_times_are_spread:
            notes.append(SPREAD_NOTE)
        if progress:
            progress(1.0)
        return transcript_from(
            spoken,
            duration=duration,
            language=two_letter(language),
            service=self.service,
            processing_time_seconds=time.monotonic() - started,
            notes=notes,
        )


def _read_file(path: Path) -> Captions:
    try:
        size = path.stat().st_size
        if size > _LARGEST_BYTES:
            raise SourceRejected(
                f"The caption file '{path}' is {size / 1024**2:.0f} MiB large, which no SRT or "
                "VTT file is",
                remedy="Give the captions as SRT or WebVTT",
            )
        return read_captions(path.read_bytes())
    except OSError as error:
        raise SourceRejected(
            f"The caption file '{path}' could not be read: {error.strerror or error}",
            remedy="Correct the path, or put the file there",
        ) from error
    except NotCaptions as error:
        raise SourceRejected(
            f"'{path}' is not an SRT or WebVTT file: {error}",
            remedy="Give the captions as SRT or WebVTT",
        ) from error


def _language_of_name(path: Path) -> str | None:
    suffixes = [suffix.removeprefix(".") for suffix in path.suffixes[:-1]]
    codes = [code for suffix in suffixes if (code := two_letter(suffix, known_only=True))]
    return codes[-1] if codes else None


def _stream_for(facts: MediaFacts, wanted: str | None) -> SubtitleStream:
    if not facts.subtitles:
        raise EngineUnavailable(
            "No captions came with the video: no caption file was given or lies beside it, and "
            "there is no text subtitle stream inside it",
            remedy="Give them with `videomoments add SOURCE --captions FILE`, or choose another "
            "transcription engine",
        )
    code = two_letter(wanted)
    same = (stream for stream in facts.subtitles if code and two_letter(stream.language) == code)
    return next(same, facts.subtitles[0])


def _read_stream(request: TranscriptionRequest, stream: SubtitleStream) -> Captions:
    """Extract a stream; its times are those of the presented timeline plus `_SHIFT_SECONDS`."""
    facts = request.facts
    shown = facts.video or facts.audio
    start = shown.start_seconds if shown else 0.0
    extracted = request.scratch / f"subtitles-{stream.index}.srt"
    source = ffmpeg.input(
        safe_input(request.media),
        copyts=None,
        **input_options(facts),
    )
    output = ffmpeg.output(
        source[str(stream.index)],
        safe_input(extracted),
        format="srt",
        output_ts_offset=f"{_SHIFT_SECONDS - start:.6f}",
    )
    try:
        run_ffmpeg(
            output,
            timeout_seconds=_EXTRACT_SECONDS + facts.size_bytes / _EXTRACT_BYTES_PER_SECOND,
            what=f"extracting the subtitles of '{request.media.name}'",
        )
        return read_captions(extracted.read_bytes())
    except NotCaptions as error:
        raise MediaFailed(
            f"The {stream.codec} subtitle stream of '{request.media.name}' could not be read"
        ) from error
    finally:
        extracted.unlink(missing_ok=True)
