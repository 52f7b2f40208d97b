"""What refining does to boundaries: how many lie at pauses, cut words, or begin with "so".

Lectures with the word times of a recogniser or aligned captions, podcasts with captions, and
recordings whose sound is there. The README beside this file says how it measures.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from topic_boundaries.recordings import (
    OPTIONS,
    Recording,
    read_lectures,
    read_podcasts,
    recording_of,
)

from videomoments_dagster.media.ffmpeg import ffmpeg_executable
from videomoments_dagster.media.probe import probe
from videomoments_dagster.moments.finding.extractive import find_moments, refine_moments
from videomoments_dagster.moments.finding.outcomes import TimeSpan
from videomoments_dagster.moments.finding.snapping import (
    PAUSE_SECONDS,
    REACH_SECONDS,
    Pauses,
    pauses_between_words,
    snap_to_pauses,
)
from videomoments_dagster.moments.profiles import load_profiles, profile_named
from videomoments_dagster.speech.engine import (
    TranscriptionRequest,
)
from videomoments_dagster.speech.heard_pauses import heard_pauses, listened_to
from videomoments_dagster.speech.transcripts import Segment, Word
from videomoments_dagster.speech.whisper import FasterWhisperEngine

REALDATA = Path(__file__).resolve().parents[2] / "shared" / "realdata"
PROFILES = ("default", "shorts")
LEADING = {"so", "and", "but"}

_NEAR_SECONDS = 0.3
_INSIDE = 1e-3
# Not our own threshold: what is found by that would lie at its pauses whatever it is worth.
_SILENCE = f"silencedetect=noise=-40dB:duration={PAUSE_SECONDS}"
_SILENCE_SAYS = re.compile(r"silence_(start|end): (-?[\d.]+)")


@dataclass
class Edges:
    """Counts over the boundaries of moments."""

    moments: int = 0
    starts_near: int = 0
    ends_near: int = 0
    inside: int = 0
    cut: int = 0
    leading: int = 0
    shifts: list[float] = field(default_factory=list)

    def add(
        self, spans: Sequence[TimeSpan], roots: Sequence[TimeSpan], of: Recording, pauses: Pauses
    ) -> None:
        words = of.transcript.words
        for span, root in zip(spans, roots, strict=True):
            times = (span.start_time, span.end_time)
            near = [
                any(a - _NEAR_SECONDS <= t <= b + _NEAR_SECONDS for a, b in pauses) for t in times
            ]
            self.moments += 1
            self.starts_near += near[0]
            self.ends_near += near[1]
            self.inside += sum(any(a < t < b for a, b in pauses) for t in times)
            self.cut += sum(
                any(word.start + _INSIDE < t < word.end - _INSIDE for word in words) for t in times
            )
            first = next((w for w in words if w.start >= span.start_time - _INSIDE), None)
            said = re.sub(r"\W", "", first.text).lower() if first else ""
            self.leading += said in LEADING
            self.shifts += (abs(times[0] - root.start_time), abs(times[1] - root.end_time))


def recordings(folder: Path) -> Iterator[Recording]:
    demo = Path(__file__).parents[1] / "demo" / "talk.mp4"
    for path in (demo, *sorted((folder / "speech").rglob("*.mp4"))):
        facts = probe(path)
        if facts.audio is None:
            continue
        beside = path.with_name("baseline.json")
        if beside.exists():
            spoken = whisper_words(json.loads(beside.read_text())["transcription"])
            yield recording_of(path.stem, spoken, seconds=facts.duration_seconds, media=path)
        else:
            engine = FasterWhisperEngine(OPTIONS)
            with tempfile.TemporaryDirectory() as scratch:
                request = TranscriptionRequest(path, facts, None, Path(scratch), "en")
                heard = engine.transcribe(request)
            yield Recording(path.stem, heard, facts.duration_seconds, media=path)


def whisper_words(pieces: list[dict[str, Any]]) -> list[tuple[Segment, list[Word]]]:
    """What whisper.cpp wrote: a token that begins with a space begins a word."""
    spoken = []
    for piece in pieces:
        words: list[Word] = []
        for token in piece["tokens"]:
            text, (start, end) = (
                token["text"],
                (token["offsets"][one] / 1000 for one in ("from", "to")),
            )
            if text.startswith("[_"):
                continue
            if text.startswith(" ") or not words:
                words.append(Word(text.strip(), start, end))
            else:
                words[-1] = Word(words[-1].text + text, words[-1].start, end)
        begins, stops = (piece["offsets"][one] / 1000 for one in ("from", "to"))
        spoken.append((Segment(piece["text"].strip(), begins, stops), words))
    return spoken


def silences(media: Path) -> Pauses:
    """Pauses by ffmpeg's silencedetect."""
    said = subprocess.run(
        [ffmpeg_executable(), "-i", str(media), "-vn", "-af", _SILENCE, "-f", "null", "-"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stderr
    times = [float(time) for _, time in _SILENCE_SAYS.findall(said)]
    return list(zip(times[::2], times[1::2], strict=False))


def our_pauses(of: Recording, spans: Sequence[TimeSpan]) -> Pauses:
    """As the asset finds them."""
    if of.media is not None:
        facts = probe(of.media)
        reach = REACH_SECONDS + 2.0
        times = [time for one in spans for time in (one.start_time, one.end_time)]
        stretches = listened_to([(time - reach, time + reach) for time in times], facts)
        with tempfile.TemporaryDirectory() as scratch:
            found = heard_pauses(
                of.media,
                facts,
                stretches,
                shortest_seconds=PAUSE_SECONDS,
                scratch=Path(scratch),
                progress=lambda *_: None,
            )
        if found is not None:
            return found
    return pauses_between_words(of.transcript, duration_seconds=of.seconds)


def measured(found: Sequence[Recording], profile: str) -> dict[str, Edges]:
    configs = profile_named(profile, load_profiles())
    results = {name: Edges() for name in ("as found", "before", "refined")}
    for one in found:
        roots = find_moments(
            one.transcript, duration_seconds=one.seconds, config=configs.generation
        ).drafts
        chosen = refine_moments(
            roots,
            one.transcript,
            config=configs.refinement,
            max_shift_seconds=configs.max_shift_seconds,
            duration_seconds=one.seconds,
        ).boundaries
        snapped = snap_to_pauses(
            chosen,
            roots,
            one.transcript,
            pauses=our_pauses(one, chosen),
            config=configs.refinement,
            max_shift_seconds=configs.max_shift_seconds,
            duration_seconds=one.seconds,
        ).boundaries
        pauses = (
            silences(one.media)
            if one.media is not None
            else pauses_between_words(one.transcript, duration_seconds=one.seconds)
        )
        for name, spans in (("as found", roots), ("before", chosen), ("refined", snapped)):
            results[name].add(spans, roots, one, pauses)
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--realdata", type=Path, default=REALDATA, metavar="FOLDER")
    asked = parser.parse_args(arguments)
    sets: dict[str, Callable[[Path], Iterator[Recording]]] = {
        "lectures": lambda folder: read_lectures(folder / "transcripts" / "spoken"),
        "podcasts": lambda folder: read_podcasts(folder / "transcripts" / "talks"),
        "sound": recordings,
    }
    columns = ("set", "profile", "boundaries", "near a pause: starts", "ends", "in a pause")
    table = Table(*columns, "words cut", "leading so, and, but", "moved", "by, mean", "at most")
    for name, read in sets.items():
        found = list(read(asked.realdata))
        if not found:
            print(f"There is nothing for '{name}' below {asked.realdata}.", file=sys.stderr)
            continue
        for profile in PROFILES:
            for what, edges in measured(found, profile).items():
                count, moved = edges.moments, [one for one in edges.shifts if one >= _INSIDE]
                table.add_row(
                    f"{name} ({len(found)})",
                    profile,
                    what,
                    f"{edges.starts_near} of {count}",
                    f"{edges.ends_near} of {count}",
                    f"{edges.inside} of {2 * count}",
                    str(edges.cut),
                    str(edges.leading),
                    f"{len(moved)} of {2 * count}",
                    f"{sum(moved) / len(moved):.2f} s" if moved else "",
                    f"{max(moved):.2f} s" if moved else "",
                )
    console = Console(highlight=False)
    console.width = max(console.width, 150)
    console.print(table)
    return 0 if table.row_count else 2


if __name__ == "__main__":
    sys.exit(main())
