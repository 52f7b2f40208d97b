"""How many tokens a text may have, without the model's own tokenizer.

Belongs here: one conservative estimate. Does not belong here: exact counts, which servers give
with each answer.

Byte-pair encodings of today's models give English some 4 characters a token, other alphabets
fewer, and Chinese about one token a character. The estimate stays below those ratios, so that a
text that is said to fit does.
"""

from __future__ import annotations

import math
import re

_ASCII_CHARACTERS_PER_TOKEN = 3.2
_TOKENS_PER_OTHER_CHARACTER = 1.2
_ASCII_WORD = re.compile(r"[ -~]+")


def estimated_tokens(text: str) -> int:
    """Tokens that `text` has at most, by estimate; 0 only for the empty text."""
    plain = sum(len(match) for match in _ASCII_WORD.findall(text))
    other = len(text) - plain
    return math.ceil(plain / _ASCII_CHARACTERS_PER_TOKEN + other * _TOKENS_PER_OTHER_CHARACTER)
