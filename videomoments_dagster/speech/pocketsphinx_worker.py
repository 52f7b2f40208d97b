"""The process that recognises utterances with pocketsphinx.

There is one a core, because the decoder keeps the interpreter's lock. It reads one JSON object from
standard input and writes a JSON line per utterance, in order:
`{"audio": WAV, "groups": [[[first sample, last sample], ...], ...]}` gives
`[["<sil>", 0.0, 0.12], ["read(2)", 0.12, 0.5], ...]`, seconds from the utterance's start.

The decoder carries something over from one utterance to the next that only a new start clears, so
every group starts anew: a group's words do not depend on who recognises it and after what.
"""

from __future__ import annotations

import json
import sys
import wave
from typing import Any


def recognise(decoder: Any, pcm: bytes) -> list[tuple[str, float, float]]:
    """Recognise one utterance of 16-bit mono samples; words with start and end in seconds."""
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
    rate = decoder.config["frate"]
    return [(s.word, s.start_frame / rate, (s.end_frame + 1) / rate) for s in decoder.seg() or ()]


def main() -> None:
    """Serve one request."""
    import pocketsphinx  # noqa: PLC0415 - an optional extra

    request = json.load(sys.stdin)
    with wave.open(request["audio"], "rb") as audio:
        # One pass, and a limit on what is kept alive in noise: on clear speech 0.1 of real time
        # and the same words as the default's 0.22; on noise 0.3 instead of 0.9.
        decoder = pocketsphinx.Decoder(
            samprate=audio.getframerate(), loglevel="FATAL", fwdflat=False, maxhmmpf=5000
        )
        for number, utterances in enumerate(request["groups"]):
            if number:
                decoder.reinit()
            for first, last in utterances:
                audio.setpos(first)
                words = recognise(decoder, audio.readframes(last - first))
                json.dump(words, sys.stdout)
                sys.stdout.write("\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
