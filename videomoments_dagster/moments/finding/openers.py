"""Words that a sentence begins with and stands without: "So", "And", "Um".

Only words after which the sentence keeps its order are here: German "also" and Dutch "dus" turn the
verb around, so they go only where a comma sets them apart.
"""

from __future__ import annotations

from collections.abc import Sequence

from videomoments_dagster.speech.transcripts import Word

_FEWEST_WORDS_LEFT = 4
_MARKS = ".,;:!?\u2026-\u2013\u2014\"'\u2018\u2019\u201c\u201d\u00ab\u00bb()[]"

# By language: words that go, and words that go only with a comma behind them.
_OPENER_LISTS = {
    "en": ("so and but um uh er erm hmm okay ok", "well now right yeah yes like alright anyway"),
    "de": ("und aber denn \u00e4h \u00e4hm", "also ja so nun gut okay"),
    "fr": ("et mais donc euh", "bon alors ben voil\u00e0 ok"),
    "es": ("y e pero eh", "bueno pues entonces ok"),
    "it": ("e ed ma ehm eh", "allora quindi dunque bene ok"),
    "pt": ("e mas ent\u00e3o eh", "bom bem ok"),
    "nl": ("en maar want eh uh", "dus nou ja ok\u00e9"),
}
_OPENERS = {
    language: (frozenset(always.split()), frozenset(with_comma.split()))
    for language, (always, with_comma) in _OPENER_LISTS.items()
}
# "So much of it", "and so on", "but for the rain": together they mean something else, and a clause
# that begins with "which" needs what it hangs on.
_BELONGING_LIST = """
so much|so many|so far|so long|so few|so little|so that|so as|so do|so does|so did|so is|so are
so was|so were|so called|so often|so good|so bad|so be|so help
and vice|and which|and who|and whose|and nor|but for|but which|but who
und so|et qui|et que|mais que|y que|e che|e que|en dat
"""
_BELONGING = frozenset(
    tuple(pair.split()) for pair in _BELONGING_LIST.strip().replace("\n", "|").split("|")
)
_AND_SO = {("and", "so", "on"), ("and", "so", "forth")}


def openers_before(words: Sequence[Word], first: int, stop: int, *, language: str) -> int:
    """How many words at the front of a sentence it stands without.

    Args:
        words: Words in order.
        first: Index of the sentence's first word.
        stop: Index after its last word.
        language: ISO 639-1 code; empty counts as English, and of others nothing goes.

    Returns:
        A count; what is left has at least four words.
    """
    always, with_comma = _OPENERS.get(language[:2].lower() or "en", (frozenset(), frozenset()))
    at = first
    while stop - at > _FEWEST_WORDS_LEFT:
        spoken = words[at].text.strip()
        here, *following = (_plain(word.text) for word in words[at : at + 3])
        set_apart = spoken.endswith(",")
        goes = here in always or (set_apart and here in with_comma)
        belongs = (here, following[0]) in _BELONGING or (here, *following) in _AND_SO
        if not goes or (belongs and not set_apart):
            break
        at += 1
    return at - first


def _plain(text: str) -> str:
    return text.strip().strip(_MARKS).casefold()
