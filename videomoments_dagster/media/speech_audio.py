"""The sound of a file as speech engines want it, on the presented timeline.

Belongs here: decoding to 16 kHz mono, and reading the result without loading it whole. Does not
belong here: what is done with it (`videomoments_dagster.speech`).
"""

from __future__ import annotations

import os
import wave
from pathlib import Path

import av.error
import ffmpeg
import numpy as np
from numpy.typing import NDArray

from videomoments_dagster.base.failures import MediaFailed
from videomoments_dagster.media.container import open_media
from videomoments_dagster.media.facts import MediaFacts
from videomoments_dagster.media.ffmpeg import input_options, run_ffmpeg, safe_input

SPEECH_RATE = 16_000
"""Samples per second of the audio that speech engines get."""


def extract_speech_audio(
    media: Path, facts: MediaFacts, *, to: Path, timeout_seconds: float
) -> Path | None:
    """Write the sound as 16 kHz mono 16-bit WAV whose first sample is presented time 0.

    Sound that starts after the first frame is preceded by silence; sound that starts before it
    loses that part; gaps in the sound are filled with silence. So sample `n` is heard at
    `n / 16000` seconds.

    Args:
        media: Readable local file.
        facts: What probing found in it.
        to: Where to write; replaced if it exists.
        timeout_seconds: Wall-clock limit.

    Returns:
        `to`, or None where the file has no sound stream or one without a single packet.

    Raises:
        MediaFailed: There is sound but none of it could be decoded, or the limit was reached.
    """
    if facts.audio is None:
        return None
    partial = to.with_name(f".{to.name}.part")
    picture = facts.video or facts.audio
    source = ffmpeg.input(
        safe_input(media),
        # Without it, ffmpeg moves the earliest stream to 0, which need not be the picture.
        copyts=None,
        **input_options(facts),
    )
    sound = (
        source[str(facts.audio.index)]
        .filter("asetpts", f"PTS-({picture.start_seconds:.6f})/TB")
        .filter("aresample", SPEECH_RATE, first_pts=0, **{"async": 1})
    )
    stream = ffmpeg.output(
        sound,
        safe_input(partial),
        format="wav",
        acodec="pcm_s16le",
        ac=1,
        ar=SPEECH_RATE,
        # A jump in broken timestamps would be filled with hours of silence.
        t=max(facts.duration_seconds, 0.0),
        # Sound that is broken in most places is still transcribed where it is not.
        max_error_rate=1,
        map_metadata=-1,
        bitexact=None,
    )
    try:
        try:
            run_ffmpeg(stream, timeout_seconds=timeout_seconds, what=f"decoding '{media.name}'")
        except MediaFailed:
            if not _has_sound_packets(media, facts, facts.audio.index):
                return None
            raise
        if speech_samples(partial).size == 0:
            if not _has_sound_packets(media, facts, facts.audio.index):
                return None
            raise MediaFailed(
                f"The {facts.audio.codec} sound of '{media.name}' could not be decoded",
                remedy="Play the file to see whether its sound is damaged, and re-encode it or "
                "transcribe it from captions",
            )
        os.replace(partial, to)  # noqa: PTH105 - the atomic replacement, by its known name
    finally:
        partial.unlink(missing_ok=True)
    return to


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


def _has_sound_packets(media: Path, facts: MediaFacts, index: int) -> bool:
    try:
        with open_media(media, facts) as container:
            return any(packet.size for packet in container.demux(container.streams[index]))
    except (av.error.FFmpegError, OSError, IndexError):
        return True
