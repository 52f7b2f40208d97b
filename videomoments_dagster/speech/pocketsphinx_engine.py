"""Offline recognition with pocketsphinx, whose model ships in its wheel.

The sound is divided into utterances, which are recognised on all cores by `pocketsphinx_worker`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, ClassVar

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
    two_letter,
)
from videomoments_dagster.speech.pauses import loudness_db, sounding_stretches
from videomoments_dagster.speech.transcript import Segment, SpokenSegment, Transcript, Word

_LONGEST_UTTERANCE_SECONDS = 20.0
_GROUP_SECONDS = 30.0
_LIMIT_SECONDS = 120.0
_LIMIT_PER_AUDIO_SECOND = 10.0
_WORKER = "videomoments_dagster.speech.pocketsphinx_worker"
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


def shared_out(lengths: Sequence[float], processes: int) -> list[list[int]]:
    """Share groups among processes so that each has about as much to do.

    Args:
        lengths: Seconds of speech in each group.
        processes: How many processes there are at most.

    Returns:
        For each process that gets any, the positions of its groups in order.
    """
    loads = [0.0] * processes
    given: list[list[int]] = [[] for _ in range(processes)]
    for position in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        least = loads.index(min(loads))
        loads[least] += lengths[position]
        given[least].append(position)
    return [sorted(positions) for positions in given if positions]


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
        self, request: TranscriptionRequest, *, progress: Progress | None = None
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
            lambda audio: (self._recognised(audio, progress or (lambda _: None)), "en"),
            service=self.service,
            language="en",
            notes=("pocketsphinx is a fallback: expect many wrong words",),
        )

    def _recognised(self, audio: Path, progress: Progress) -> list[SpokenSegment]:
        """Have every utterance recognised, in as many processes as there are cores."""
        loudness = loudness_db(speech_samples(audio), rate=SPEECH_RATE)
        utterances = sounding_stretches(loudness, longest_seconds=_LONGEST_UTTERANCE_SECONDS)
        progress(0.0)
        if not utterances:
            return []
        groups = grouped(utterances)
        lengths = [sum(utterances[i][1] - utterances[i][0] for i in group) for group in groups]
        total, done = sum(lengths), 0.0
        deadline = time.monotonic() + _LIMIT_SECONDS + _LIMIT_PER_AUDIO_SECOND * total
        heard: dict[int, list[Word]] = {}
        lock = threading.Lock()

        def listen(positions: list[int], process: subprocess.Popen[str], said: IO[str]) -> None:
            nonlocal done
            for position, line in zip(positions, process.stdout or (), strict=False):
                start, end = utterances[position]
                heard[position] = spoken_words(json.loads(line), offset=start)
                with lock:
                    done += end - start
                    progress(min(done / total, 1.0))
            if process.wait() != 0:
                said.seek(0)
                reasons = [f"it ended with {process.returncode}", *said.read().split("\n")]
                last = next(reason for reason in reversed(reasons) if reason.strip())
                raise TranscriptionFailed(f"pocketsphinx failed: {last}")

        on_linux = hasattr(os, "sched_getaffinity")
        cores = len(os.sched_getaffinity(0)) if on_linux else os.cpu_count() or 1
        shared = shared_out(lengths, self.processes or cores)
        shares = [[groups[number] for number in share] for share in shared]
        with ExitStack() as opened, ThreadPoolExecutor(len(shares)) as pool:
            workers = [opened.enter_context(_worker(audio, utterances, share)) for share in shares]
            listening = [
                pool.submit(listen, list(chain.from_iterable(share)), *worker)
                for share, worker in zip(shares, workers, strict=True)
            ]
            try:
                for one in listening:
                    one.result(timeout=max(deadline - time.monotonic(), 0.0))
            except TimeoutError:
                raise TranscriptionFailed(
                    f"pocketsphinx did not finish {total:.0f} s of speech in time"
                ) from None
            finally:
                for process, _ in workers:
                    process.kill()
        return [
            (Segment(" ".join(word.text for word in words), start, end), words)
            for position, (start, end) in enumerate(utterances)
            if (words := heard[position])
        ]


@contextmanager
def _worker(
    audio: Path, utterances: Sequence[tuple[float, float]], groups: list[list[int]]
) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """A process that recognises some groups, and the file that its standard error goes to."""
    samples = [
        [[round(edge * SPEECH_RATE) for edge in utterances[position]] for position in group]
        for group in groups
    ]
    with tempfile.TemporaryFile("w+") as request, tempfile.TemporaryFile("w+") as said:
        json.dump({"audio": str(audio), "groups": samples}, request)
        request.seek(0)
        with subprocess.Popen(
            [sys.executable, "-m", _WORKER],
            stdin=request,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            encoding="utf-8",
        ) as process:
            yield process, said
