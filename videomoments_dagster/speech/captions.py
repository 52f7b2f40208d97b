"""The engine that reads captions which came with the video, instead of listening.

It reads SubRip and WebVTT as people and programs really write them. The reader is our own because
word-by-word WebVTT puts time stamps inside the text, and readers that take every line with two
stamps for a timing line lose those words.
"""

from __future__ import annotations

import codecs
import html
import itertools
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import ClassVar

import ffmpeg

from videomoments_dagster.base.failures import EngineUnavailable, MediaFailed, SourceRejected
from videomoments_dagster.base.files import removed_afterwards
from videomoments_dagster.media.facts import MediaFacts, SubtitleStream
from videomoments_dagster.media.ffmpeg import input_options, run_ffmpeg, safe_input
from videomoments_dagster.speech.engine import (
    Progress,
    TranscriptionOptions,
    TranscriptionRequest,
    transcript_from,
    two_letter,
    unreported,
)
from videomoments_dagster.speech.transcripts import (
    Segment,
    SpokenSegment,
    Transcript,
    Word,
    clean_text,
    spread_words,
)

_STAMP = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
_TIMING = re.compile(rf"^[^\S\n]*{_STAMP}[^\S\n]*-->[^\S\n]*{_STAMP}(?:[^\S\n].*)?$", re.MULTILINE)
_LAST_NUMBER = re.compile(r"\n[^\S\n]*\d+[^\S\n]*\Z")
_INLINE_STAMP = re.compile(rf"<{_STAMP}>")
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|\{\\[^{}]*\}")
_SOUND_DESCRIPTION = re.compile(r"\[[^\[\]]*\]|[♩♪♫♬]")
_SPEAKER_MARK = re.compile(r"^\s*(?:[-\u2013\u2014]\s+|>{2,}\s*)")
_INVISIBLE = re.compile("[\u200b\u200e\u200f\u2060\ufeff]")
_HEADER_LANGUAGE = re.compile(r"^Language:\s*([A-Za-z]{2,3}(?:-[A-Za-z0-9]+)*)\s*$", re.MULTILINE)
_BESIDE = re.compile(
    r"(?:\.(?P<language>[a-z]{2,3}(?:[-_][a-z0-9]+)*))?(?:\.(?:sdh|cc|hi|auto))?\.(?:srt|vtt)",
    re.IGNORECASE,
)

_times = attrgetter("start", "end")

_ROLLING_SHARE = 0.2
_ROLLING_GAP_SECONDS = 0.1
_LARGEST_BYTES = 50 * 1024 * 1024
# Keeps every time positive in the extracted file, which has no form for negative ones.
_SHIFT_SECONDS = 1000.0


class NotCaptions(ValueError):
    """The bytes are neither SubRip nor WebVTT."""


@dataclass(frozen=True, slots=True)
class CaptionCue:
    """One caption as it was read, tags and sound descriptions removed.

    Attributes:
        start: Seconds at which it appears.
        end: Seconds at which it disappears; not always after `start`.
        lines: The lines that are not empty, with the time stamps inside them.
    """

    start: float
    end: float
    lines: tuple[str, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """The lines without their time stamps."""
        return tuple(clean_text(_INLINE_STAMP.sub("", line)) for line in self.lines)

    @property
    def text(self) -> str:
        """All that is said."""
        return " ".join(self.texts)


@dataclass(frozen=True, slots=True)
class Captions:
    """What a caption file says.

    Attributes:
        cues: Cues with something said, by start, each word once.
        language: Language that the file's header names, or None.
    """

    cues: tuple[CaptionCue, ...]
    language: str | None = None

    @property
    def spoken(self) -> list[SpokenSegment]:
        """The cues as segments with their words."""
        return [(Segment(cue.text, cue.start, cue.end), _words_of(cue)) for cue in self.cues]

    @property
    def word_times_are_spread(self) -> bool:
        """Whether times of words were worked out, rather than given by the file."""
        return any(
            len(cue.text.split()) > 1 and not _INLINE_STAMP.search(" ".join(cue.lines))
            for cue in self.cues
        )


@dataclass(frozen=True, slots=True)
class CaptionsEngine:
    """Makes the transcript from a caption file, else from a text subtitle stream.

    The language of its options is preferred among streams, and recorded instead of what a caption
    file says of itself.
    """

    options: TranscriptionOptions
    name: ClassVar[str] = "captions"
    service: ClassVar[str] = "captions"

    @property
    def settings(self) -> Mapping[str, object]:
        """The wanted language; the caption file itself is part of the request."""
        return {"engine": self.name, "language": self.options.language}

    def check(self) -> None:
        """Return always: reading captions needs nothing that the project does not bring."""

    def transcribe(
        self, request: TranscriptionRequest, *, progress: Progress = unreported
    ) -> Transcript:
        """Read the captions.

        Raises:
            EngineUnavailable: No captions came with the video.
            SourceRejected: The caption file is missing or none.
            MediaFailed: The subtitle stream could not be extracted.
        """
        started = time.monotonic()
        wanted = request.language or self.options.language
        notes: list[str] = []
        if request.captions is not None:
            captions = _read_file(request.captions)
            language = wanted or captions.language or _language_of_name(request.captions)
        else:
            stream = _stream_for(request.facts, wanted)
            captions = _read_stream(request, stream)
            language = stream.language or wanted
            notes.append(f"From the {stream.codec} subtitle stream {stream.index} of the file")
        spoken = captions.spoken
        duration = request.facts.duration_seconds
        late = sum(segment.start >= duration for segment, _ in spoken)
        if not spoken:
            notes.append("The captions say nothing")
        elif late:
            notes.append(f"{late} of {len(spoken)} cues start after the end and were left out")
        if captions.word_times_are_spread:
            notes.append("Word times are spread within each cue in proportion to length")
        progress(1.0)
        return transcript_from(
            spoken,
            duration=duration,
            language=two_letter(language),
            service=self.service,
            processing_time_seconds=time.monotonic() - started,
            notes=notes,
        )


def captions_beside(source_path: Path) -> Path | None:
    """Find the caption file beside a media file: same name, `.srt` or `.vtt`.

    A language may stand between (`talk.en.srt`); the name without one wins, then English, then
    the alphabet.
    """
    stem = source_path.stem
    found: list[tuple[int, bool, str]] = []
    with suppress(OSError):
        for entry in source_path.parent.iterdir():
            name = entry.name
            match = _BESIDE.fullmatch(name[len(stem) :]) if name.startswith(stem) else None
            if match and entry.is_file():
                language = re.split("[-_]", (match["language"] or "").lower())[0]
                rank = {"": 0, "en": 1, "eng": 1}.get(language, 2)
                found.append((rank, not name.lower().endswith(".srt"), name))
    return source_path.parent / min(found)[2] if found else None


def read_captions(data: bytes) -> Captions:
    """Read SubRip or WebVTT.

    Tags, voice names, cue settings, comments and descriptions of sounds in square brackets are
    left out; entities are resolved; cues are sorted; text that rolling captions repeat from cue
    to cue is kept once.

    Args:
        data: The file's bytes, as UTF-8, UTF-16 or Windows-1252.

    Raises:
        NotCaptions: There is text but no cue and no WebVTT header, or it is too large.
    """
    if len(data) > _LARGEST_BYTES:
        raise NotCaptions(f"it is larger than {_LARGEST_BYTES // 1024**2} MiB")
    text = _decoded(data).replace("\r\n", "\n").replace("\r", "\n")
    webvtt = text.lstrip().startswith("WEBVTT")
    cues = dict.fromkeys(_cues(text, webvtt=webvtt))
    if not cues and not webvtt and text.strip():
        raise NotCaptions("it holds no line of the form '00:00:01,000 --> 00:00:02,000'")
    ordered = sorted(cues, key=_times)
    if _are_rolling(ordered):
        ordered = list(_unrolled(ordered))
    # Cues with the same times are two speakers, or two lines given as two cues.
    joined = [
        CaptionCue(*times, lines=tuple(line for cue in same for line in cue.lines))
        for times, same in itertools.groupby(ordered, key=_times)
    ]
    language = _HEADER_LANGUAGE.search(text) if webvtt else None
    return Captions(
        cues=tuple(cue for cue in joined if cue.lines), language=language[1] if language else None
    )


def _decoded(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    head = data[:200]
    zeros_first, zeros_second = head[::2].count(0), head[1::2].count(0)
    if max(zeros_first, zeros_second) > len(head) // 4:
        order = "utf-16-be" if zeros_first > zeros_second else "utf-16-le"
        return data.decode(order, errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _cues(text: str, *, webvtt: bool) -> Iterator[CaptionCue]:
    """Give a cue per timing line, also for one without text."""
    timings = list(_TIMING.finditer(text))
    ends = [following.start() - 1 for following in timings[1:]]
    for timing, end in itertools.zip_longest(timings, ends):
        body = text[timing.end() : end]
        if webvtt:
            # Identifiers, comments and styles of what follows come after a blank line.
            body = body.partition("\n\n")[0]
        elif end is not None and (number := _LAST_NUMBER.search(body)):
            body = body[: number.start()]
        # Tags go before entities: `&lt;b&gt;` is text.
        said = html.unescape(_TAG.sub("", body.replace("\\N", "\n")))
        # A description of a sound can run over two lines, a line break inside it means nothing.
        said = _SOUND_DESCRIPTION.sub(" ", _INVISIBLE.sub("", said))
        lines = (_SPEAKER_MARK.sub("", line) for line in said.split("\n"))
        kept = tuple(line for line in lines if clean_text(_INLINE_STAMP.sub("", line)))
        stamps = timing.groups()
        yield CaptionCue(_seconds(stamps[:4]), _seconds(stamps[4:]), kept)


def _seconds(groups: Sequence[str | None]) -> float:
    hours, minutes, seconds, fraction = (group or "0" for group in groups)
    whole = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    return whole + float(f"0.{fraction}")


def _are_rolling(cues: Sequence[CaptionCue]) -> bool:
    """Tell whether cues of two lines and more begin with the line that was shown last."""
    carried = sum(
        len(cue.texts) > 1 and before.texts[-1:] == cue.texts[:1]
        for before, cue in itertools.pairwise(cues)
    )
    return carried > 0 and carried >= _ROLLING_SHARE * len(cues)


def _unrolled(cues: Sequence[CaptionCue]) -> Iterator[CaptionCue]:
    """Leave out of each cue the lines that the cue before it was showing already."""
    shown: tuple[str, ...] = ()
    shown_until = 0.0
    for cue in cues:
        texts = cue.texts
        follows = cue.start <= shown_until + _ROLLING_GAP_SECONDS
        longest = min(len(shown), len(texts)) if follows else 0
        repeated = next(
            count
            for count in range(longest, -1, -1)
            if texts[:count] == shown[len(shown) - count :]
        )
        if texts:
            shown, shown_until = texts, max(shown_until, cue.end)
        yield replace(cue, lines=cue.lines[repeated:])


def _words_of(cue: CaptionCue) -> tuple[Word, ...]:
    """Give the words times: from stamps inside the text, and spread between them."""
    said = " ".join(cue.lines)
    starts = [cue.start, *(_seconds(stamp.groups()) for stamp in _INLINE_STAMP.finditer(said))]
    # The four numbers of a stamp lie between two texts.
    parts = zip(starts, _INLINE_STAMP.split(said)[::5], strict=True)
    groups = [(start, text) for start, text in parts if clean_text(text)]
    last = max(cue.end, cue.start)
    edges = [*(min(max(start, cue.start), last) for start, _ in groups), last]
    return tuple(
        word
        for (_, text), (start, end) in zip(groups, itertools.pairwise(edges), strict=True)
        for word in spread_words(text, start=start, end=max(end, start))
    )


def _read_file(path: Path) -> Captions:
    try:
        with path.open("rb") as file:
            return read_captions(file.read(_LARGEST_BYTES + 1))
    except OSError as error:
        raise SourceRejected(
            f"The caption file '{path}' could not be read: {error.strerror or error}",
            remedy="Correct the path, or put the file there",
        ) from error
    except NotCaptions as error:
        raise SourceRejected(
            f"'{path}' is not an SRT or WebVTT file: {error}",
            remedy="Give the captions as SRT or WebVTT",
        ) from error


def _language_of_name(path: Path) -> str | None:
    codes = [two_letter(suffix.removeprefix("."), known_only=True) for suffix in path.suffixes[:-1]]
    return next((code for code in reversed(codes) if code), None)


def _stream_for(facts: MediaFacts, wanted: str | None) -> SubtitleStream:
    if not facts.subtitles:
        raise EngineUnavailable(
            "No captions came with the video: no caption file was given or lies beside it, and "
            "there is no text subtitle stream inside it",
            remedy="Give them with `videomoments add SOURCE --captions FILE`, or choose another "
            "transcription engine",
        )
    code = two_letter(wanted)
    same = (stream for stream in facts.subtitles if code and two_letter(stream.language) == code)
    return next(same, facts.subtitles[0])


def _read_stream(request: TranscriptionRequest, stream: SubtitleStream) -> Captions:
    """Extract a stream; its times are those of the presented timeline."""
    facts = request.facts
    shown = facts.video or facts.audio
    start = shown.start_seconds if shown else 0.0
    extracted = request.scratch / f"subtitles-{stream.index}.srt"
    source = ffmpeg.input(safe_input(request.media), copyts=None, **input_options(facts))
    output = ffmpeg.output(
        source[str(stream.index)],
        safe_input(extracted),
        format="srt",
        output_ts_offset=f"{_SHIFT_SECONDS - start:.6f}",
    )
    with removed_afterwards(extracted):
        run_ffmpeg(
            output,
            timeout_seconds=120.0 + facts.size_bytes / 10e6,
            task=f"extracting the subtitles of '{request.media.name}'",
        )
        try:
            captions = read_captions(extracted.read_bytes())
        except NotCaptions as error:
            raise MediaFailed(
                f"The {stream.codec} subtitle stream of '{request.media.name}' could not be read"
            ) from error
    return Captions(
        tuple(
            replace(cue, start=cue.start - _SHIFT_SECONDS, end=cue.end - _SHIFT_SECONDS)
            for cue in captions.cues
        )
    )
