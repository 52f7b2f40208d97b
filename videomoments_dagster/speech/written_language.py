"""In which language a text is written, found out from the text alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

# What says nothing of a language, and much of a caption file: numbers, times, marks.
_NO_LETTERS = re.compile(r"[\W\d_]+")
# A talk's first half hour. More would only take longer.
_MOST_CHARACTERS = 30_000
# Wu and Cantonese are written in characters that short texts in Chinese share with them.
_WRITTEN_AS = {"wuu": "zh", "yue": "zh", "nn": "no", "nb": "no", "arz": "ar", "ary": "ar"}
_SURE = 0.6


@dataclass(frozen=True, slots=True)
class LanguageGuess:
    """The language that a text is most likely in.

    Attributes:
        code: ISO 639-1 code, or ISO 639-3 where there is none of two letters.
        probability: How likely that is, 0 to 1.
    """

    code: str
    probability: float

    @property
    def is_sure(self) -> bool:
        """Whether it can be relied on; a wrong language does more harm than none."""
        return self.probability >= _SURE


def guessed_language(text: str) -> LanguageGuess | None:
    """Tell the language of a text from its letters; None where it has none."""
    letters = _NO_LETTERS.sub(" ", text[:_MOST_CHARACTERS]).strip()
    if not letters:
        return None
    code, probability = _identifier().classify(letters)
    return LanguageGuess(_WRITTEN_AS.get(code, code), float(probability))


@cache
def _identifier() -> Any:
    # Half a second and 20 MB, which only captions that name no language need.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # noqa: PLC0415

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
