"""The engines by name, the default first; no other is ever chosen in place of the one named."""

from __future__ import annotations

from collections.abc import Callable

from videomoments_dagster.base.failures import SettingsRejected
from videomoments_dagster.speech.captions import CaptionsEngine
from videomoments_dagster.speech.engine import TranscriptionEngine, TranscriptionOptions
from videomoments_dagster.speech.pocketsphinx_engine import PocketsphinxEngine
from videomoments_dagster.speech.whisper import FasterWhisperEngine

_ENGINES: dict[str, Callable[[TranscriptionOptions], TranscriptionEngine]] = {
    FasterWhisperEngine.name: FasterWhisperEngine,
    CaptionsEngine.name: CaptionsEngine,
    PocketsphinxEngine.name: PocketsphinxEngine,
}

ENGINE_NAMES = tuple(_ENGINES)
"""Names that `engine_named` knows, the default first."""


def engine_named(name: str, options: TranscriptionOptions) -> TranscriptionEngine:
    """Make the engine of a name; whether it can be used here is for its `check` to say.

    Raises:
        SettingsRejected: There is no engine of that name.
    """
    if name not in _ENGINES:
        raise SettingsRejected(
            f"There is no transcription engine '{name}'",
            remedy=f"Choose one of {', '.join(ENGINE_NAMES)}",
        )
    return _ENGINES[name](options)
