"""`make bench`: the main parts against the plainest way to do the same, in one run.

Each figure is the median of several runs, beside its rival's and the ratio of the two. Media are
made with ffmpeg in a temporary folder.
"""

from __future__ import annotations

import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import whole_runs
from rich.console import Console
from rich.table import Table

from videomoments_dagster.media.clip_cutting import ClipRequest, available_cores, cut_clips
from videomoments_dagster.media.ffmpeg import ffmpeg_executable
from videomoments_dagster.media.probe import probe
from videomoments_dagster.media.thumbnails import make_thumbnail
from videomoments_dagster.moment_finding.extractive import find_moments
from videomoments_dagster.object_store.keys import video_key
from videomoments_dagster.object_store.local_folder import LocalFolderStore
from videomoments_dagster.records import (
    GenerationConfig,
    MediaFacts,
    Prompt,
    Segment,
    Transcript,
    Word,
)
from videomoments_dagster.sources.local_file import hash_local_file

RUNS = 3
CLIPS = 20
CLIP_SECONDS = 60.0
VIDEO_SECONDS = 600
WORDS = 30_000

FFMPEG = [ffmpeg_executable(), "-nostdin", "-v", "error", "-y"]


def median_seconds(work: Callable[[], object], runs: int = RUNS) -> float:
    """Median wall-clock time of `work`, in seconds."""
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def ffmpeg(*arguments: str) -> None:
    """Run ffmpeg, or end the benchmark."""
    subprocess.run([*FFMPEG, *arguments], check=True, timeout=1800)


def make_video(path: Path) -> MediaFacts:
    """Ten minutes of 720p H.264 with AAC, a keyframe every two seconds."""
    picture = f"testsrc2=size=1280x720:rate=25:duration={VIDEO_SECONDS}"
    sound = f"sine=frequency=440:duration={VIDEO_SECONDS}"
    codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-c:a", "aac"]
    ffmpeg("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, *codecs, str(path))
    return probe(path)


def make_transcript() -> Transcript:
    """Sentences of a made-up vocabulary that changes from topic to topic."""
    source = random.Random(1)  # noqa: S311
    words: list[Word] = []
    segments: list[Segment] = []
    now = 0.0
    while len(words) < WORDS:
        topic = len(words) // 1500
        spoken = [f"word{topic * 40 + source.randrange(60)}" for _ in range(source.randint(6, 18))]
        first = len(words)
        for text in spoken:
            words.append(Word(text=text, start=now, end=now + 0.3))
            now += 0.36
        segments.append(Segment(text=" ".join(spoken) + ".", start=words[first].start, end=now))
        now += source.choice([0.2, 0.5, 1.5])
    return Transcript(
        full_text=" ".join(segment.text for segment in segments),
        words=tuple(words),
        segments=tuple(segments),
        language="en",
        transcription_service="benchmark",
        processing_time_seconds=0.0,
    )


class Rows:
    """The table, a row for each comparison."""

    def __init__(self) -> None:
        self.table = Table("what", "ours, s", "against", "its time, s", "ratio")

    def add(self, what: str, ours: float, against: str, rival: float) -> None:
        self.table.add_row(what, f"{ours:.2f}", against, f"{rival:.2f}", f"{ours / rival:.2f}")


def clips(rows: Rows, video: Path, facts: MediaFacts) -> list[Path]:
    """Cutting, against ffmpeg's own; gives the clips."""
    folder = video.parent
    starts = [7.3 + number * 27 for number in range(CLIPS)]

    def ours() -> None:
        outcomes = cut_clips(
            [
                ClipRequest(
                    source=video,
                    facts=facts,
                    start_time=start,
                    end_time=start + CLIP_SECONDS,
                    destination=folder / f"ours-{number}.mp4",
                )
                for number, start in enumerate(starts)
            ]
        )
        failed = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        if failed:
            raise failed[0]

    def bare(*codecs: str) -> Callable[[], None]:
        def cut() -> None:
            for number, start in enumerate(starts):
                seek = ["-ss", str(start), "-i", str(video), "-t", str(CLIP_SECONDS)]
                ffmpeg(*seek, *codecs, str(folder / f"bare-{number}.mp4"))

        return cut

    taken = median_seconds(ours)
    what = f"{CLIPS} clips of {CLIP_SECONDS:g} s, cut and proved"
    rows.add(what, taken, "ffmpeg -c copy, inexact", median_seconds(bare("-c", "copy")))
    encode = ["-c:v", "libx264", "-preset", "veryfast", "-c:a", "aac"]
    rows.add(what, taken, "ffmpeg libx264 veryfast", median_seconds(bare(*encode), runs=1))
    return [folder / f"ours-{number}.mp4" for number in range(CLIPS)]


def thumbnails(rows: Rows, cut: list[Path]) -> None:
    """Pictures that were chosen among nine, against a frame each."""
    probed = [probe(path) for path in cut]

    def one(path: Path, facts: MediaFacts) -> None:
        make_thumbnail(
            path,
            facts,
            start_time=0.0,
            end_time=facts.duration_seconds,
            destination=path.with_suffix(".jpg"),
            timeout_seconds=60,
        )

    def ours() -> None:
        with ThreadPoolExecutor(max_workers=available_cores()) as pool:
            list(pool.map(one, cut, probed))

    def grabs() -> None:
        for path in cut:
            seek = ["-ss", "30", "-i", str(path), "-frames:v", "1", "-vf", "scale=640:-2"]
            ffmpeg(*seek, str(path.with_suffix(".bare.jpg")))

    what = f"{len(cut)} thumbnails of nine frames each"
    rows.add(what, median_seconds(ours), "a grab each by ffmpeg", median_seconds(grabs))


def ingest(rows: Rows, video: Path) -> None:
    """Storing a large file, against copying it as durably and hashing it."""
    large = video.with_name("large.mp4")
    ffmpeg("-stream_loop", "200", "-i", str(video), "-c", "copy", "-fs", "1G", str(large))

    def ours() -> None:
        store = LocalFolderStore(video.parent / "store")
        found = hash_local_file(large).content_hash
        probe(large)
        key = video_key("large", found, "mp4")
        stored = store.put_file(large, key=key, content_type="video/mp4", sha256=found)
        store.delete(stored.url)

    def rival() -> None:
        copy = str(video.with_name("copy.mp4"))
        for command in (["cp", str(large), copy], ["sync", copy], ["sha256sum", str(large)]):
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=600)

    taken = median_seconds(ours)
    rows.add("1 GB hashed, probed, stored", taken, "cp, sync, sha256sum", median_seconds(rival))


def moments(rows: Rows) -> None:
    """Finding moments in three hours of words."""
    transcript = make_transcript()
    config = GenerationConfig(
        prompt=Prompt(user_prompt="", system_prompt=""),
        model="extractive",
        operation_type="generation",
        min_moment_length=20,
        max_moment_length=90,
        min_moments=3,
        max_moments=10,
    )
    duration = transcript.words[-1].end
    finding = median_seconds(
        lambda: find_moments(transcript, duration_seconds=duration, config=config)
    )
    rows.add(f"moments in {WORDS:,} words", finding, "the promised limit", 5.0)


def imports(rows: Rows) -> None:
    """Loading the definitions in a new process, against Dagster alone."""
    with tempfile.TemporaryDirectory(prefix="videomoments-bench-home-") as home:
        environment = {**os.environ, "VIDEOMOMENTS_HOME": home}

        def loading(module: str) -> float:
            command = [sys.executable, "-c", f"import {module}"]
            return median_seconds(
                lambda: subprocess.run(command, check=True, timeout=120, env=environment)
            )

        ours = loading("videomoments_dagster.definitions")
        rows.add("loading the definitions", ours, "import dagster", loading("dagster"))


def runs(rows: Rows) -> None:
    """Whole runs, against what was promised."""
    taken = whole_runs.measure()
    rows.add("full of 10 s, imported", taken.full, "its ffmpeg calls and 1.5 s", taken.ffmpeg + 1.5)
    rows.add("the same again, unchanged", taken.again, "the promised limit", 2.0)
    rows.add("videomoments run, cold", taken.cold, "the promised limit", 6.0)
    rows.add("the same again, unchanged", taken.cold_again, "the promised limit", 6.0)


def main() -> None:
    """Measure, and print one table."""
    rows = Rows()
    with tempfile.TemporaryDirectory(prefix="videomoments-bench-") as name:
        video = Path(name) / "video.mp4"
        facts = make_video(video)
        thumbnails(rows, clips(rows, video, facts))
        ingest(rows, video)
    moments(rows)
    imports(rows)
    runs(rows)
    console = Console(width=120)
    console.print(rows.table)
    console.print(
        f"Medians of {RUNS} runs on {available_cores()} cores, {platform.machine()}, "
        f"Python {platform.python_version()}."
    )


if __name__ == "__main__":
    main()
