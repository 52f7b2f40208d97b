"""The engine that reads captions which came with the video, instead of listening."""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import ffmpeg

from videomoments_dagster.base.failures import EngineUnavailable, MediaFailed, SourceRejected
from videomoments_dagster.base.files import removed_afterwards
from videomoments_dagster.media.facts import MediaFacts, SubtitleStream
from videomoments_dagster.media.ffmpeg import input_options, run_ffmpeg, safe_input
from videomoments_dagster.media.tracks import chosen_subtitles, fullest_subtitles, named_track
from videomoments_dagster.speech.caption_files import (
    LARGEST_BYTES,
    Captions,
    NotCaptions,
    read_captions,
)
from videomoments_dagster.speech.engine import (
    Progress,
    TranscriptionOptions,
    TranscriptionRequest,
    transcript_from,
    two_letter,
    unreported,
)
from videomoments_dagster.speech.transcripts import Transcript
from videomoments_dagster.speech.written_language import guessed_language

RULES = 2
"""Version of the rules that captions are read by. Others read stored captions again; what is made
from them is made again only where they then say something else."""

_BESIDE = re.compile(
    r"(?:\.(?P<language>[a-z]{2,3}(?:[-_][a-z0-9]+)*))?(?:\.(?:sdh|cc|hi|auto))?\.(?:srt|vtt)",
    re.IGNORECASE,
)
# Keeps every time positive in the extracted file, which has no form for negative ones.
_SHIFT_SECONDS = 1000.0


@dataclass(frozen=True, slots=True)
class CaptionsEngine:
    """Makes the transcript from a caption file, else from a text subtitle stream.

    The language of its options is preferred among streams, and recorded instead of what a caption
    file says of itself.
    """

    options: TranscriptionOptions
    name: ClassVar[str] = "captions"
    service: ClassVar[str] = "captions"

    @property
    def settings(self) -> Mapping[str, object]:
        """The wanted language; the caption file itself is part of the request."""
        return {"engine": self.name, "language": self.options.language}

    def check(self) -> None:
        """Return always: reading captions needs nothing that the project does not bring."""

    def transcribe(
        self, request: TranscriptionRequest, *, progress: Progress = unreported
    ) -> Transcript:
        """Read the captions.

        Raises:
            EngineUnavailable: No captions came with the video.
            SourceRejected: The caption file is missing or none.
            MediaFailed: The subtitle stream could not be extracted.
        """
        started = time.monotonic()
        wanted = request.language or self.options.language
        notes: list[str] = []
        if request.captions is not None:
            captions = _read_file(request.captions)
            language = wanted or captions.language or _language_of_name(request.captions)
        else:
            stream = _stream_for(request, wanted)
            captions = _read_stream(request, stream)
            language = stream.language or wanted
            notes.append(_chosen(stream, request.facts))
        notes += captions.notes
        duration = request.facts.duration_seconds
        inside = _inside(captions, duration=duration)
        if not captions.cues:
            notes.append("The captions say nothing")
        elif left_out := len(captions.cues) - len(inside.cues):
            notes.append(
                f"{left_out} of {len(captions.cues)} cues are before the beginning or after the "
                "end and were left out"
            )
        language = two_letter(language)
        if language is None and inside.cues:
            language, note = _language_of_text(inside)
            notes.append(note)
        if inside.word_times_are_spread:
            notes.append("Word times are spread within each cue in proportion to length")
        progress(1.0)
        return transcript_from(
            inside.spoken,
            duration=duration,
            language=language,
            service=self.service,
            processing_time_seconds=time.monotonic() - started,
            notes=notes,
        )


def captions_beside(source_path: Path) -> Path | None:
    """Find the caption file beside a media file: same name, `.srt` or `.vtt`.

    The suffix of the media file may stand between, as in `talk.mp4.srt`, and a language, as in
    `talk.en.srt`: the name without a language wins, then English, then the alphabet.
    """
    # Some systems store an accent as a character of its own.
    source = unicodedata.normalize("NFC", source_path.name)
    stems = (source, source.removesuffix(source_path.suffix))
    found: list[tuple[int, int, bool, str]] = []
    with suppress(OSError):
        for entry in source_path.parent.iterdir():
            name = unicodedata.normalize("NFC", entry.name)
            for least, stem in enumerate(stems):
                match = _BESIDE.fullmatch(name[len(stem) :]) if name.startswith(stem) else None
                if match and entry.is_file():
                    language = re.split("[-_]", (match["language"] or "").lower())[0]
                    rank = {"": 0, "en": 1, "eng": 1}.get(language, 2)
                    found.append((rank, least, not name.lower().endswith(".srt"), entry.name))
                    break
    return source_path.parent / min(found)[-1] if found else None


def _inside(captions: Captions, *, duration: float) -> Captions:
    """The captions without cues that the video does not show."""
    shown = (
        cue for cue in captions.cues if cue.start < duration and (cue.start >= 0 or cue.end > 0)
    )
    return replace(captions, cues=tuple(shown))


def _language_of_text(captions: Captions) -> tuple[str | None, str]:
    """The language that nobody has named, if the text tells it, and a note that says so."""
    guess = guessed_language(" ".join(cue.text for cue in captions.cues))
    if guess is None:
        return None, "The captions name no language, and their text has no letters to tell it from"
    likely = f"'{guess.code}', {guess.probability:.0%} sure"
    if not guess.is_sure:
        return None, f"The captions name no language, and their text does not tell it ({likely})"
    return guess.code, f"The captions name no language; by their text it is {likely}"


def _read_file(path: Path) -> Captions:
    try:
        with path.open("rb") as file:
            return read_captions(file.read(LARGEST_BYTES + 1))
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
    codes = [two_letter(suffix.removeprefix("."), known_only=True) for suffix in path.suffixes[:-1]]
    return next((code for code in reversed(codes) if code), None)


def _stream_for(request: TranscriptionRequest, wanted: str | None) -> SubtitleStream:
    facts = request.facts
    if request.subtitle_track is not None:
        return chosen_subtitles(facts.subtitles, request.subtitle_track, of=request.media)
    if not facts.subtitles:
        raise EngineUnavailable(
            "No captions came with the video: no caption file was given or lies beside it, and "
            "there is no text subtitle stream inside it",
            remedy="Give them with `videomoments add SOURCE --captions FILE`, or choose another "
            "transcription engine",
        )
    code = two_letter(wanted)
    same = [one for one in facts.subtitles if code and two_letter(one.language) == code]
    return fullest_subtitles(same or facts.subtitles)


def _chosen(stream: SubtitleStream, facts: MediaFacts) -> str:
    """Which stream was read, and which others there are."""
    named = {one: named_track(one, "forced" * one.is_forced) for one in facts.subtitles}
    taken = named.pop(stream)
    also = f"; there is also {', '.join(named.values())}" if named else ""
    return f"From the file's {stream.codec} subtitles, {taken}{also}"


def _read_stream(request: TranscriptionRequest, stream: SubtitleStream) -> Captions:
    """Extract a stream; its times are those of the presented timeline."""
    facts = request.facts
    extracted = request.scratch / f"subtitles-{stream.index}.srt"
    source = ffmpeg.input(safe_input(request.media), copyts=None, **input_options(facts))
    output = ffmpeg.output(
        source[str(stream.index)],
        safe_input(extracted),
        format="srt",
        output_ts_offset=f"{_SHIFT_SECONDS - facts.origin_seconds:.6f}",
    )
    with removed_afterwards(extracted):
        run_ffmpeg(
            output,
            timeout_seconds=120.0 + facts.size_bytes / 10e6,
            task=f"extracting the subtitles of '{request.media.name}'",
        )
        try:
            return read_captions(extracted.read_bytes(), zero=_SHIFT_SECONDS)
        except NotCaptions as error:
            raise MediaFailed(
                f"The {stream.codec} subtitle stream of '{request.media.name}' could not be read"
            ) from error
