"""Whether clips show their source, frame for frame, and sound when they should.

Belongs here: checking every clip that a benchmark has cut, by decoding all of it and its stretch of
the source, with nothing of the project's own proof. Does not belong here: cutting.
"""

from __future__ import annotations

import bisect
import math
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from generated_media import FFMPEG
from installation import Installation
from sqlalchemy import text

_SOUND_RATE = 8000
_AUDIBLE = 0.1
_SILENCE_SECONDS = 0.5
_SOUND_SECONDS = 0.020
_TIME_SECONDS = 0.0005
_SMALL = (160, 90)
_FRAMES_BESIDE = 2
_DECODING_SECONDS = 1800.0
_BOTH_CORES = 2


@dataclass(frozen=True, slots=True)
class Cut:
    """A clip of a source the first picture of which is shown at 0.

    Attributes:
        path: The clip.
        start: Presented time in the source at which it was to start, seconds.
        end: Presented time in the source at which it was to end, seconds.
    """

    path: Path
    start: float
    end: float

    def first(self, times: list[float]) -> int:
        """Number of the source's picture that it has to begin with, of those at `times`."""
        return bisect.bisect_right(times, self.start + _TIME_SECONDS) - 1

    def stop(self, times: list[float]) -> int:
        """Number of the source's first picture after it."""
        return bisect.bisect_left(times, self.end - _TIME_SECONDS)


def check_copies(source: Path, cuts: Sequence[Cut]) -> None:
    """Compare copied clips with their source: every pixel, every picture's time, every beep.

    Raises:
        SystemExit: A picture is not the source's, is missing or at another time, or a beep is
            more than 20 ms away.
    """
    _check_copies(source, _times(source), cuts)


def _check_copies(source: Path, times: list[float], cuts: Sequence[Cut]) -> None:
    lengths = [cut.stop(times) - cut.first(times) for cut in cuts]
    begin, stop = min(cut.first(times) for cut in cuts), max(cut.stop(times) for cut in cuts)
    if stop - begin > sum(lengths):
        for cut in cuts:
            _check_copies(source, times, [cut])
        return
    wanted = [digest for _, digest in _hashed(source, times, first=begin, stop=stop)]

    def check(cut: Cut) -> None:
        first, stop = cut.first(times), cut.stop(times)
        pictures = wanted[first - begin : stop - begin]
        found = _hashed(cut.path)
        if [digest for _, digest in found] != pictures:
            raise SystemExit(
                f"{cut.path.name}: its {len(found)} pictures are not the source's {len(pictures)}"
            )
        begins_at = times[first]
        _check_times(cut, [time for time, _ in found], times[first:stop], begins_at=begins_at)
        _check_beeps(source, cut, begins_at=begins_at)

    with ThreadPoolExecutor(max_workers=_BOTH_CORES) as pool:
        list(pool.map(check, cuts))


def check_encoded(source: Path, cut: Cut) -> None:
    """Compare an encoded clip with its source: each picture looks most like the one of its time.

    Raises:
        SystemExit: A picture looks more like one beside it, is missing or at another time, or a
            beep is more than 20 ms away.
    """
    source_times = _times(source)
    first, stop = cut.first(source_times), cut.stop(source_times)
    begin = max(0, first - _FRAMES_BESIDE)
    wanted = _small(source, source_times, first=begin, stop=stop + _FRAMES_BESIDE)
    found = _small(cut.path)
    times = [time for time, _ in _hashed(cut.path)]
    if not len(found) == len(times) == stop - first:
        raise SystemExit(f"{cut.path.name}: {len(found)} pictures instead of {stop - first}")
    for number, picture in enumerate(found):
        at = first + number - begin
        near = range(max(0, at - _FRAMES_BESIDE), min(len(wanted), at + _FRAMES_BESIDE + 1))
        if min(near, key=lambda index: _difference(wanted[index], picture)) != at:
            raise SystemExit(f"{cut.path.name}: its picture {number} is another one of the source")
    _check_times(cut, times, source_times[first:stop], begins_at=cut.start)
    _check_beeps(source, cut, begins_at=cut.start)


def check_stored(place: Installation, sources: Mapping[str, Path]) -> None:
    """Compare all copied clips that an installation has stored with their sources.

    Args:
        place: The installation.
        sources: The file that each video was made of.

    Raises:
        SystemExit: There are none, or one is wrong; see `check_copies`.
    """
    from videomoments_dagster.core.configured_database import open_database
    from videomoments_dagster.core.settings import load_settings
    from videomoments_dagster.definitions import resources_for

    query = """
    SELECT videos.identifier, clips.cloud_url, clips.start_time, clips.end_time
    FROM clips JOIN videos ON videos.id = clips.video_id
    """
    with open_database(place.environment["DATABASE_URL"]).read() as session:
        rows = session.execute(text(query)).all()
    store: Any = resources_for(load_settings())["object_store"].store
    with tempfile.TemporaryDirectory() as folder:
        for video, source in sources.items():
            cuts = [
                Cut(store.fetch(url, to=Path(folder) / f"{number}.mp4"), start, end)
                for number, (identifier, url, start, end) in enumerate(rows)
                if identifier == video
            ]
            if not cuts:
                raise SystemExit(f"'{video}' has no clips to check")
            check_copies(source, cuts)


def _check_times(cut: Cut, times: list[float], of_source: list[float], *, begins_at: float) -> None:
    for number, (time, there) in enumerate(zip(times, of_source, strict=True)):
        if abs(max(0.0, there - begins_at) - time) > _TIME_SECONDS:
            raise SystemExit(f"{cut.path.name}: its picture {number} is shown at {time:.4f} s")


def _check_beeps(source: Path, cut: Cut, *, begins_at: float) -> None:
    """Hear whether beeps begin where the source has them."""
    length = cut.end - begins_at
    wanted = [at - begins_at for at in _beeps(source, start=begins_at, stop=cut.end)]
    found = _beeps(cut.path, start=0.0, stop=length)
    # What begins with a beep may begin within one.
    inside = [at for at in wanted if _SILENCE_SECONDS < at < length - _SOUND_SECONDS]
    if len(inside) < length - 3:
        raise SystemExit(f"{source.name}: {len(inside)} beeps in {length:.0f} s")
    for at in inside:
        away = min(abs(at - other) for other in [*found, math.inf])
        if away > _SOUND_SECONDS:
            raise SystemExit(f"{cut.path.name}: the beep at {at:.3f} s is {away:.3f} s away")


def _times(path: Path) -> list[float]:
    """When each picture is presented, in seconds from the first one, ascending."""
    with av.open(str(path)) as container:
        stream: Any = container.streams.video[0]
        # Read while the file is open: afterwards it is anything.
        tick = float(stream.time_base)
        presented = sorted(
            packet.pts
            for packet in container.demux(stream)
            if packet.pts is not None and not packet.is_discard
        )
    return [(pts - presented[0]) * tick for pts in presented]


def _hashed(
    path: Path, times: Sequence[float] = (), *, first: int = 0, stop: int | None = None
) -> list[tuple[float, str]]:
    """The presented time in seconds and a hash of each picture, as ffmpeg decodes it.

    Args:
        path: The file.
        times: When each of its pictures is presented, where not all are wanted.
        first: Number of the first one wanted; its time counts from there.
        stop: Number of the first one after them.
    """
    hashes = ["-enc_time_base", "demux", "-f", "framehash", "-hash", "murmur3"]
    lines = _decoded(path, hashes, times, first=first, stop=stop).decode().splitlines()
    [tick] = [line.split(": ")[1].split("/") for line in lines if line.startswith("#tb 0")]
    rows = [line.split(",") for line in lines if not line.startswith("#")]
    return [(int(row[2]) * int(tick[0]) / int(tick[1]), row[5].strip()) for row in rows]


def _small(
    path: Path, times: Sequence[float] = (), *, first: int = 0, stop: int | None = None
) -> np.ndarray:
    """Small grey copies of the pictures, as (pictures, height, width); see `_hashed`."""
    width, height = _SMALL
    grey = f"scale={width}:{height}:flags=area,format=gray"
    output = ["-vf", grey, "-f", "rawvideo"]
    data = _decoded(path, output, times, first=first, stop=stop)
    return np.frombuffer(data, np.uint8).reshape(-1, height, width)


def _decoded(
    path: Path, output: list[str], times: Sequence[float], *, first: int, stop: int | None
) -> bytes:
    # Between two pictures: ffmpeg gives the first one after it.
    seek = ["-ss", f"{(times[first - 1] + times[first]) / 2:.6f}"] if first > 0 else []
    count = [] if stop is None else ["-frames:v", str(stop - first)]
    copied = [] if seek else ["-copyts"]
    source = ["-threads", "1", *seek, *copied, "-i", str(path)]
    return subprocess.run(
        [*FFMPEG, *source, "-map", "0:v", "-fps_mode", "passthrough", *count, *output, "-"],
        check=True,
        stdout=subprocess.PIPE,
        timeout=_DECODING_SECONDS,
    ).stdout


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.mean(np.abs(one.astype(np.int16) - other.astype(np.int16))))


def _beeps(path: Path, *, start: float, stop: float) -> list[float]:
    """Presented times in seconds at which half a second of silence ends."""
    begin = start - 1.0
    sound = np.zeros(round((stop - begin) * _SOUND_RATE), np.float32)
    resampler = av.AudioResampler(format="flt", layout="mono", rate=_SOUND_RATE)
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        if begin > 1:
            container.seek(int((begin - 1) / stream.time_base), stream=stream)
        for frame in container.decode(stream):
            for part in resampler.resample(frame):
                at = round((float(part.pts * part.time_base) - begin) * _SOUND_RATE)
                samples = part.to_ndarray().reshape(-1)[max(0, -at) :]
                room = sound[max(0, at) : max(0, at) + len(samples)]
                room[:] = samples[: len(room)]
            if frame.time > stop:
                break
    loud = np.flatnonzero(np.abs(sound) > _AUDIBLE)
    after_silence = np.diff(loud, prepend=-_SOUND_RATE) > _SILENCE_SECONDS * _SOUND_RATE
    return [begin + at / _SOUND_RATE for at in loud[after_silence]]
