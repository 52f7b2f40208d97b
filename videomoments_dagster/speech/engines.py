"""The engines by name, the default first; no other is ever chosen in place of the one named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from videomoments_dagster.base.failures import SettingsRejected
from videomoments_dagster.speech.captions import CaptionsEngine
from videomoments_dagster.speech.engine import (
    Progress,
    TranscriptionEngine,
    TranscriptionOptions,
    TranscriptionRequest,
    unreported,
)
from videomoments_dagster.speech.transcripts import Transcript
from videomoments_dagster.speech.whisper import FasterWhisperEngine


@dataclass(frozen=True, slots=True)
class PocketsphinxEngine:
    """The engine of earlier releases: what it transcribed still stands, and it does no more."""

    options: TranscriptionOptions
    name: ClassVar[str] = "pocketsphinx"
    service: ClassVar[str] = "pocketsphinx:en-us"

    @property
    def settings(self) -> Mapping[str, object]:
        """As they were, so that stored transcripts are known to be made with them."""
        return {"engine": self.name, "model": "en-us"}

    def check(self) -> None:
        """Refuse.

        Raises:
            SettingsRejected: Always.
        """
        raise self._gone()

    def transcribe(
        self,
        request: TranscriptionRequest,  # noqa: ARG002 - as of every engine
        *,
        progress: Progress = unreported,  # noqa: ARG002 - as of every engine
    ) -> Transcript:
        """Refuse, as `check` does.

        Raises:
            SettingsRejected: Always.
        """
        raise self._gone()

    def _gone(self) -> SettingsRejected:
        return SettingsRejected(
            f"The transcription engine '{self.name}' is gone: faster-whisper comes with a model "
            "that gets a fifth of the words wrong that it did",
            remedy="Choose faster-whisper instead, in VIDEOMOMENTS_TRANSCRIPTION_ENGINE for all "
            "videos, with `videomoments add SOURCE --transcription faster-whisper` for one, with "
            "`--transcription faster-whisper` for a run",
        )


_ENGINES: dict[str, Callable[[TranscriptionOptions], TranscriptionEngine]] = {
    FasterWhisperEngine.name: FasterWhisperEngine,
    CaptionsEngine.name: CaptionsEngine,
}

ENGINE_NAMES = tuple(_ENGINES)
"""Names that people may choose, the default first."""


def engine_named(name: str, options: TranscriptionOptions) -> TranscriptionEngine:
    """Make the engine of a name; whether it can be used here is for its `check` to say.

    Settings, registrations and run configs of older installations may name the one that is gone.

    Raises:
        SettingsRejected: There is no engine of that name.
    """
    engine = (_ENGINES | {PocketsphinxEngine.name: PocketsphinxEngine}).get(name)
    if engine is None:
        raise SettingsRejected(
            f"There is no transcription engine '{name}'",
            remedy=f"Choose one of {', '.join(ENGINE_NAMES)}",
        )
    return engine(options)
