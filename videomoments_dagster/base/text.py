"""Times and texts as people read them."""

from __future__ import annotations

import re
import unicodedata

_TICK_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200)
_MEMORY_ADDRESS = re.compile(r" ?(@|at) 0x[0-9a-fA-F]+")
_LINE_BREAKS = re.compile("\r\n?|[\u2028\u2029]")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
# What turns the direction of what follows, lone surrogates, and what Unicode says is no character.
# Marks that only say to which side punctuation belongs stay: right-to-left languages need them.
_NOT_SHOWN = re.compile("[\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


def clock(seconds: float) -> str:
    """Seconds as `m:ss`, or `h:mm:ss` from an hour on; a started second does not count."""
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def clock_with_tenths(seconds: float) -> str:
    """Seconds as `m:ss.s`, or `h:mm:ss.s` from an hour on."""
    tenths = max(0, round(seconds * 10))
    return f"{clock(tenths // 10)}.{tenths % 10}"


def tick_times(duration_seconds: float, *, at_most: int) -> list[int]:
    """Round times from 0 to the end, at equal distances.

    Args:
        duration_seconds: Length of the time line.
        at_most: How many times there are at most, at least 2.
    """
    longest = _TICK_SECONDS[-1]
    step = next(
        (step for step in _TICK_SECONDS if duration_seconds / step < at_most),
        # Days of video: whole numbers of the longest step.
        longest * max(1, -(-int(duration_seconds) // (longest * (at_most - 1)))),
    )
    return list(range(0, int(max(0.0, duration_seconds)) + 1, step))


def folded(text: object, *, longest: int | None = None) -> str:
    """Text on one line, white space folded; cut with an ellipsis where it is longer than allowed.

    Args:
        text: Anything; its `str`.
        longest: Most characters; None for any number.
    """
    line = " ".join(str(text).split())
    return line if longest is None or len(line) <= longest else line[: longest - 1] + "\u2026"


def without_addresses(text: str) -> str:
    """Text without the addresses in memory that programs put beside their names of things."""
    return _MEMORY_ADDRESS.sub("", text)


def shown(text: str) -> str:
    """Text without what steers a reader's terminal or browser; the same again changes nothing."""
    return _NOT_SHOWN.sub("", _CONTROLS.sub(" ", _LINE_BREAKS.sub("\n", text)))


def one_line(text: str) -> str:
    """Text as `shown`, on one line."""
    return folded(shown(text))


def printable(value: object) -> str:
    """A value on one line of a terminal; each character that would steer it becomes U+FFFD."""
    return "".join(
        " " if one.isspace() else "\N{REPLACEMENT CHARACTER}" if _steers(one) else one
        for one in ("-" if value is None else str(value))
    )


def _steers(character: str) -> bool:
    # Cc controls, Cf turns the direction of text, Cs is what cannot be encoded. The joiners are
    # part of words and of emoji.
    return unicodedata.category(character) in {"Cc", "Cf", "Cs"} and character not in "\u200c\u200d"
