"""Whisper through faster-whisper and CTranslate2, on CPU or CUDA, with a model on this machine.

Nothing here touches the network: a model that is missing is named, with how to fetch it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import huggingface_hub
import numpy as np

from videomoments_dagster.base.failures import (
    EngineUnavailable,
    SettingsRejected,
    TranscriptionFailed,
)
from videomoments_dagster.media.speech_audio import SPEECH_RATE, speech_samples
from videomoments_dagster.speech.engine import (
    Progress,
    TranscriptionOptions,
    TranscriptionRequest,
    transcript_of_sound,
    unreported,
)
from videomoments_dagster.speech.pauses import loudness_db, pieces
from videomoments_dagster.speech.transcripts import Segment, SpokenSegment, Transcript, Word

REQUIRED_FILES = ("model.bin", "config.json", "tokenizer.json")
"""What a folder must hold. faster-whisper would fetch a missing tokenizer from a hub."""

_VOCABULARIES = ("vocabulary.json", "vocabulary.txt")
_OTHER_REPOSITORIES = {
    "large": "Systran/faster-whisper-large-v3",
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "distil-large-v3.5": "distil-whisper/distil-large-v3.5-ct2",
}
_POINTER = b"version https://git-lfs"
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")

# The features of a whole recording take gigabytes; those of ten minutes, 60 MB.
_PIECE_SECONDS = 600.0
_PROMPT_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class FasterWhisperEngine:
    """Recognises speech with a Whisper model that lies on this machine."""

    options: TranscriptionOptions
    name: ClassVar[str] = "faster-whisper"

    @property
    def service(self) -> str:
        """Engine and model without the folders before it, such as "faster-whisper:small"."""
        model = self.options.whisper_model
        return f"{self.name}:{Path(model).name or model}"

    @property
    def settings(self) -> Mapping[str, object]:
        """Model and decoding; where it runs and with how many threads changes nothing."""
        names = ("compute_type", "language", "vad", "batch_size", "beam_size")
        return {
            "engine": self.name,
            "model": self.options.whisper_model,
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
        model_folder(options.whisper_model, models_folder=options.models_folder)
        ctranslate2 = _ctranslate2()
        has_cuda = ctranslate2.get_cuda_device_count() > 0
        if device == "cuda" and not has_cuda:
            raise EngineUnavailable(
                "The whisper device is cuda, and CTranslate2 sees no CUDA device on this machine",
                remedy="Set VIDEOMOMENTS_WHISPER_DEVICE to auto or cpu, or install the NVIDIA "
                "driver",
            )
        if device == "auto":
            device = "cuda" if has_cuda else "cpu"
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

        def recognise(audio: Path) -> tuple[list[SpokenSegment], str | None]:
            try:
                return self._recognised(audio, self._loaded(language), language, progress)
            except (RuntimeError, ValueError) as error:
                raise TranscriptionFailed(
                    f"faster-whisper failed: {error}", remedy=_remedy_for(error)
                ) from error

        return transcript_of_sound(request, recognise, service=self.service, language=language)

    def _loaded(self, language: str | None) -> Any:
        options = self.options
        folder = model_folder(options.whisper_model, models_folder=options.models_folder)
        import faster_whisper  # noqa: PLC0415 - a second and more, and only this engine needs it

        try:
            model = faster_whisper.WhisperModel(
                str(folder),
                device=options.device,
                compute_type=options.compute_type,
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
                f"The Whisper model '{options.whisper_model}' does not know the language "
                f"'{language}'",
                remedy="Choose a multilingual model and an ISO 639-1 code such as 'en'",
            )
        return model

    def _recognised(
        self, audio: Path, model: Any, language: str | None, progress: Progress
    ) -> tuple[list[SpokenSegment], str | None]:
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
        said = ""
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
                words = [Word(w.word, w.start + start, w.end + start) for w in segment.words or ()]
                shifted = Segment(segment.text, segment.start + start, segment.end + start)
                spoken.append((shifted, words))
            # Of a piece without speech, the language is a guess about silence.
            if info.duration_after_vad > 0:
                language = language or info.language
            progress(min(end / total, 1.0))
        return spoken, language


def repository_of(model: str) -> str:
    """Give the hub repository of a model in CTranslate2's format.

    Args:
        model: A name such as "small", or a repository such as "Systran/faster-whisper-small".
    """
    if _REPOSITORY.fullmatch(model):
        return model
    if model in _OTHER_REPOSITORIES:
        return _OTHER_REPOSITORIES[model]
    if model.startswith("distil-"):
        return f"Systran/faster-distil-whisper-{model.removeprefix('distil-')}"
    return f"Systran/faster-whisper-{model}"


def model_folder(model: str, *, models_folder: Path) -> Path:
    """Find the folder of a model.

    It is `model` itself if that is a folder, else the one of that name in `models_folder`, else
    what the hub's own cache on this machine holds.

    Args:
        model: Name, repository or folder.
        models_folder: Where models are placed.

    Raises:
        EngineUnavailable: There is none or it is not whole; the remedy says where to put it and
            how to fetch it.
    """
    named = Path(model).expanduser()
    is_path = named.is_absolute() or model.startswith((".", "~"))
    folder = named.absolute() if is_path or named.is_dir() else models_folder / model

    def unusable(reason: str) -> EngineUnavailable:
        if is_path:
            remedy = (
                f"Put a model in CTranslate2's format into {folder}, or name one in "
                "VIDEOMOMENTS_WHISPER_MODEL"
            )
        else:
            remedy = (
                f"Put it into {folder}, for instance with `hf download {repository_of(model)} "
                f"--local-dir {folder}` on a machine with a network, or choose another engine"
            )
        return EngineUnavailable(reason, remedy=remedy)

    if not folder.is_dir():
        if is_path:
            raise unusable(f"The Whisper model folder {folder} does not exist")
        # The cache that the hub's own client keeps; the hub is not asked.
        cached = huggingface_hub.try_to_load_from_cache(repository_of(model), REQUIRED_FILES[0])
        if isinstance(cached, str) and not _missing(Path(cached).parent):
            return Path(cached).parent
        raise unusable(f"The Whisper model '{model}' is not on this machine")
    if missing := _missing(folder):
        other = any(folder.glob("*.safetensors")) or (folder / "pytorch_model.bin").is_file()
        raise unusable(
            f"The Whisper model in {folder} lacks {', '.join(missing)}"
            + (": it is in another format than CTranslate2's" if other else "")
        )
    with (folder / "model.bin").open("rb") as weights:
        if weights.read(len(_POINTER)) in {_POINTER, b""}:
            raise unusable(
                f"model.bin in {folder} holds no weights: it is empty or a Git LFS pointer"
            )
    try:
        json.loads((folder / "config.json").read_bytes())
    except ValueError as error:
        raise unusable(f"config.json in {folder} is not JSON: the model is damaged") from error
    return folder


def _missing(folder: Path) -> list[str]:
    missing = [name for name in REQUIRED_FILES if not (folder / name).is_file()]
    has_vocabulary = any((folder / name).is_file() for name in _VOCABULARIES)
    return missing if has_vocabulary else [*missing, _VOCABULARIES[0]]


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
