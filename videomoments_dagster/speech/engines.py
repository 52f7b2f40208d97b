"""The engines by name.

Belongs here: the list, and making an engine from its options. Does not belong here: where the
options come from (`videomoments_dagster.core.settings`), and any choice of another engine than the
one that was named.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from videomoments_dagster.base.failures import SettingsRejected
from videomoments_dagster.speech import captions_engine, faster_whisper_engine, pocketsphinx_engine
from videomoments_dagster.speech.captions_engine import CaptionsEngine
from videomoments_dagster.speech.engine import TranscriptionEngine
from videomoments_dagster.speech.faster_whisper_engine import FasterWhisperEngine
from videomoments_dagster.speech.pocketsphinx_engine import PocketsphinxEngine

DEFAULT_ENGINE = faster_whisper_engine.NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionOptions:
    """What can be set of the engines; each takes what concerns it.

    Attributes:
        models_folder: Where Whisper models are placed.
        whisper_model: Name of a Whisper model, its hub repository, or its folder.
        device: "auto", "cpu" or "cuda".
        compute_type: CTranslate2's compute type, such as "default", "int8" or "float16".
        language: ISO 639-1 code of the speech; None lets the engine find out.
        vad: Whether silence is cut out before Whisper listens.
        batch_size: Stretches of speech that Whisper decodes at once; 0 for one by one.
        beam_size: Number of hypotheses that Whisper keeps.
        temperatures: Sampling temperatures, tried in turn when a result looks wrong.
        cpu_threads: Threads per operation on CPU; 0 leaves it to the engine.
    """

    models_folder: Path
    whisper_model: str = "small"
    device: str = "auto"
    compute_type: str = "default"
    language: str | None = None
    vad: bool = True
    batch_size: int = 0
    beam_size: int = 5
    temperatures: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    cpu_threads: int = 0


def _faster_whisper(options: TranscriptionOptions) -> TranscriptionEngine:
    return FasterWhisperEngine(
        model=options.whisper_model,
        models_folder=options.models_folder,
        device=options.device,
        compute_type=options.compute_type,
        language=options.language,
        vad=options.vad,
        batch_size=options.batch_size,
        beam_size=options.beam_size,
        temperatures=options.temperatures,
        cpu_threads=options.cpu_threads,
    )


def _captions(options: TranscriptionOptions) -> TranscriptionEngine:
    return CaptionsEngine(language=options.language)


def _pocketsphinx(options: TranscriptionOptions) -> TranscriptionEngine:
    return PocketsphinxEngine(language=options.language)


_ENGINES: dict[str, Callable[[TranscriptionOptions], TranscriptionEngine]] = {
    faster_whisper_engine.NAME: _faster_whisper,
    captions_engine.NAME: _captions,
    pocketsphinx_engine.NAME: _pocketsphinx,
}

ENGINE_NAMES = tuple(_ENGINES)
"""Names that `engine_named` knows, the default first."""


def engine_named(name: str, options: TranscriptionOptions) -> TranscriptionEngine:
    """Make the engine of a name; whether it can be used here is for its `check` to say.

    Args:
        name: One of `ENGINE_NAMES`.
        options: What can be set.

    Raises:
        SettingsRejected: There is no engine of that name.
    """
    make = _ENGINES.get(name)
    if make is None:
        raise SettingsRejected(
            f"There is no transcription engine '{name}'",
            remedy=f"Choose one of {', '.join(ENGINE_NAMES)}",
        )
    return make(options)
