"""The demo: a short talk through the whole pipeline.

Belongs here: what `make demo` does. Does not belong here: anything that a real video needs too.
"""

from __future__ import annotations

from pathlib import Path

from videomoments_dagster.base.failures import EngineUnavailable, ResultMissing
from videomoments_dagster.core.resources import StoredResultsResource, TranscriptionResource
from videomoments_dagster.moments.system import MOMENTS

DEMO_IDENTIFIER = "demo"


def demo_talk() -> Path:
    """The talk that comes with a checkout of the project.

    Raises:
        ResultMissing: If the package was installed without it.
    """
    talk = Path(__file__).parents[2] / "demo" / "talk.mp4"
    if not talk.is_file():
        raise ResultMissing(
            f"the demo talk {talk} is not there",
            remedy="Run the demo from a checkout of the project",
        )
    return talk


def demo_engine(transcription: TranscriptionResource) -> tuple[str, str]:
    """The engine that the demo can use here, and a sentence that says which and why.

    Whisper where its model is on this machine, else pocketsphinx, whose model comes with it.

    Raises:
        EngineUnavailable: If there is neither.
    """
    try:
        transcription.engine("faster-whisper").check()
    except EngineUnavailable as missing:
        transcription.engine("pocketsphinx").check()
        return "pocketsphinx", (
            f"Whisper cannot be used here: {missing.reason}. The demo transcribes with "
            "pocketsphinx, a small offline recogniser that gets many words wrong."
        )
    return "faster-whisper", "The demo transcribes with faster-whisper."


def demo_is_complete(results: StoredResultsResource) -> bool:
    """Whether all assets of the demo are stored and whole."""
    demo = MOMENTS.partition(DEMO_IDENTIFIER)
    return all(results.of(demo, asset.storage).is_intact for asset in MOMENTS.assets.values())
