"""Reads transcripts that people divided into topics.

Belongs here: the three file formats, as one kind of value. Does not belong here: any judgement of
a division.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from topic_boundaries.recordings import read_lecture
from videomoments_dagster.moments.finding.speech_layout import SpeechLayout

FEWEST_UNITS = 3
"""Pk and WindowDiff look at windows of at least two gaps, which takes three units."""

_CHOI_SEPARATOR = re.compile(r"={5,}")
_TRANSCRIBERS_MARK = re.compile(r"\{[^{}]*\}")
_ANNOTATION = "_anno.json"


class Unreadable(ValueError):
    """A file is not in the form that its folder promises."""


@dataclass(frozen=True, slots=True)
class Span:
    """When a unit is spoken, seconds."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class DividedText:
    """A transcript and where, according to people, its topics start.

    Attributes:
        name: What to call it in messages.
        units: Utterances, turns or sentences, in order; a unit may be empty.
        topic_starts: By level ("coarse", "fine", or "" where there is one only): the units at
            which a topic starts, ascending, without the first unit.
        spans: When each unit is spoken; empty where that is not known.
    """

    name: str
    units: tuple[str, ...]
    topic_starts: Mapping[str, tuple[int, ...]]
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class TextSet:
    """All texts of one kind.

    Attributes:
        name: "spoken", "tinyrec", "qmsum" or "choi".
        texts: Those that could be read and have something to divide, by name.
        remarks: Sentences on what was left out of them and why, no failure.
        unreadable: A sentence for each file that could not be read.
    """

    name: str
    texts: tuple[DividedText, ...]
    remarks: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()


@dataclass(slots=True)
class _Reading:
    texts: list[DividedText] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def read_sets(folder: Path) -> tuple[TextSet, ...]:
    """Read every set below a folder; a set that is not there has no texts, and a remark.

    Args:
        folder: Has folders that begin with "spoken", "tinyrec", "qmsum" and "choi".
    """
    return (
        _read("tinyrec", folder=folder, pattern="*.json", reader=read_tinyrec),
        _read("qmsum", folder=folder, pattern="*.json", reader=read_qmsum),
        _read("choi", folder=folder, pattern="*.ref", reader=read_choi),
        _read("spoken", folder=folder, pattern="*.json", reader=read_spoken),
    )


def _read(
    name: str,
    *,
    folder: Path,
    pattern: str,
    reader: Callable[[Path], Iterable[tuple[DividedText, Sequence[str]]]],
) -> TextSet:
    reading = _Reading()
    paths = [
        path
        for place in sorted(folder.glob(f"{name}*"))
        for path in sorted(place.rglob(pattern))
        if path.is_file() and not path.name.startswith(".")
    ]
    paths = [path for path in paths if not path.name.endswith(_ANNOTATION)]
    if not paths:
        reading.remarks.append(f"{name}: no {pattern} below {folder}/{name}*, so it is left out.")
    for path in paths:
        where = path.relative_to(folder)
        try:
            for text, remarks in reader(path):
                reading.remarks.extend(f"{where}: {remark}" for remark in remarks)
                if len(text.units) < FEWEST_UNITS:
                    reading.remarks.append(f"{where}: fewer than {FEWEST_UNITS} units, left out.")
                else:
                    reading.texts.append(text)
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            IndexError,
            AttributeError,
            RecursionError,
        ) as error:
            why = f"{error}" if isinstance(error, Unreadable | OSError) else repr(error)
            reading.unreadable.append(f"{where} cannot be read: {why}")
    return TextSet(
        name=name,
        texts=tuple(reading.texts),
        remarks=tuple(reading.remarks),
        unreadable=tuple(reading.unreadable),
    )


def read_spoken(path: Path) -> Iterator[tuple[DividedText, list[str]]]:
    """Read one recording with word times, with a sentence as a unit.

    A topic starts with the sentence whose start is nearest to the start of one of its author's
    chapters.
    """
    recording = read_lecture(path)
    layout = SpeechLayout(recording.transcript, duration_seconds=recording.seconds)
    starts = layout.sentence_starts
    nearest = (int(abs(starts - chapter).argmin()) for chapter in recording.chapters)
    yield (
        DividedText(
            name=recording.name,
            units=tuple(sentence.text for sentence in layout.sentences),
            topic_starts={"": _starts(nearest, count=len(starts), remarks=[])},
            spans=tuple(Span(one.start, one.end) for one in layout.sentences),
        ),
        [],
    )


def read_tinyrec(path: Path) -> Iterator[tuple[DividedText, list[str]]]:
    """Read the recordings of one file and, beside it, their topics at two levels.

    Args:
        path: `<id>.json`; `<id>_anno.json` has the topics as `[first, last, title]`.
    """
    annotation_path = path.with_name(path.stem + _ANNOTATION)
    if not annotation_path.is_file():
        raise Unreadable(f"its topics, {annotation_path.name}, are not beside it")
    annotations = _json(annotation_path)
    for identifier, recording in _json(path).items():
        if identifier not in annotations:
            raise Unreadable(f"{annotation_path.name} has no topics of {identifier}")
        entries = sorted(recording["entries"], key=lambda entry: float(entry["start"]))
        spans = tuple(
            Span(start=_seconds(entry["start"]), end=_seconds(entry["end"])) for entry in entries
        )
        remarks: list[str] = []
        levels = {
            level: _starts(
                (topic[0] for topic in annotations[identifier][level]),
                count=len(entries),
                remarks=remarks,
            )
            for level in ("coarse", "fine")
        }
        yield (
            DividedText(
                name=str(identifier),
                units=tuple(_one_line(entry["text"]) for entry in entries),
                topic_starts=levels,
                spans=spans,
            ),
            remarks,
        )


def read_qmsum(path: Path) -> Iterator[tuple[DividedText, list[str]]]:
    """Read one meeting, with a turn as a unit.

    A topic starts where a span of turns starts that somebody put under it. Turns between spans,
    which are a few greetings mostly, stay with the topic before them: that nobody named them does
    not say that the subject changed.
    """
    meeting = _json(path)
    turns = [
        _one_line(_TRANSCRIBERS_MARK.sub(" ", turn["content"]))
        for turn in meeting["meeting_transcripts"]
    ]
    remarks: list[str] = []
    spans = [span for topic in meeting["topic_list"] for span in topic["relevant_text_span"]]
    starts = _starts((span[0] for span in spans), count=len(turns), remarks=remarks)
    yield DividedText(name=path.stem, units=tuple(turns), topic_starts={"": starts}), remarks


def read_choi(path: Path) -> Iterator[tuple[DividedText, list[str]]]:
    """Read one document of joined excerpts: a sentence a line, `==========` between excerpts."""
    units: list[str] = []
    starts: set[int] = set()
    separators = 0
    for line in path.read_text(encoding="latin-1").splitlines():
        if _CHOI_SEPARATOR.fullmatch(line.strip()):
            separators += 1
            starts.add(len(units))
        elif sentence := _one_line(line):
            units.append(sentence)
    if not separators:
        raise Unreadable("it has no line of ========== between segments")
    inner = tuple(sorted(start for start in starts if 0 < start < len(units)))
    yield DividedText(name=path.stem, units=tuple(units), topic_starts={"": inner}), []


def mean_segments(texts: Sequence[DividedText], *, level: str) -> float:
    """How many topics people saw in a text, on average."""
    return sum(len(text.topic_starts[level]) + 1 for text in texts) / len(texts)


def segment_lengths(starts: Sequence[int], *, count: int) -> list[int]:
    """How many units each segment has."""
    return [after - before for before, after in pairwise((0, *starts, count))]


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise Unreadable(f"{path.name} is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise Unreadable(f"{path.name} is not a JSON object")
    return value


def _seconds(value: Any) -> float:
    seconds = float(value)
    if not math.isfinite(seconds):
        raise Unreadable(f"{value!r} is no time")
    return seconds


def _one_line(text: Any) -> str:
    if not isinstance(text, str):
        raise Unreadable(f"{text!r} is no text")
    return " ".join(text.split())


def _starts(found: Iterable[Any], *, count: int, remarks: list[str]) -> tuple[int, ...]:
    starts = {int(start) for start in found}
    outside = sorted(start for start in starts if not 0 <= start < count)
    if outside:
        remarks.append(f"topics at {outside} are outside its {count} units and are ignored.")
    return tuple(sorted(start for start in starts if 0 < start < count))
