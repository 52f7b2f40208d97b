"""The sound of a file as speech engines want it: 16 kHz mono, on the presented timeline."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import ffmpeg
import numpy as np
from numpy.typing import NDArray

from videomoments_dagster.base.failures import MediaFailed
from videomoments_dagster.base.files import part_path, removed_afterwards, spoken_name
from videomoments_dagster.media.container import UNREADABLE, open_media
from videomoments_dagster.media.facts import AudioStream, MediaFacts
from videomoments_dagster.media.ffmpeg import IN_STEP, input_options, run_ffmpeg, safe_input

SPEECH_RATE = 16_000
"""Samples per second of the audio that speech engines get."""

_BEFORE_SEEK = 1.0
"""Seconds before a stretch at which decoding begins, so that the decoder has settled."""


def extract_speech_audio(
    media: Path,
    facts: MediaFacts,
    *,
    to: Path,
    timeout_seconds: float,
    stretch: tuple[float, float] | None = None,
) -> Path | None:
    """Write the sound as 16 kHz mono 16-bit WAV whose first sample is presented time 0.

    Sound that starts after the first picture is preceded by silence; gaps in the sound are filled
    with silence. So sample `n` is heard at `n / 16000` seconds.

    Args:
        media: Readable local file.
        facts: What probing found in it.
        to: Where to write; replaced if it exists.
        timeout_seconds: Wall-clock limit.
        stretch: Presented start and end of what is wanted, seconds; sample 0 is at its start then.
            For containers that keep the time of each packet: in others, a seek lands somewhere.
            Where the sound ends before it does, so does the file; it may be empty.

    Returns:
        `to`, or None where the file has no sound stream or one without a single packet.

    Raises:
        MediaFailed: There is sound but none of it could be decoded, or the limit was reached.
    """
    if facts.audio is None:
        return None
    with removed_afterwards(part_path(to)) as partial:
        try:
            _decode(media, facts, facts.audio, stretch, to=partial, timeout_seconds=timeout_seconds)
        except MediaFailed:
            if _has_packets(media, facts, facts.audio):
                raise
            return None
        partial.replace(to)
    return to


def _decode(
    media: Path,
    facts: MediaFacts,
    audio: AudioStream,
    stretch: tuple[float, float] | None,
    *,
    to: Path,
    timeout_seconds: float,
) -> None:
    start, end = stretch or (0.0, facts.duration_seconds)
    seek: dict[str, Any] = {}
    if start > _BEFORE_SEEK:
        # The filters drop what lies before the start.
        sought = facts.origin_seconds + start - _BEFORE_SEEK
        seek = {"ss": f"{sought:.6f}", "seek_timestamp": 1, "noaccurate_seek": None}
    source = ffmpeg.input(
        safe_input(media),
        # Without it, ffmpeg moves the earliest stream to 0, which need be neither of those used.
        copyts=None,
        **seek,
        **input_options(facts),
    )
    sound = (
        source[str(audio.index)]
        .filter("asetpts", f"PTS-({facts.origin_seconds + start:.6f})/TB")
        .filter("aresample", SPEECH_RATE, **IN_STEP)
    )
    stream = ffmpeg.output(
        sound,
        safe_input(to),
        format="wav",
        acodec="pcm_s16le",
        ac=1,
        ar=SPEECH_RATE,
        # A jump in broken timestamps would be filled with hours of silence.
        t=max(end - start, 0.0),
        # Sound that is broken in most places is still transcribed where it is not.
        max_error_rate=1,
        map_metadata=-1,
        bitexact=None,
    )
    run_ffmpeg(stream, timeout_seconds=timeout_seconds, task=f"decoding {spoken_name(media)}")
    if stretch is None and speech_samples(to).size == 0:
        raise MediaFailed(
            f"The {audio.codec} sound of {spoken_name(media)} could not be decoded",
            remedy="Play the file to see whether its sound is damaged, and re-encode it or "
            "transcribe it from captions",
        )


def _has_packets(media: Path, facts: MediaFacts, audio: AudioStream) -> bool:
    try:
        with open_media(media, facts) as container:
            return any(packet.size for packet in container.demux(container.streams[audio.index]))
    except (*UNREADABLE, IndexError):
        return True


def speech_samples(wav: Path) -> NDArray[np.int16]:
    """Map the samples of a file that `extract_speech_audio` wrote into memory.

    The array is backed by the file, so an hour of it (115 MB) takes memory only where it is read.
    """
    with wave.open(str(wav), "rb") as reader:
        count = reader.getnframes()
    if count == 0:
        return np.zeros(0, dtype=np.int16)
    # The samples are the file's last chunk.
    offset = wav.stat().st_size - 2 * count
    return np.memmap(wav, dtype="<i2", mode="r", offset=offset, shape=(count,))
