"""Whisper through faster-whisper and CTranslate2, on CPU or CUDA.

Belongs here: loading the model and running it over the sound piece by piece. Does not belong
here: finding the model (`whisper_models`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from videomoments_dagster.base.failures import (
    EngineUnavailable,
    SettingsRejected,
    TranscriptionFailed,
)
from videomoments_dagster.media.speech_audio import (
    SPEECH_RATE,
    extract_speech_audio,
    speech_samples,
)
from videomoments_dagster.speech.engine import (
    NO_SOUND,
    NO_SPEECH,
    Progress,
    TranscriptionRequest,
    empty_transcript,
    extraction_seconds,
    transcript_from,
)
from videomoments_dagster.speech.pauses import loudness_db, pieces
from videomoments_dagster.speech.transcript import Segment, Transcript, Word
from videomoments_dagster.speech.whisper_models import model_folder, service_name
from videomoments_dagster.speech.word_times import SpokenSegment

NAME = "faster-whisper"

# The features of a whole recording take gigabytes; those of ten minutes, 60 MB.
_PIECE_SECONDS = 600.0
_PROMPT_CHARACTERS = 400
_SEED = 0


@dataclass(frozen=True, slots=True)
class FasterWhisperEngine:
    """Recognises speech with a Whisper model that lies on this machine.

    Attributes:
        model: Name of the model, its repository, or its folder.
        models_folder: Where models are placed.
        device: "auto", "cpu" or "cuda".
        compute_type: CTranslate2's compute type.
        language: ISO 639-1 code of the speech; None lets the model find out.
        vad: Whether stretches without speech are left out before the model listens.
        batch_size: Stretches of speech decoded at once; 0 decodes one after the other, each
            knowing the text before it.
        beam_size: Number of hypotheses kept.
        temperatures: Sampling temperatures, tried in turn when a result looks wrong.
        cpu_threads: Threads per operation on CPU; 0 leaves it to CTranslate2.
    """

    model: str
    models_folder: Path
    device: str = "auto"
    compute_type: str = "default"
    language: str | None = None
    vad: bool = True
    batch_size: int = 0
    beam_size: int = 5
    temperatures: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    cpu_threads: int = 0

    @property
    def name(self) -> str:
        """`faster-whisper`."""
        return NAME

    @property
    def service(self) -> str:
        """Engine and model, such as "faster-whisper:small"."""
        return service_name(self.model)

    @property
    def settings(self) -> Mapping[str, object]:
        """Model and decoding; where it runs and with how many threads changes nothing."""
        return {
            "engine": NAME,
            "model": self.model,
            "compute_type": self.compute_type,
            "language": self.language,
            "vad": self.vad,
            "batch_size": self.batch_size,
            "beam_size": self.beam_size,
            "temperatures": list(self.temperatures),
        }

    def check(self) -> None:
        """Check the options, the model's files and the device, without loading the model.

        Raises:
            EngineUnavailable: Something is missing.
            SettingsRejected: Options contradict each other.
        """
        self._check_options()
        model_folder(self.model, models_folder=self.models_folder)
        self._check_device()

    def transcribe(
        self, request: TranscriptionRequest, *, progress: Progress | None = None
    ) -> Transcript:
        """Recognise what is said.

        The sound is read in pieces of ten minutes, cut where it is quietest, so that memory
        stays bounded; each piece is told the text before it and the language of the first.

        Raises:
            EngineUnavailable: The model or the device is missing or cannot be loaded.
            SettingsRejected: The model does not know the language.
            TranscriptionFailed: The model failed while running.
            MediaFailed: The sound could not be decoded.
        """
        started = time.monotonic()
        self.check()
        wanted = request.language or self.language
        audio = extract_speech_audio(
            request.media,
            request.facts,
            to=request.scratch / "speech.wav",
            timeout_seconds=extraction_seconds(request.facts),
        )
        if audio is None:
            return empty_transcript(why=NO_SOUND, service=self.service, language=wanted)
        try:
            listening = _Listening(self, self._load(wanted), wanted)
            spoken = list(listening.to_all(audio, progress))
        except (RuntimeError, ValueError) as error:
            raise TranscriptionFailed(
                f"faster-whisper failed: {error}", remedy=_remedy_for(error)
            ) from error
        finally:
            audio.unlink(missing_ok=True)
        return transcript_from(
            spoken,
            duration=request.facts.duration_seconds,
            language=listening.language,
            service=self.service,
            processing_time_seconds=time.monotonic() - started,
            notes=() if spoken else (NO_SPEECH,),
        )

    def _check_options(self) -> None:
        if self.batch_size and not self.vad:
            raise SettingsRejected(
                "whisper batch size needs VAD, which finds the stretches to decode at once",
                remedy="Set the batch size to 0, or switch VAD on",
            )
        if self.device not in {"auto", "cpu", "cuda"}:
            raise SettingsRejected(
                f"whisper device is '{self.device}'", remedy="Choose auto, cpu or cuda"
            )

    def _check_device(self) -> None:
        ctranslate2 = _ctranslate2()
        if self.device == "cuda" and ctranslate2.get_cuda_device_count() == 0:
            raise EngineUnavailable(
                "The whisper device is cuda, and CTranslate2 sees no CUDA device on this machine",
                remedy="Set VIDEOMOMENTS_WHISPER_DEVICE to auto or cpu, or install the NVIDIA "
                "driver",
            )
        device = self.device
        if device == "auto":
            device = "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
        supported = ctranslate2.get_supported_compute_types(device)
        if self.compute_type not in {"default", "auto", *supported}:
            raise SettingsRejected(
                f"whisper compute type '{self.compute_type}' is not supported on {device}",
                remedy=f"Choose default, auto or one of {', '.join(sorted(supported))}",
            )

    def _load(self, language: str | None) -> Any:
        folder = model_folder(self.model, models_folder=self.models_folder)
        import faster_whisper  # noqa: PLC0415 - a second and more, and only this engine needs it

        try:
            model = faster_whisper.WhisperModel(
                str(folder),
                device=self.device,
                compute_type=self.compute_type,
                cpu_threads=self.cpu_threads,
                local_files_only=True,
            )
        # tokenizers raises plain Exception for a file that it cannot read.
        except Exception as error:
            raise EngineUnavailable(
                f"The Whisper model in {folder} could not be loaded: {error}",
                remedy=_remedy_for(error) or "Fetch the model again",
            ) from error
        mels = model.feature_extractor.mel_filters.shape[0]
        if mels != model.model.n_mels:
            raise EngineUnavailable(
                f"The Whisper model in {folder} needs a preprocessor_config.json: it listens to "
                f"{model.model.n_mels} mel bands and not to {mels}",
                remedy="Fetch the model again with all its files",
            )
        if language is not None and language not in model.supported_languages:
            raise SettingsRejected(
                f"The Whisper model '{self.model}' does not know the language '{language}'",
                remedy="Choose a multilingual model and an ISO 639-1 code such as 'en'",
            )
        return model


class _Listening:
    """One model listening to one file."""

    def __init__(self, engine: FasterWhisperEngine, model: Any, language: str | None) -> None:
        self.language = language
        self._engine = engine
        self._model = model
        self._said = ""

    def to_all(self, audio: Path, progress: Progress | None) -> Iterator[SpokenSegment]:
        # A higher temperature draws random samples; the same file must give the same words.
        _ctranslate2().set_random_seed(_SEED)
        samples = speech_samples(audio)
        total = samples.size / SPEECH_RATE
        if progress:
            progress(0.0)
        for start, end in pieces(loudness_db(samples, rate=SPEECH_RATE), seconds=_PIECE_SECONDS):
            piece = samples[round(start * SPEECH_RATE) : round(end * SPEECH_RATE)]
            for segment, words in self._to_piece(piece.astype(np.float32) / 32768.0):
                self._said = f"{self._said} {segment.text}"[-_PROMPT_CHARACTERS:]
                if progress:
                    progress(min((start + segment.end) / total, 1.0))
                yield (
                    Segment(segment.text, segment.start + start, segment.end + start),
                    [Word(word.word, word.start + start, word.end + start) for word in words],
                )
            if progress:
                progress(min(end / total, 1.0))

    def _to_piece(self, sound: np.ndarray[Any, np.dtype[np.float32]]) -> Iterator[Any]:
        engine = self._engine
        options: dict[str, Any] = {
            "language": self.language,
            "beam_size": engine.beam_size,
            "temperature": list(engine.temperatures),
            "word_timestamps": True,
            "vad_filter": engine.vad,
            "initial_prompt": self._said.strip() or None,
        }
        if engine.batch_size:
            import faster_whisper  # noqa: PLC0415 - as above

            pipeline = faster_whisper.BatchedInferencePipeline(model=self._model)
            segments, info = pipeline.transcribe(sound, batch_size=engine.batch_size, **options)
        else:
            segments, info = self._model.transcribe(sound, **options)
        for segment in segments:
            yield segment, segment.words or ()
        # Of a piece without speech, the language is a guess about silence.
        if info.duration_after_vad > 0:
            self.language = self.language or info.language


def _ctranslate2() -> Any:
    try:
        import ctranslate2  # noqa: PLC0415 - a second and more
    except ImportError as error:
        raise EngineUnavailable(
            f"The transcription engine {NAME} cannot be loaded: {error}",
            remedy="Install it with `pip install faster-whisper`",
        ) from error
    return ctranslate2


def _remedy_for(error: Exception) -> str:
    text = str(error).lower()
    if "cublas" in text or "cudnn" in text:
        return (
            "Install NVIDIA's libraries with `pip install nvidia-cublas-cu12 nvidia-cudnn-cu12`, "
            "or set VIDEOMOMENTS_WHISPER_DEVICE to cpu"
        )
    if "out of memory" in text:
        return "Choose a smaller model or batch size, or the compute type int8"
    return ""
