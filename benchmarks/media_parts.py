"""What `make bench` says about media: cutting, encoding, thumbnails, taking a file in.

Belongs here: our way and the plainest one with ffmpeg or coreutils. Does not belong here: whole
runs (`whole_runs`), or long files (`long_video`).
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from clip_exactness import Cut, check_copies, check_encoded
from comparison import Row, Rows, medians, seconds_of
from generated_media import RATE, ffmpeg, looped, make_mp4, make_webm

from videomoments_dagster.base.workers import available_cores
from videomoments_dagster.core.objects.local_folder import LocalFolderStore
from videomoments_dagster.media.clip_cutting import CutClip, cut_clips
from videomoments_dagster.media.clip_plan import ClipRequest
from videomoments_dagster.media.ffmpeg import ffmpeg_executable
from videomoments_dagster.media.frame_pictures import make_thumbnail
from videomoments_dagster.media.probe import probe
from videomoments_dagster.moments.object_keys import video_key
from videomoments_dagster.sources.fetching import fetch_source

VIDEO_SECONDS = 600.0
CLIPS = 20
CLIP_SECONDS = 105.0
"""A minute, 15 s before and 30 s after it."""
ENCODED_BY_FFMPEG = 2
WEBM_SECONDS = 180.0
WEBM_CLIPS = 3
WEBM_KEYFRAME_SECONDS = 5.0
LARGE_BYTES = 1_000_000_000


def _requests(source: Path, starts: list[float], *, name: str) -> list[ClipRequest]:
    facts = probe(source)
    return [
        ClipRequest(
            source=source,
            facts=facts,
            start_time=start,
            end_time=start + CLIP_SECONDS,
            destination=source.with_name(f"{name}-{number}.mp4"),
        )
        for number, start in enumerate(starts)
    ]


def _cut(requests: list[ClipRequest], *, method: str) -> list[CutClip]:
    clips: list[CutClip] = []
    for outcome in cut_clips(requests):
        if isinstance(outcome, Exception):
            raise outcome
        if outcome.method != method:
            raise SystemExit(f"{outcome.path.name} came about by {outcome.method}")
        clips.append(outcome)
    return clips


def _as_cut(requests: list[ClipRequest]) -> list[Cut]:
    """The clips that there are now, to be checked."""
    return [Cut(one.destination, one.start_time, one.end_time) for one in requests]


def _with_ffmpeg(source: Path, starts: list[float], *codecs: str) -> Callable[[], None]:
    def cut() -> None:
        for number, start in enumerate(starts):
            seek = ["-ss", str(start), "-i", str(source), "-t", str(CLIP_SECONDS)]
            ffmpeg(*seek, *codecs, str(source.with_name(f"bare-{number}.mp4")))

    return cut


def clips(rows: Rows, folder: Path) -> None:
    """Clips that are copied, of files with two kinds of keyframe distance; all are checked."""
    starts = [7.31 + number * 24.7 for number in range(CLIPS)]
    for keyframe_seconds in (2.0, 10.0):
        source = folder / f"keyframes-{keyframe_seconds:g}.mp4"
        make_mp4(source, seconds=VIDEO_SECONDS, keyframe_seconds=keyframe_seconds)
        requests = _requests(source, starts, name=f"clip-{keyframe_seconds:g}")
        ours, bare = medians(
            lambda requests=requests: _cut(requests, method="copy"),
            _with_ffmpeg(source, starts, "-c", "copy"),
            runs=5,
        )
        what = f"{CLIPS} clips of {CLIP_SECONDS:g} s, a keyframe every {keyframe_seconds:g} s"
        rows.add(Row(what, ours, "ffmpeg -c copy, inexact", bare, 1.5))
        encode = ["-c:v", "libx264", "-preset", "veryfast", "-c:a", "aac"]
        some = starts[:: CLIPS // ENCODED_BY_FFMPEG][:ENCODED_BY_FFMPEG]
        encoded = seconds_of(_with_ffmpeg(source, some, *encode)) * CLIPS / len(some)
        against = f"libx264 veryfast ({len(some)} clips, times {CLIPS // len(some)})"
        rows.add(Row(what, ours, against, encoded, 50, at_least=True))
        check_copies(source, _as_cut(requests))
        print(f"{what}: all compared with the source, picture by picture and beep by beep")


def encoded_clips(rows: Rows, folder: Path) -> None:
    """Clips that have to be encoded, against the best single command line, and what is decoded."""
    source = make_webm(folder / "source.webm", seconds=WEBM_SECONDS)
    starts = [3.27 + number * 30.0 for number in range(WEBM_CLIPS)]
    requests = _requests(source, starts, name="encoded")
    command = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-c:a", "aac"]
    ours, bare = medians(
        lambda: _cut(requests, method="encode"), _with_ffmpeg(source, starts, *command), runs=1
    )
    rows.add(
        Row(
            f"{WEBM_CLIPS} clips of {CLIP_SECONDS:g} s out of a WebM",
            ours,
            "ffmpeg -ss -t libx264 veryfast",
            bare,
            1.1,
        )
    )
    for cut in _as_cut(requests):
        check_encoded(source, cut)
    print("all compared with the source, picture by picture and beep by beep")
    decoded = _pictures_decoded(folder, requests[-1:])
    wanted = (CLIP_SECONDS + WEBM_KEYFRAME_SECONDS) * RATE
    rows.add(
        Row(
            "pictures decoded for one of them",
            decoded,
            "the clip's and a keyframe interval's",
            wanted,
            1.0,
            unit="pictures",
        )
    )


def _pictures_decoded(folder: Path, requests: list[ClipRequest]) -> int:
    """How many pictures ffmpeg decodes, by what it says itself."""
    said = folder / "said.txt"
    wrapper = folder / "ffmpeg"
    wrapper.write_text(f'#!/bin/sh\nexec {ffmpeg_executable()} "$@" -loglevel verbose 2>> {said}\n')
    wrapper.chmod(0o755)
    os.environ["VIDEOMOMENTS_FFMPEG"] = str(wrapper)
    ffmpeg_executable.cache_clear()
    try:
        _cut(requests, method="encode")
    finally:
        del os.environ["VIDEOMOMENTS_FFMPEG"]
        ffmpeg_executable.cache_clear()
    found = re.findall(r"\(video\): \d+ packets read.*?; (\d+) frames decoded", said.read_text())
    if len(found) != len(requests):
        raise SystemExit(f"ffmpeg did not say how much it decoded: {said.read_text()[-500:]}")
    return sum(map(int, found))


def thumbnails(rows: Rows, folder: Path) -> None:
    """Pictures that are chosen among nine, against a frame each."""
    source = folder / "short.mp4"
    make_mp4(source, seconds=60.0 * 3, keyframe_seconds=2.0)
    starts = [1.0 + number * 3.5 for number in range(CLIPS)]
    cut = [clip.path for clip in _cut(_requests(source, starts, name="shown"), method="copy")]
    probed = [probe(path) for path in cut]

    def one(number: int) -> None:
        make_thumbnail(
            cut[number],
            probed[number],
            start_time=0.0,
            end_time=probed[number].duration_seconds,
            destination=cut[number].with_suffix(".jpg"),
            timeout_seconds=60,
        )

    def ours() -> None:
        with ThreadPoolExecutor(max_workers=available_cores()) as pool:
            list(pool.map(one, range(len(cut))))

    def grabs() -> None:
        for path in cut:
            seek = ["-ss", "30", "-i", str(path), "-frames:v", "1", "-vf", "scale=640:-2"]
            ffmpeg(*seek, str(path.with_suffix(".bare.jpg")))

    taken, bare = medians(ours, grabs)
    what = f"{len(cut)} thumbnails, chosen among nine frames each"
    rows.add(Row(what, taken, "a grab each by ffmpeg -ss", bare, 2.0))


def ingest(rows: Rows, folder: Path) -> None:
    """Hashing, probing and storing a large file, against copying it as durably and hashing it."""
    part = make_mp4(folder / "part.mp4", seconds=60.0, keyframe_seconds=2.0)
    large = folder / "large.mp4"
    looped(part, large, times=LARGE_BYTES // part.stat().st_size + 1)

    def ours() -> None:
        store = LocalFolderStore(folder / "store")
        found = fetch_source(str(large), scratch=folder, gcs_client=object).content_hash
        probe(large)
        key = video_key("large", found, "mp4")
        stored = store.put_file(large, key=key, content_type="video/mp4", sha256=found)
        store.delete(stored.url)

    def rival() -> None:
        copy = str(folder / "copy.mp4")
        for command in (["cp", str(large), copy], ["sync", copy], ["sha256sum", str(large)]):
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=600)
        Path(copy).unlink()

    taken, plain = medians(ours, rival)
    what = f"{large.stat().st_size / 1e9:.1f} GB hashed, probed, stored"
    rows.add(Row(what, taken, "cp, sync, sha256sum", plain, 1.2))
