"""Text from outside in the form that a page shows.

Belongs here: what may stand in a page as text, and times and sizes in words. Escaping is the
template engine's.
"""

from __future__ import annotations

import re

# C0 and C1 controls but white space, characters that turn the direction of what follows, lone
# surrogates, and what Unicode says is no character.
_NOT_SHOWN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
_LINE_BREAKS = re.compile("\r\n?|[\u2028\u2029]")
_SECONDS_PER_MINUTE = 60
_KIBIBYTES_PER_MEBIBYTE = 1024
_GAP = "\N{NO-BREAK SPACE}"
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")


def shown(text: str) -> str:
    """Give `text` without what steers instead of showing; the same again changes nothing.

    Marks that only say to which side punctuation belongs stay: right-to-left languages need them,
    and every title and sentence is isolated from what stands around it.
    """
    return _NOT_SHOWN.sub("", _LINE_BREAKS.sub("\n", text))


def one_line(text: str) -> str:
    """Give `text` as shown, on one line."""
    return " ".join(shown(text).split())


def length(seconds: float) -> str:
    """A length in words, such as "40 s" or "1 min 20 s"."""
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, _SECONDS_PER_MINUTE)
    if not minutes:
        return f"{rest}{_GAP}s"
    return f"{minutes}{_GAP}min {rest}{_GAP}s" if rest else f"{minutes}{_GAP}min"


def size(kibibytes: int | None) -> str:
    """A size in words, such as "812 KiB" or "1.2 MiB"; empty where it is not known."""
    if kibibytes is None:
        return ""
    if kibibytes < _KIBIBYTES_PER_MEBIBYTE:
        return f"{kibibytes}{_GAP}KiB"
    return f"{kibibytes / _KIBIBYTES_PER_MEBIBYTE:.1f}{_GAP}MiB"


def language_tag(language: str) -> str:
    """Give a language for the `lang` attribute; empty (unknown) for what is no such tag."""
    return language if _LANGUAGE.fullmatch(language) else ""
