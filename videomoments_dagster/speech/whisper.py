"""Whisper through faster-whisper and CTranslate2, on CPU or CUDA, with a model on this machine.

Nothing here touches the network: where models come from is for `whisper_models` to say.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from videomoments_dagster.base.failures import (
    EngineUnavailable,
    SettingsRejected,
    TranscriptionFailed,
)
from videomoments_dagster.media.facts import MediaFacts
from videomoments_dagster.media.speech_audio import SPEECH_RATE, speech_samples
from videomoments_dagster.speech.engine import (
    Progress,
    TranscriptionOptions,
    TranscriptionRequest,
    transcript_of_sound,
    two_letter,
    unreported,
)
from videomoments_dagster.speech.pauses import loudness_db, pieces
from videomoments_dagster.speech.transcripts import Segment, SpokenSegment, Transcript, Word
from videomoments_dagster.speech.whisper_models import model_folder, model_meant
from videomoments_dagster.speech.written_language import guessed_language

# The features of a whole recording take gigabytes; those of ten minutes, 60 MB.
_PIECE_SECONDS = 600.0
_PROMPT_CHARACTERS = 400

# Below it, Whisper itself takes a decoding for failed. Of English, "tiny.en" is at -0.2 to -0.6,
# of German, French and Spanish at -1.6 to -2.
_UNSURE_BELOW = -1.0
_MOST = 0.5
# Gibberish looks like Luganda, at 0.82.
_SURE = 0.95

_CHOOSE_MULTILINGUAL = (
    "Choose a multilingual model, for instance fetch `small` as the README says and set "
    "VIDEOMOMENTS_WHISPER_MODEL to it"
)

# In what is remembered, `auto` goes by the name of what was the default before it, so that
# transcripts made then still stand; and what had that name, by another.
_REMEMBERED_TYPES = {"auto": "default", "default": "as the model is stored"}


@dataclass(frozen=True, slots=True)
class FasterWhisperEngine:
    """Recognises speech with a Whisper model that lies on this machine."""

    options: TranscriptionOptions
    name: ClassVar[str] = "faster-whisper"

    @property
    def service(self) -> str:
        """Engine and model without the folders before it, such as "faster-whisper:small"."""
        return f"{self.name}:{Path(self.model).name or self.model}"

    @property
    def model(self) -> str:
        """Name, repository or folder of the model: the default one where none is set."""
        options = self.options
        return model_meant(options.whisper_model, models_folder=options.models_folder)

    @property
    def settings(self) -> Mapping[str, object]:
        """Model and decoding; where it runs and with how many threads changes nothing."""
        names = ("language", "vad", "batch_size", "beam_size")
        compute_type = self.options.compute_type
        return {
            "engine": self.name,
            "model": self.model,
            "compute_type": _REMEMBERED_TYPES.get(compute_type, compute_type),
            "temperatures": list(self.options.temperatures),
            **{name: getattr(self.options, name) for name in names},
        }

    def check(self) -> None:
        """Check the options, the model's files and the device, without loading the model.

        Raises:
            EngineUnavailable: Something is missing.
            SettingsRejected: Options contradict each other.
        """
        options, device = self.options, self.options.device
        if options.batch_size and not options.vad:
            raise SettingsRejected(
                "whisper batch size needs VAD, which finds the stretches to decode at once",
                remedy="Set the batch size to 0, or switch VAD on",
            )
        if device not in {"auto", "cpu", "cuda"}:
            raise SettingsRejected(
                f"whisper device is '{device}'", remedy="Choose auto, cpu or cuda"
            )
        model_folder(self.model, models_folder=options.models_folder)
        ctranslate2 = _ctranslate2()
        has_cuda = ctranslate2.get_cuda_device_count() > 0
        if device == "cuda" and not has_cuda:
            raise EngineUnavailable(
                "The whisper device is cuda, and CTranslate2 sees no CUDA device on this machine",
                remedy="Set VIDEOMOMENTS_WHISPER_DEVICE to auto or cpu, or install the NVIDIA "
                "driver",
            )
        device = _device(ctranslate2, device)
        supported = ctranslate2.get_supported_compute_types(device)
        if options.compute_type not in {"default", "auto", *supported}:
            raise SettingsRejected(
                f"whisper compute type '{options.compute_type}' is not supported on {device}",
                remedy=f"Choose default, auto or one of {', '.join(sorted(supported))}",
            )

    def transcribe(
        self, request: TranscriptionRequest, *, progress: Progress = unreported
    ) -> Transcript:
        """Recognise what is said.

        The sound is read in pieces of ten minutes, cut where it is quietest, so that memory
        stays bounded; each piece is given the text before it and the language of the first.

        Raises:
            EngineUnavailable: The model or the device is missing or cannot be loaded.
            SettingsRejected: The model does not know the language.
            TranscriptionFailed: The model failed while running.
            MediaFailed: The sound could not be decoded.
        """
        self.check()
        language = request.language or self.options.language
        notes: list[str] = []

        def recognise(audio: Path) -> tuple[list[SpokenSegment], str | None]:
            try:
                model = self._loaded(language)
                heard = self._recognised(audio, model, language, progress)
                if not model.model.is_multilingual:
                    notes.extend(
                        doubts_of_english(
                            " ".join(segment.text for segment, _ in heard.spoken),
                            unsure_share=heard.unsure_share,
                            tagged=_tag_of(request.facts),
                            is_asked_for=language is not None,
                            model=self.model,
                        )
                    )
            except (RuntimeError, ValueError) as error:
                raise TranscriptionFailed(
                    f"faster-whisper failed: {error}", remedy=_remedy_for(error)
                ) from error
            return heard.spoken, heard.language

        return transcript_of_sound(
            request, recognise, service=self.service, language=language, notes=notes
        )

    def _loaded(self, language: str | None) -> Any:
        options = self.options
        folder = model_folder(self.model, models_folder=options.models_folder)
        ctranslate2 = _ctranslate2()
        # Its warnings, such as of types that it converts, are lines of its own on standard error.
        ctranslate2.set_log_level(logging.ERROR)
        import faster_whisper  # noqa: PLC0415 - a second and more, and only this engine needs it

        try:
            model = faster_whisper.WhisperModel(
                str(folder),
                device=options.device,
                compute_type=_compute_type(ctranslate2, options),
                cpu_threads=options.cpu_threads,
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
                remedy=f"{_CHOOSE_MULTILINGUAL}, and an ISO 639-1 code such as 'en'",
            )
        return model

    def _recognised(
        self, audio: Path, model: Any, language: str | None, progress: Progress
    ) -> _Heard:
        # A higher temperature draws random samples; the same file must give the same words.
        _ctranslate2().set_random_seed(0)
        batched: dict[str, Any] = {}
        if self.options.batch_size:
            import faster_whisper  # noqa: PLC0415 - as above

            model = faster_whisper.BatchedInferencePipeline(model=model)
            batched = {"batch_size": self.options.batch_size}
        samples = speech_samples(audio)
        total = samples.size / SPEECH_RATE
        progress(0.0)
        spoken: list[SpokenSegment] = []
        said, unsure_seconds = "", 0.0
        for start, end in pieces(loudness_db(samples, rate=SPEECH_RATE), seconds=_PIECE_SECONDS):
            piece = samples[round(start * SPEECH_RATE) : round(end * SPEECH_RATE)]
            segments, info = model.transcribe(
                piece.astype(np.float32) / 32768.0,
                language=language,
                initial_prompt=said.strip() or None,
                beam_size=self.options.beam_size,
                temperature=list(self.options.temperatures),
                word_timestamps=True,
                vad_filter=self.options.vad,
                **batched,
            )
            for segment in segments:
                said = f"{said} {segment.text}"[-_PROMPT_CHARACTERS:]
                progress(min((start + segment.end) / total, 1.0))
                if segment.avg_logprob < _UNSURE_BELOW:
                    unsure_seconds += segment.end - segment.start
                words = [Word(w.word, w.start + start, w.end + start) for w in segment.words or ()]
                shifted = Segment(segment.text, segment.start + start, segment.end + start)
                spoken.append((shifted, words))
            # Of a piece without speech, the language is a guess about silence.
            if info.duration_after_vad > 0:
                language = language or info.language
            progress(min(end / total, 1.0))
        return _Heard(spoken, language, unsure_seconds)


def doubts_of_english(
    text: str, *, unsure_share: float, tagged: str | None, is_asked_for: bool, model: str
) -> tuple[str, ...]:
    """Say what is to be doubted of the words of a model that knows only English.

    Args:
        text: What it heard.
        unsure_share: Share of the segments' length in which it was unsure, 0 to 1.
        tagged: Language code that the sound track is tagged with, or None.
        is_asked_for: Whether somebody said that English is spoken.
        model: Its name.

    Returns:
        Notes for the reader of the transcript.

    Raises:
        SettingsRejected: It understood little, and by the tag or by the text another language is
            spoken for sure.
    """
    if unsure_share <= _MOST:
        return ()
    if not is_asked_for:
        tag, guess = two_letter(tagged, known_only=True), guessed_language(text)
        if tag not in {None, "en"}:
            raise _speaks_another(model, f"'{tag}', as the sound track is tagged")
        if guess and guess.code != "en" and guess.probability >= _SURE:
            raise _speaks_another(
                model, f"'{guess.code}' by its words, {guess.probability:.0%} sure"
            )
    note = (
        f"The Whisper model '{model}' knows English only, and was unsure of most of what it heard"
    )
    return (f"{note}: if another language is spoken, choose a multilingual model, such as 'small'",)


def _speaks_another(model: str, language: str) -> SettingsRejected:
    return SettingsRejected(
        f"The Whisper model '{model}' knows English only, understood little, and the language that "
        f"is spoken is {language}",
        remedy=f"{_CHOOSE_MULTILINGUAL}; where it is English after all, set VIDEOMOMENTS_LANGUAGE "
        "to en",
    )


@dataclass(frozen=True, slots=True)
class _Heard:
    """What a model heard.

    Attributes:
        spoken: Its segments.
        language: Language code, or None where nothing was said.
        unsure_seconds: Length of those segments that it was unsure of.
    """

    spoken: list[SpokenSegment]
    language: str | None
    unsure_seconds: float

    @property
    def unsure_share(self) -> float:
        """Share of the segments' length that the model was unsure of, 0 to 1."""
        seconds = sum(segment.end - segment.start for segment, _ in self.spoken)
        return self.unsure_seconds / seconds if seconds else 0.0


def _tag_of(facts: MediaFacts) -> str | None:
    index = facts.audio.index if facts.audio else None
    return next((one.language for one in facts.sound_tracks if one.index == index), None)


def _device(ctranslate2: Any, device: str) -> str:
    if device != "auto":
        return device
    return "cuda" if ctranslate2.get_cuda_device_count() > 0 else "cpu"


def _compute_type(ctranslate2: Any, options: TranscriptionOptions) -> str:
    """int8 on CPU, where it is a third faster or more and as right; else what is asked for."""
    if options.compute_type != "auto":
        return options.compute_type
    device = _device(ctranslate2, options.device)
    is_cpu_with_int8 = device == "cpu" and "int8" in ctranslate2.get_supported_compute_types("cpu")
    return "int8" if is_cpu_with_int8 else "default"


def _ctranslate2() -> Any:
    try:
        import ctranslate2  # noqa: PLC0415 - a second and more
    except ImportError as error:
        raise EngineUnavailable(
            f"The transcription engine faster-whisper cannot be loaded: {error}",
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
