"""Offline recognition with pocketsphinx, whose model ships in its wheel.

The decoder keeps the interpreter's lock, so that every group of utterances is recognised in a
process of its own, which runs this module. The decoder also carries something over from one
utterance to the next that only a new start clears: a group's words do not depend on what else the
machine recognises.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import ClassVar

from videomoments_dagster.base.failures import (
    EngineUnavailable,
    SettingsRejected,
    TranscriptionFailed,
)
from videomoments_dagster.base.workers import available_cores, worker_threads
from videomoments_dagster.media.ffmpeg import ended_with
from videomoments_dagster.media.speech_audio import SPEECH_RATE, speech_samples
from videomoments_dagster.speech.engine import (
    Progress,
    TranscriptionOptions,
    TranscriptionRequest,
    transcript_of_sound,
    two_letter,
    unreported,
)
from videomoments_dagster.speech.pauses import loudness_db, sounding_stretches
from videomoments_dagster.speech.transcripts import Segment, SpokenSegment, Transcript, Word

_LONGEST_UTTERANCE_SECONDS = 20.0
_GROUP_SECONDS = 30.0
_LIMIT_SECONDS = 120.0
_STEP_SECONDS = 0.2
_LIMIT_PER_AUDIO_SECOND = 10.0
_WORKER = __name__
_VARIANT = re.compile(r"\(\d+\)$")
_NOT_A_WORD = ("<", "[", "+")


def spoken_words(heard: Sequence[tuple[str, float, float]], *, offset: float) -> list[Word]:
    """Keep the words of what the decoder gives, at times of the whole sound.

    Sentence marks, silences and noises are dropped, and the number of a pronunciation variant:
    "read(2)" is "read".

    Args:
        heard: Text, start and end in seconds from the utterance's start.
        offset: Seconds at which the utterance starts.
    """
    return [
        Word(text=_VARIANT.sub("", text), start=start + offset, end=end + offset)
        for text, start, end in heard
        if not text.startswith(_NOT_A_WORD)
    ]


def grouped(utterances: Sequence[tuple[float, float]]) -> list[list[int]]:
    """Group utterances that follow each other into about half a minute of speech.

    What is in a group depends on the sound alone, and not on the machine's cores.

    Args:
        utterances: Start and end of each, seconds.

    Returns:
        The positions of each group's utterances.
    """
    groups: list[list[int]] = []
    length = _GROUP_SECONDS
    for position, (start, end) in enumerate(utterances):
        if length >= _GROUP_SECONDS:
            groups.append([])
            length = 0.0
        groups[-1].append(position)
        length += end - start
    return groups


@dataclass(frozen=True, slots=True)
class PocketsphinxEngine:
    """Recognises English with pocketsphinx, in at most so many processes; 0 is one per core."""

    options: TranscriptionOptions
    processes: int = 0
    name: ClassVar[str] = "pocketsphinx"
    service: ClassVar[str] = "pocketsphinx:en-us"

    @property
    def settings(self) -> Mapping[str, object]:
        """The model; how many processes there are changes nothing."""
        return {"engine": self.name, "model": "en-us"}

    def check(self) -> None:
        """Check that the optional package is installed.

        Raises:
            EngineUnavailable: It is not.
        """
        if importlib.util.find_spec("pocketsphinx") is None:
            raise EngineUnavailable(
                "The transcription engine pocketsphinx is not installed",
                remedy='Install it with `pip install "videomoments-dagster[pocketsphinx]"`',
            )

    def transcribe(
        self, request: TranscriptionRequest, *, progress: Progress = unreported
    ) -> Transcript:
        """Recognise what is said, a segment per utterance.

        Raises:
            EngineUnavailable: pocketsphinx is not installed.
            SettingsRejected: Another language than English is asked for.
            TranscriptionFailed: A process failed or did not finish in time.
            MediaFailed: The sound could not be decoded.
        """
        wanted = request.language or self.options.language
        if two_letter(wanted) not in {None, "en"}:
            raise SettingsRejected(
                f"pocketsphinx understands English only, and the language asked for is '{wanted}'",
                remedy="Choose the engine faster-whisper for other languages",
            )
        self.check()
        return transcript_of_sound(
            request,
            lambda audio: (self._recognised(audio, progress), "en"),
            service=self.service,
            language="en",
            notes=("pocketsphinx is a fallback: expect many wrong words",),
        )

    def _recognised(self, audio: Path, progress: Progress) -> list[SpokenSegment]:
        """Have every utterance recognised, in as many processes at once as there are cores."""
        loudness = loudness_db(speech_samples(audio), rate=SPEECH_RATE)
        utterances = sounding_stretches(loudness, longest_seconds=_LONGEST_UTTERANCE_SECONDS)
        progress(0.0)
        total, done = sum(end - start for start, end in utterances), 0.0
        deadline = time.monotonic() + _LIMIT_SECONDS + _LIMIT_PER_AUDIO_SECOND * total
        spoken: list[SpokenSegment] = []
        groups = [[utterances[position] for position in group] for group in grouped(utterances)]
        try:
            with worker_threads(self.processes or available_cores()) as (pool, stopped):
                heard = pool.map(lambda group: _heard(audio, group, deadline, stopped), groups)
                for (start, end), said in zip(utterances, chain.from_iterable(heard), strict=True):
                    if words := spoken_words(said, offset=start):
                        text = " ".join(word.text for word in words)
                        spoken.append((Segment(text, start, end), words))
                    done += end - start
                    progress(min(done / total, 1.0))
        except subprocess.TimeoutExpired:
            raise TranscriptionFailed(
                f"pocketsphinx did not finish {total:.0f} s of speech in time"
            ) from None
        return spoken


def _heard(
    audio: Path,
    utterances: Sequence[tuple[float, float]],
    deadline: float,
    stopped: threading.Event,
) -> list[list[tuple[str, float, float]]]:
    """What a process of its own hears in some utterances, as `spoken_words` takes it."""
    frames = [[round(edge * SPEECH_RATE) for edge in utterance] for utterance in utterances]
    with subprocess.Popen(
        [sys.executable, "-m", _WORKER, str(audio)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    ) as process:
        try:
            said, complaints = _ended(process, json.dumps(frames), deadline, stopped)
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        last = [ended_with(process.returncode), *complaints.strip().splitlines()][-1]
        raise TranscriptionFailed(f"pocketsphinx failed: {last}")
    heard: list[list[tuple[str, float, float]]] = json.loads(said)
    return heard


def _ended(
    process: subprocess.Popen[str], question: str, deadline: float, stopped: threading.Event
) -> tuple[str, str]:
    """Both outputs of a process that has ended; in short steps, for `stopped`."""
    unsent: str | None = question
    while True:
        try:
            return process.communicate(unsent, timeout=_STEP_SECONDS)
        except subprocess.TimeoutExpired:
            unsent = None  # What was left of it goes out with the next step.
            if stopped.is_set() or time.monotonic() >= deadline:
                raise


def main() -> None:
    """Recognise utterances of a WAV file, as the process that the engine starts.

    Standard input holds the first and last sample of each, and standard output gets the words of
    each with start and end in seconds from the utterance's start, both as JSON:
    `[[first, last], ...]` gives `[[["<sil>", 0.0, 0.12], ["read(2)", 0.12, 0.5]], ...]`.
    """
    import pocketsphinx  # noqa: PLC0415 - an optional extra

    with wave.open(sys.argv[1], "rb") as audio:
        # One pass, and a limit on what is kept alive in noise: on clear speech 0.1 of real time
        # and the same words as the default's 0.22; on noise 0.3 instead of 0.9.
        decoder = pocketsphinx.Decoder(
            samprate=audio.getframerate(), loglevel="FATAL", fwdflat=False, maxhmmpf=5000
        )
        rate = decoder.config["frate"]
        heard = []
        for first, last in json.load(sys.stdin):
            audio.setpos(first)
            decoder.start_utt()
            decoder.process_raw(audio.readframes(last - first), full_utt=True)
            decoder.end_utt()
            heard.append(
                [
                    (s.word, s.start_frame / rate, (s.end_frame + 1) / rate)
                    for s in decoder.seg() or ()
                ]
            )
    json.dump(heard, sys.stdout)


if __name__ == "__main__":
    main()
