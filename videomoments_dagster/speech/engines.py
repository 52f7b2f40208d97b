"""The engines by name, the default first; no other is ever chosen in place of the one named."""

from __future__ import annotations

from collections.abc import Callable

from videomoments_dagster.base.failures import SettingsRejected
from videomoments_dagster.speech.captions import CaptionsEngine
from videomoments_dagster.speech.engine import TranscriptionEngine, TranscriptionOptions
from videomoments_dagster.speech.whisper import FasterWhisperEngine

_ENGINES: dict[str, Callable[[TranscriptionOptions], TranscriptionEngine]] = {
    FasterWhisperEngine.name: FasterWhisperEngine,
    CaptionsEngine.name: CaptionsEngine,
}

# Settings, registrations and run configs of older installations may name it.
_RETIRED = "pocketsphinx"

ENGINE_NAMES = tuple(_ENGINES)
"""Names that `engine_named` knows, the default first."""


def engine_named(name: str, options: TranscriptionOptions) -> TranscriptionEngine:
    """Make the engine of a name; whether it can be used here is for its `check` to say.

    Raises:
        SettingsRejected: There is no engine of that name.
    """
    if name == _RETIRED:
        raise SettingsRejected(
            f"The transcription engine '{name}' is gone: faster-whisper comes with a model that "
            "gets a fifth of the words wrong that it did",
            remedy="Choose faster-whisper instead, in VIDEOMOMENTS_TRANSCRIPTION_ENGINE for all "
            "videos, with `videomoments add SOURCE --transcription faster-whisper` for one, with "
            "`--transcription faster-whisper` for a run",
        )
    if name not in _ENGINES:
        raise SettingsRejected(
            f"There is no transcription engine '{name}'",
            remedy=f"Choose one of {', '.join(ENGINE_NAMES)}",
        )
    return _ENGINES[name](options)
