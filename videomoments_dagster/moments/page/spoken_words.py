"""Where in the text of each segment its words stand, and when they are spoken.

The page's script makes words of the text only where it is played or clicked, by these numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

from videomoments_dagster.base.text import one_line
from videomoments_dagster.speech.transcript import Transcript

_CLOSE_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class PageSegment:
    """A segment as a page shows it.

    Attributes:
        text: Its text on one line.
        start: Seconds of the presented timeline.
        end: Likewise.
        words: Three whole numbers a word, separated by spaces: UTF-16 units since the end of the
            word before, UTF-16 units of the word, and hundredths of a second since the start of
            the word before (of the segment, for the first).
    """

    text: str
    start: float
    end: float
    words: str


def spoken_segments(transcript: Transcript) -> tuple[PageSegment, ...]:
    """Give the segments that have a text, with their words.

    A word that does not stand in the text of its segment is left out: the text is what is shown.
    """
    words = transcript.words
    found: list[PageSegment] = []
    at = 0
    for segment in transcript.segments:
        text = one_line(segment.text)
        numbers: list[int] = []
        place = 0
        last = round(segment.start * 100)
        while at < len(words) and words[at].start <= segment.end + _CLOSE_SECONDS:
            word = one_line(words[at].text)
            begins = text.find(word, place) if word else -1
            if begins < 0:
                # At a common boundary it may be the first word of the next segment.
                if words[at].start >= segment.end - _CLOSE_SECONDS:
                    break
                at += 1
                continue
            spoken = round(words[at].start * 100)
            numbers += [_units(text[place:begins]), _units(word), max(0, spoken - last)]
            place = begins + len(word)
            last = max(last, spoken)
            at += 1
        if text:
            shown = " ".join(map(str, numbers))
            found.append(PageSegment(text, segment.start, segment.end, shown))
    return tuple(found)


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
