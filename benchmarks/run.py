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
from pathlib import Path

from rich.console import Console
from rich.table import Table

from videomoments_dagster.media.clip_cutting import ClipRequest, available_cores, cut_clips
from videomoments_dagster.media.ffmpeg import ffmpeg_executable
from videomoments_dagster.media.probe import probe
from videomoments_dagster.media.thumbnails import make_thumbnail
from videomoments_dagster.moment_finding.extractive import find_moments
from videomoments_dagster.records import (
    GenerationConfig,
    MediaFacts,
    Prompt,
    Segment,
    Transcript,
    Word,
)

RUNS = 3
CLIPS = 8
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


def main() -> None:
    """Measure, and print one table."""
    table = Table("what", "ours, s", "against", "its time, s", "ratio")

    def add(what: str, ours: float, against: str, rival: float) -> None:
        table.add_row(what, f"{ours:.2f}", against, f"{rival:.2f}", f"{ours / rival:.2f}")

    with tempfile.TemporaryDirectory(prefix="videomoments-bench-") as name:
        folder = Path(name)
        video = folder / "video.mp4"
        facts = make_video(video)
        starts = [7.3 + number * 60 for number in range(CLIPS)]

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

        clips = median_seconds(ours)
        what = f"{CLIPS} clips of {CLIP_SECONDS:g} s, cut and proved"
        add(what, clips, "ffmpeg -c copy, inexact", median_seconds(bare("-c", "copy")))
        encode = ["-c:v", "libx264", "-preset", "veryfast", "-c:a", "aac"]
        add(what, clips, "ffmpeg libx264 veryfast", median_seconds(bare(*encode), runs=1))

        def thumbnail() -> None:
            make_thumbnail(
                video,
                facts,
                start_time=0.0,
                end_time=facts.duration_seconds,
                destination=folder / "ours.jpg",
                timeout_seconds=60,
            )

        def grab() -> None:
            seek = ["-ss", "300", "-i", str(video), "-frames:v", "1", "-vf", "scale=640:-2"]
            ffmpeg(*seek, str(folder / "bare.jpg"))

        ours_thumbnail, theirs = median_seconds(thumbnail), median_seconds(grab)
        add("one thumbnail of nine frames", ours_thumbnail, "one grab by ffmpeg", theirs)

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
        add(f"moments in {WORDS:,} words", finding, "the promised limit", 5.0)

    home = tempfile.mkdtemp(prefix="videomoments-bench-home-")
    bare_import = median_seconds(
        lambda: subprocess.run([sys.executable, "-c", "import dagster"], check=True, timeout=120)
    )
    load = median_seconds(
        lambda: subprocess.run(
            [sys.executable, "-c", "import videomoments_dagster.definitions"],
            check=True,
            timeout=120,
            env={**os.environ, "VIDEOMOMENTS_HOME": home},
        )
    )
    add("loading the definitions", load, "import dagster", bare_import)
    Path(home).rmdir()

    console = Console(width=120)
    console.print(table)
    console.print(
        f"Medians of {RUNS} runs on {available_cores()} cores, {platform.machine()}, "
        f"Python {platform.python_version()}."
    )


if __name__ == "__main__":
    main()
