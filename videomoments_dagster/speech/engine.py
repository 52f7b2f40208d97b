"""The one interface that every transcription engine has, and what the engines share.

A new engine is a module beside this one with a class of this shape, and a line in `engines`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from videomoments_dagster.base.files import removed_afterwards
from videomoments_dagster.media.facts import MediaFacts
from videomoments_dagster.media.speech_audio import extract_speech_audio
from videomoments_dagster.speech.transcripts import (
    SpokenSegment,
    Transcript,
    joined,
    well_formed,
)

Progress = Callable[[float], None]
"""Called now and then with the share of the audio that is done, 0 to 1."""


def unreported(_share: float) -> None:
    """Progress that nobody wants to hear of."""


# Of ISO 639-2, also the other codes where a language has two, to ISO 639-1.
_CODES = """
    ara:ar bul:bg cat:ca ces:cs chi:zh cze:cs dan:da deu:de dut:nl ell:el eng:en est:et fas:fa
    fin:fi fra:fr fre:fr ger:de gre:el heb:he hin:hi hrv:hr hun:hu ice:is ind:id isl:is ita:it
    jpn:ja kor:ko lav:lv lit:lt may:ms msa:ms nld:nl nob:nb nor:no per:fa pol:pl por:pt ron:ro
    rum:ro rus:ru slk:sk slo:sk slv:sl spa:es srp:sr swe:sv tam:ta tha:th tur:tr ukr:uk urd:ur
    vie:vi zho:zh
"""
_TWO_LETTERS = dict(pair.split(":") for pair in _CODES.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionOptions:
    """What can be set of the engines; each takes what concerns it.

    Attributes:
        models_folder: Where Whisper models are placed.
        whisper_model: Name of a Whisper model, its hub repository, or its folder; empty for the
            default.
        device: "auto", "cpu" or "cuda".
        compute_type: CTranslate2's compute type, such as "int8" or "float16"; "auto" is int8 on
            CPU and the type that the model is stored in on CUDA, as "default" is on both.
        language: ISO 639-1 code of the speech; None lets the engine find out.
        vad: Whether silence is cut out before Whisper listens.
        batch_size: Stretches of speech that Whisper decodes at once; 0 decodes one after the
            other, each knowing the text before it.
        beam_size: Number of hypotheses that Whisper keeps.
        temperatures: Sampling temperatures, tried in turn when a result looks wrong.
        cpu_threads: Threads per operation on CPU; 0 leaves it to the engine.
    """

    models_folder: Path
    whisper_model: str = ""
    device: str = "auto"
    compute_type: str = "auto"
    language: str | None = None
    vad: bool = True
    batch_size: int = 0
    beam_size: int = 5
    temperatures: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    cpu_threads: int = 0


@dataclass(frozen=True, slots=True)
class TranscriptionRequest:
    """One file to transcribe.

    Attributes:
        media: Readable local file.
        facts: What probing found in it.
        captions: Caption file that belongs to it, or None.
        scratch: Existing folder for temporary files.
        language: ISO 639-1 code of the speech; None leaves it to the engine's options.
        subtitle_track: Number of the subtitle track that somebody chose, from 1.
    """

    media: Path
    facts: MediaFacts
    captions: Path | None
    scratch: Path
    language: str | None = None
    subtitle_track: int | None = None


class TranscriptionEngine(Protocol):
    """Turns the speech of a file into words with times."""

    @property
    def name(self) -> str:
        """Name by which configuration chooses the engine."""

    @property
    def service(self) -> str:
        """Engine and model as stored in `transcripts.transcription_service`, at most 50."""

    @property
    def settings(self) -> Mapping[str, object]:
        """Everything beside the media that determines the result, as JSON values."""

    def check(self) -> None:
        """Return if the engine can be used here; needs no network and no long time.

        Raises:
            EngineUnavailable: Something is missing; the remedy says what to install or where
                to put it.
            SettingsRejected: Options contradict each other.
        """

    def transcribe(
        self, request: TranscriptionRequest, *, progress: Progress = unreported
    ) -> Transcript:
        """Transcribe one file. No sound or no speech is an empty transcript.

        Raises:
            EngineUnavailable: As in `check`.
            SettingsRejected: The engine cannot do what the options ask for.
            TranscriptionFailed: The engine ran and gave no usable result.
            MediaFailed: The sound could not be decoded.
        """


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
        full_text=joined(segment.text for segment in segments),
        words=words,
        segments=segments,
        # ISO 639's own code for "undetermined"; the columns hold 10 and 50 characters.
        language=(language or "und")[:10],
        transcription_service=service[:50],
        processing_time_seconds=processing_time_seconds,
        notes=tuple(notes),
    )


def transcript_of_sound(
    request: TranscriptionRequest,
    recognise: Callable[[Path], tuple[list[SpokenSegment], str | None]],
    *,
    service: str,
    language: str | None,
    notes: Iterable[str] = (),
) -> Transcript:
    """Decode the sound of a file, have it recognised, and make the transcript.

    Args:
        request: The file.
        recognise: From a WAV file as `extract_speech_audio` writes it to what is said, and the
            language if it is known.
        service: Engine and model.
        language: Language of a file without sound.
        notes: What a reader should know of a transcript with words.
    """
    started = time.monotonic()
    facts = request.facts
    audio = extract_speech_audio(
        request.media,
        facts,
        to=request.scratch / "speech.wav",
        # At a tenth of real time, or from a disk that reads 5 MB/s.
        timeout_seconds=120.0 + max(facts.duration_seconds / 10, facts.size_bytes / 5e6),
    )
    spoken: list[SpokenSegment] = []
    if audio is None:
        notes = ("The file has no sound, so there is nothing to transcribe",)
    else:
        with removed_afterwards(audio):
            spoken, language = recognise(audio)
        notes = notes if spoken else ("No speech was found in the sound",)
    return transcript_from(
        spoken,
        duration=facts.duration_seconds,
        language=language,
        service=service,
        processing_time_seconds=time.monotonic() - started,
        notes=notes,
    )


def two_letter(code: str | None, *, known_only: bool = False) -> str | None:
    """Give the ISO 639-1 code of a language code, without its region.

    Args:
        code: Such as "eng", "en-US", "pt_BR", "und" or None.
        known_only: Give None for codes that are not in the list, instead of the code itself.

    Returns:
        The two letters; the code itself in lower case where none are known; None for no
        language, which "und" means as well.
    """
    main = (code or "").replace("_", "-").split("-")[0].strip().lower()
    if main in {"", "und", "mul", "zxx"}:
        return None
    short = _TWO_LETTERS.get(main, main)
    return short if short in _TWO_LETTERS.values() or not known_only else None
