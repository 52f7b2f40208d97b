"""The process that recognises utterances with pocketsphinx.

Belongs here: the few lines that run beside each other, one process a core, because the decoder
keeps the interpreter's lock. Does not belong here: anything that the parent can do.

It reads one JSON object from standard input and writes a JSON line per utterance:
`{"audio": WAV, "rate": 16000, "groups": [[[first sample, last sample], ...], ...]}` gives
`{"group": 0, "utterance": 0, "words": [["hello", 0.12, 0.5], ...]}`, seconds from the utterance's
start.

The decoder carries something over from one utterance to the next that only a new start clears, so
every group starts anew: a group's words do not depend on who recognises it and after what.
"""

from __future__ import annotations

import json
import sys
import wave
from typing import Any


def decoder(rate: int) -> Any:
    """Make the decoder with the model of its wheel.

    One pass, and a limit on what is kept alive in noise: on clear speech 0.1 of real time and
    the same words as the default's 0.22; on noise 0.3 instead of 0.9.
    """
    import pocketsphinx  # noqa: PLC0415 - an optional extra

    return pocketsphinx.Decoder(samprate=rate, loglevel="FATAL", fwdflat=False, maxhmmpf=5000)


def recognise(recogniser: Any, pcm: bytes) -> list[tuple[str, float, float]]:
    """Recognise one utterance.

    Args:
        recogniser: What `decoder` made.
        pcm: 16-bit mono samples.

    Returns:
        What it gives for words, among them "<sil>" and "read(2)", with their start and end in
        seconds.
    """
    recogniser.start_utt()
    recogniser.process_raw(pcm, full_utt=True)
    recogniser.end_utt()
    rate = recogniser.config["frate"]
    segmentation = recogniser.seg() or ()
    return [(s.word, s.start_frame / rate, (s.end_frame + 1) / rate) for s in segmentation]


def main() -> None:
    """Serve one request."""
    request = json.load(sys.stdin)
    recogniser = decoder(request["rate"])
    with wave.open(request["audio"], "rb") as audio:
        for group, utterances in enumerate(request["groups"]):
            if group:
                recogniser.reinit()
            for number, (first, last) in enumerate(utterances):
                audio.setpos(first)
                words = recognise(recogniser, audio.readframes(last - first))
                json.dump({"group": group, "utterance": number, "words": words}, sys.stdout)
                sys.stdout.write("\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
