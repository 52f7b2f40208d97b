"""Offline recognition with pocketsphinx, whose model ships in its wheel.

Belongs here: dividing the sound into utterances and having them recognised on all cores. Does
not belong here: the decoding itself (`pocketsphinx_worker`).
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import queue
import re
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from videomoments_dagster.base.failures import (
    EngineUnavailable,
    SettingsRejected,
    TranscriptionFailed,
)
from videomoments_dagster.media.speech_audio import (
    SPEECH_RATE,
    extract_speech_audio,
    speech_samples,
)
from videomoments_dagster.speech.engine import (
    NO_SOUND,
    NO_SPEECH,
    Progress,
    TranscriptionRequest,
    empty_transcript,
    extraction_seconds,
    transcript_from,
)
from videomoments_dagster.speech.language_codes import two_letter
from videomoments_dagster.speech.pauses import loudness_db, sounding_stretches
from videomoments_dagster.speech.transcript import Segment, Transcript, Word
from videomoments_dagster.speech.word_times import SpokenSegment

NAME = "pocketsphinx"
QUALITY_NOTE = "pocketsphinx is a fallback: expect many wrong words"

_MODEL = "en-us"
_LANGUAGE = "en"
_LONGEST_UTTERANCE_SECONDS = 20.0
_GROUP_SECONDS = 30.0
_LIMIT_SECONDS = 120.0
_LIMIT_PER_AUDIO_SECOND = 10.0
_WORKER = "videomoments_dagster.speech.pocketsphinx_worker"
_VARIANT = re.compile(r"\(\d+\)$")
_NOT_A_WORD = ("<", "[", "+")

Utterance = tuple[float, float]
HeardWord = tuple[str, float, float]
Lines = queue.SimpleQueue[tuple["_Worker", str | None]]


def spoken_words(heard: Sequence[HeardWord], *, offset: float) -> list[Word]:
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


def grouped(utterances: Sequence[Utterance]) -> list[list[int]]:
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
    """Recognises English with pocketsphinx.

    Attributes:
        language: ISO 639-1 code that was asked for, or None; anything but English is refused.
        processes: Processes to use at most; 0 is one per core.
    """

    language: str | None = None
    processes: int = 0

    @property
    def name(self) -> str:
        """`pocketsphinx`."""
        return NAME

    @property
    def service(self) -> str:
        """`pocketsphinx:en-us`."""
        return f"{NAME}:{_MODEL}"

    @property
    def settings(self) -> Mapping[str, object]:
        """The model; how many processes there are changes nothing."""
        return {"engine": NAME, "model": _MODEL}

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
        started = time.monotonic()
        wanted = request.language or self.language
        if two_letter(wanted) not in {None, _LANGUAGE}:
            raise SettingsRejected(
                f"pocketsphinx understands English only, and the language asked for is '{wanted}'",
                remedy="Choose the engine faster-whisper for other languages",
            )
        self.check()
        audio = extract_speech_audio(
            request.media,
            request.facts,
            to=request.scratch / "speech.wav",
            timeout_seconds=extraction_seconds(request.facts),
        )
        if audio is None:
            return empty_transcript(why=NO_SOUND, service=self.service, language=_LANGUAGE)
        try:
            spoken = self._recognised(audio, progress)
        finally:
            audio.unlink(missing_ok=True)
        return transcript_from(
            spoken,
            duration=request.facts.duration_seconds,
            language=_LANGUAGE,
            service=self.service,
            processing_time_seconds=time.monotonic() - started,
            notes=(QUALITY_NOTE,) if spoken else (NO_SPEECH,),
        )

    def _recognised(self, audio: Path, progress: Progress | None) -> list[SpokenSegment]:
        loudness = loudness_db(speech_samples(audio), rate=SPEECH_RATE)
        utterances = sounding_stretches(loudness, longest_seconds=_LONGEST_UTTERANCE_SECONDS)
        heard = _heard(audio, utterances, self.processes or _cores(), progress)
        spoken: list[SpokenSegment] = []
        for (start, end), raw in zip(utterances, heard, strict=True):
            words = spoken_words(raw, offset=start)
            if words:
                text = " ".join(word.text for word in words)
                spoken.append((Segment(text=text, start=start, end=end), words))
        return spoken


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # pragma: no cover - not on Linux
        return os.cpu_count() or 1


def _heard(
    audio: Path, utterances: Sequence[Utterance], cores: int, progress: Progress | None
) -> list[list[HeardWord]]:
    """Have every utterance recognised, in as many processes as there are cores."""
    groups = grouped(utterances)
    lengths = [sum(utterances[i][1] - utterances[i][0] for i in group) for group in groups]
    total = sum(lengths)
    deadline = time.monotonic() + _LIMIT_SECONDS + _LIMIT_PER_AUDIO_SECOND * total
    heard: list[list[HeardWord]] = [[] for _ in utterances]
    lines: Lines = queue.SimpleQueue()
    done = 0.0
    if progress:
        progress(0.0)
    with contextlib.ExitStack() as running:
        workers = [
            running.enter_context(
                _Worker(audio, utterances, [groups[number] for number in share], lines)
            )
            for share in shared_out(lengths, cores)
        ]
        open_workers = len(workers)
        while open_workers:
            try:
                worker, line = lines.get(timeout=max(deadline - time.monotonic(), 0.0))
            except queue.Empty:
                raise TranscriptionFailed(
                    f"pocketsphinx did not finish {total:.0f} s of speech in time"
                ) from None
            if line is None:
                open_workers -= 1
                continue
            position, words = worker.result_in(line)
            heard[position] = words
            done += utterances[position][1] - utterances[position][0]
            if progress:
                progress(min(done / total, 1.0))
        for worker in workers:
            worker.raise_if_failed()
    return heard


class _Worker:
    """A worker process and the threads that pass its lines on."""

    def __init__(
        self,
        audio: Path,
        utterances: Sequence[Utterance],
        groups: list[list[int]],
        lines: Lines,
    ) -> None:
        samples = [
            [[round(edge * SPEECH_RATE) for edge in utterances[position]] for position in group]
            for group in groups
        ]
        self._request = {"audio": str(audio), "rate": SPEECH_RATE, "groups": samples}
        self._groups = groups
        self._lines = lines
        self._said: list[str] = []

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self._threads = [
            threading.Thread(target=self._pass_on, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._keep, args=(self._process.stderr,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        # A worker that died at once says why on standard error.
        with contextlib.suppress(BrokenPipeError), self._process.stdin or contextlib.nullcontext():
            json.dump(self._request, self._process.stdin)  # type: ignore[arg-type]
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for thread in self._threads:
            thread.join()
        for stream in (self._process.stdout, self._process.stderr):
            if stream:
                stream.close()

    def result_in(self, line: str) -> tuple[int, list[HeardWord]]:
        """Give the position of the utterance that a line is about, and its words."""
        result = json.loads(line)
        position = self._groups[result["group"]][result["utterance"]]
        return position, [(str(text), start, end) for text, start, end in result["words"]]

    def raise_if_failed(self) -> None:
        """Raise if the process ended other than well."""
        if self._process.wait() != 0:
            last = self._said[-1] if self._said else f"it ended with {self._process.returncode}"
            raise TranscriptionFailed(f"pocketsphinx failed: {last}")

    def _pass_on(self, stdout: IO[str]) -> None:
        for line in stdout:
            self._lines.put((self, line))
        self._lines.put((self, None))

    def _keep(self, stderr: IO[str]) -> None:
        self._said.extend(line.strip() for line in stderr if line.strip())
        del self._said[:-5]
