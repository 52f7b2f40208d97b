"""Whether clips show their source, frame for frame, and sound when they should.

Belongs here: checking every clip that a benchmark has cut, by decoding all of it and its stretch of
the source, with nothing of the project's own proof. Does not belong here: cutting.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import av
import numpy as np

_RATE = 8000
_AUDIBLE = 0.1
_SOUND_SECONDS = 0.020


def check_copy(source: Path, clip: Path, *, start: float, end: float, rate: float) -> None:
    """Compare a copied clip with its source.

    Args:
        source: The source; its first picture is shown at 0.
        clip: The clip.
        start: Presented time in the source at which it starts, seconds.
        end: Presented time in the source at which it ends, seconds.
        rate: Pictures a second.

    Raises:
        SystemExit: A picture is not the source's, is missing or at another time, or a beep is
            more than 20 ms away.
    """
    first = int(start * rate + 1e-6)
    wanted = _pictures(source, first / rate, end - 1e-3)
    found = _pictures(clip, 0.0, None)
    if [digest for _, digest in wanted] != [digest for _, digest in found]:
        raise SystemExit(
            f"{clip.name}: its {len(found)} pictures are not the source's {len(wanted)}"
        )
    for (there, _), (here, _) in zip(wanted, found, strict=True):
        if abs((there - wanted[0][0]) - here) > 0.5 / rate:
            raise SystemExit(f"{clip.name}: a picture is shown at {here:.3f} s")
    check_beeps(clip, start=first / rate)


def check_beeps(clip: Path, *, start: float) -> None:
    """Hear whether beeps start with each whole second of the source.

    Raises:
        SystemExit: One is more than 20 ms away.
    """
    sound = _sound(clip)
    loud = np.abs(sound) > _AUDIBLE
    # A beep starts where half a second of silence ends.
    starts = [
        at / _RATE
        for at in np.flatnonzero(loud)
        if at > _RATE // 2 and not loud[max(0, at - _RATE // 2) : at].any()
    ]
    if len(starts) < len(sound) / _RATE - 3:
        raise SystemExit(f"{clip.name}: {len(starts)} beeps in {len(sound) / _RATE:.0f} s")
    for at in starts:
        away = abs((start + at) - round(start + at))
        if away > _SOUND_SECONDS:
            raise SystemExit(f"{clip.name}: a beep is {away * 1000:.0f} ms away from its second")


def _pictures(path: Path, start: float, end: float | None) -> list[tuple[float, str]]:
    found: list[tuple[float, str]] = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        if start > 0:
            container.seek(int(start / stream.time_base), stream=stream)
        for frame in container.decode(stream):
            time = float(frame.pts * stream.time_base)
            if end is not None and time >= end:
                break
            if time > start - 1e-3:
                digest = hashlib.blake2b(frame.to_ndarray().tobytes(), digest_size=16)
                found.append((time, digest.hexdigest()))
    return found


def _sound(path: Path) -> np.ndarray:
    """All of the sound, mono, from the presented start on."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=_RATE)
    parts: list[np.ndarray] = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            for part in resampler.resample(frame):
                at = round(float(part.pts * part.time_base) * _RATE)
                there = sum(map(len, parts))
                if at > there:
                    parts.append(np.zeros(at - there, np.float32))
                parts.append(part.to_ndarray().reshape(-1)[max(0, there - at) :])
    return np.concatenate(parts)
