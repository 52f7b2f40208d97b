"""What `make bench` says about transcription: what is added to a bare call of faster-whisper.

Belongs here: a model of the shape of Whisper "tiny" with random weights that always says the most,
so that both ways do the same work. Does not belong here: how well anything is heard.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from comparison import Row, Rows, medians
from generated_media import looped

PROJECT = Path(__file__).parents[1]
TALK = PROJECT / "demo" / "talk.mp4"
TALK_SECONDS = 191.0
MODEL_NAME = "tiny-shaped"
TIMED_MINUTES = 10
MEMORY_MINUTES = 60
_MIB = 1024**2

# What a process took at most, of its own memory; the model is loaded in both.
_PEAK = """
import sys
from pathlib import Path
sys.path[:0] = {paths!r}
import transcribing
from memory_peak import peak_bytes
transcribing.{way}(Path({folder!r}), Path({media!r}))
print(peak_bytes())
"""


def _model(folder: Path, *, tiny: bool) -> None:
    sys.path.insert(0, str(PROJECT / "tests"))
    from whisper_model import Shape, make_whisper_model

    shape = Shape(width=384, heads=6, layers=4) if tiny else Shape()
    make_whisper_model(folder / MODEL_NAME, multilingual=True, shape=shape, endless=tiny)


def _engine(folder: Path):  # noqa: ANN202 - imported where it is needed
    from videomoments_dagster.speech.engine import TranscriptionOptions
    from videomoments_dagster.speech.whisper import FasterWhisperEngine

    options = TranscriptionOptions(
        whisper_model=MODEL_NAME,
        models_folder=folder,
        language="en",
        beam_size=1,
        temperatures=(0.0,),
        compute_type="float32",
    )
    return FasterWhisperEngine(options)


def ours(folder: Path, media: Path) -> None:
    """Transcribe with the project's engine."""
    from videomoments_dagster.media.probe import probe
    from videomoments_dagster.speech.engine import TranscriptionRequest

    request = TranscriptionRequest(media=media, facts=probe(media), captions=None, scratch=folder)
    transcript = _engine(folder).transcribe(request)
    if not transcript.words:
        raise SystemExit("nothing was heard")


def bare(folder: Path, media: Path) -> None:
    """Transcribe with the library alone."""
    from faster_whisper import WhisperModel

    model = WhisperModel(
        str(folder / MODEL_NAME), device="cpu", compute_type="float32", local_files_only=True
    )
    segments, _ = model.transcribe(
        str(media),
        language="en",
        beam_size=1,
        temperature=[0.0],
        word_timestamps=True,
        vad_filter=True,
    )
    if not [word for segment in segments for word in segment.words or ()]:
        raise SystemExit("nothing was heard")


def _peak(way: str, folder: Path, media: Path) -> int:
    code = _PEAK.format(
        paths=[str(PROJECT), str(PROJECT / "benchmarks")],
        way=way,
        folder=str(folder),
        media=str(media),
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=1800
    )
    return int(done.stdout.split()[-1])


def transcripts(rows: Rows, folder: Path) -> None:
    """Time for ten minutes of speech, and memory for an hour."""
    timed, spoken = folder / "timed", folder / "spoken"
    _model(timed, tiny=True)
    media = looped(TALK, folder / "talk.mp4", times=round(TIMED_MINUTES * 60 / TALK_SECONDS))
    taken, alone = medians(lambda: ours(timed, media), lambda: bare(timed, media))
    what = f"transcript of {TIMED_MINUTES} min, faster-whisper of the shape of tiny"
    rows.add(Row(what, taken, "the bare library call", alone, 1.05))
    _model(spoken, tiny=False)
    hour = looped(TALK, folder / "hour.mp4", times=round(MEMORY_MINUTES * 60 / TALK_SECONDS) + 1)
    rows.add(
        Row(
            f"memory for {MEMORY_MINUTES} min of sound",
            _peak("ours", spoken, hour) / _MIB,
            "the bare library call, and 200 MB",
            _peak("bare", spoken, hour) / _MIB + 200e6 / _MIB,
            1.0,
            unit="MiB",
        )
    )
