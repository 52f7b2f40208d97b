"""Transcription engines as a Dagster resource.

Belongs here: which engine a video gets, from the resource's fields. Does not belong here: any
engine (`videomoments_dagster.speech`).
"""

from pathlib import Path
from typing import Any

import dagster as dg

from videomoments_dagster.speech.engine import TranscriptionEngine, TranscriptionOptions
from videomoments_dagster.speech.engines import engine_named


class TranscriptionResource(dg.ConfigurableResource[Any]):
    """The transcription engines, with the installation's settings.

    Reads models from the folder `models` in VIDEOMOMENTS_HOME; writes nothing, and downloads
    nothing. If it fails, an engine or its model is missing: the message says where to put it.
    """

    default_engine: str = "faster-whisper"
    models_folder: str
    whisper_model: str = "small"
    device: str = "auto"
    compute_type: str = "default"
    vad: bool = True
    batch_size: int = 0
    language: str | None = None

    def engine(
        self, name: str | None = None, *, language: str | None = None
    ) -> "TranscriptionEngine":
        """The engine of that name, or the default one.

        Raises:
            SettingsRejected: If there is no engine of that name.
        """
        options = TranscriptionOptions(
            whisper_model=self.whisper_model,
            models_folder=Path(self.models_folder),
            device=self.device,
            compute_type=self.compute_type,
            vad=self.vad,
            batch_size=self.batch_size,
            language=language or self.language,
        )
        return engine_named(name or self.default_engine, options)
