"""From the bytes of a caption file to its text, in whatever encoding somebody saved it."""

from __future__ import annotations

import codecs
import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise

from videomoments_dagster.speech.written_language import guessed_language

# The encodings that captions come in beside Unicode, and the languages that are written in each.
_LEGACY = {
    "cp1252": "af br ca da de en es eu fi fo fr ga gl id is it ms nl no pt sv sw tl",
    "cp1251": "be bg kk mk mn ru sr uk",
    "cp1250": "bs cs hr hu pl ro sk sl sq",
    "cp1253": "el",
    "cp1254": "az tr",
    "cp1255": "he yi",
    "cp1256": "ar fa ur",
    "cp1257": "et lt lv",
    "cp1258": "vi",
    "koi8_r": "ru",
    "cp932": "ja",
    "euc_jp": "ja",
    "gb18030": "zh",
    "big5": "zh",
    "cp949": "ko",
    "cp874": "th",
}
# Any text of single bytes looks like Thai: no other language is written in its letters.
_ALWAYS_LIKELY = {"cp874": 0.6}
_ODD_CATEGORIES = frozenset(("Cc", "Cf", "Cn", "Co", "Lm", "No", "Sc", "Sk", "Sm", "So"))
_MOST_CHARACTERS_JUDGED = 20_000
_NO_TEXT = re.compile(r"[\d:,.>\-]+")
_REPLACED = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True)
class DecodedText:
    """A text, and what a reader should know of how it was read; empty for plain UTF-8."""

    text: str
    note: str = ""


def decoded(data: bytes) -> DecodedText:
    """Read bytes as UTF-8 or UTF-16, or in the encoding in which they make sense.

    A few bytes that are no UTF-8 do not make another encoding of a text that is: files are cut in
    the middle of a character.
    """
    utf16 = _utf16(data)
    if utf16:
        return DecodedText(data.decode(utf16, errors="replace"), "It was read as UTF-16")
    try:
        return DecodedText(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        text = data.decode("utf-8-sig", errors="replace")
        damaged = text.count(_REPLACED)
        whole = sum(one > "\x7f" for one in text) - damaged
        if whole > damaged or (damaged == 1 and error.reason == "unexpected end of data"):
            places = "1 place is" if damaged == 1 else f"{damaged} places are"
            return DecodedText(text, f"It was read as UTF-8, of which {places} damaged")
    return _legacy(data)


def _utf16(data: bytes) -> str | None:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    head = data[:200]
    zeros_first, zeros_second = head[::2].count(0), head[1::2].count(0)
    if max(zeros_first, zeros_second) <= len(head) // 4:
        return None
    return "utf-16-be" if zeros_first > zeros_second else "utf-16-le"


def _legacy(data: bytes) -> DecodedText:
    """Take the encoding in which the text is most clearly of a language that is written in it.

    Statistics of bytes alone fail on captions, which are short and mostly numbers.
    """
    best, text, language = 0.0, "", ""
    for encoding, languages in _LEGACY.items():
        try:
            read = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        telling = _telling(read)
        guess = guessed_language(telling)
        if guess is None or guess.code not in languages.split():
            continue
        likely = guess.probability * _ALWAYS_LIKELY.get(encoding, 1.0) - 2 * _oddity(telling)
        if likely > best:
            best, text, language = likely, read, f"{encoding}, in which it is '{guess.code}'"
    if language:
        return DecodedText(text, f"It is no UTF-8 and was read as {language}")
    return DecodedText(
        data.decode("cp1252", errors="replace"),
        "It is no UTF-8 and was read as cp1252, since no encoding gives it a language",
    )


def _telling(text: str) -> str:
    """The lines that depend on the encoding, without what is no text."""
    lines = [line for line in text.splitlines() if not line.isascii()]
    return _NO_TEXT.sub(" ", "\n".join(lines)[:_MOST_CHARACTERS_JUDGED])


def _oddity(text: str) -> float:
    """Share of the characters beyond ASCII that stand where nobody writes them."""
    foreign = sum(one > "\x7f" for one in text)
    odd = sum(unicodedata.category(one) in _ODD_CATEGORIES for one in text if one > "\x7f")
    odd += sum(
        (one.islower() and following.isupper()) or _is_mixed(one, following)
        for one, following in pairwise(text)
    )
    return odd / max(foreign, 1)


def _is_mixed(one: str, following: str) -> bool:
    """Whether letters meet that no word has both of."""
    low, high = sorted((one, following))
    if low.isascii():
        # Latin, and Greek, Cyrillic, Hebrew, Arabic or Thai.
        return low.isalpha() and "\u0370" <= high <= "\u0e7f" and high.isalpha()
    # Chinese, and Korean.
    return "\u4e00" <= low <= "\u9fff" and "\uac00" <= high <= "\ud7a3"
