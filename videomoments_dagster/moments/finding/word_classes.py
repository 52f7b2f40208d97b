"""Word classes: what each word of a sentence is, one letter a word.

English and German are tagged by the Hanover Tagger, a trigram model of words and their parts whose
files come in its wheel (C. Wartena, "A Probabilistic Morphology Model for German Lemmatization",
KONVENS 2019). French, Spanish, Portuguese and Italian get by with their function words: what
follows an article or a preposition is a noun, and what follows a noun is an adjective if it ends
as adjectives do or if the two are said together more than once. Arabic and Hindi likewise.

    N noun   P name   A adjective   M number   G -ing form   I infinitive   E participle
    V verb   B adverb, particle   D article   O "of"   R other preposition   ' possessive 's
    C "and"   Q how, why, what   T "to"   X pronouns and what else no title holds   , punctuation
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

from videomoments_dagster.moments.finding.function_words import ROMANCE, WORD_CLASSES

_LONGEST_WORD = 40
_MODELS = {"en": "morphmodel_en.pgz", "de": "morphmodel_ger.pgz"}

# "it's" is two words, and so is "l'eau"; the mark belongs to the first where that is a whole word.
_ENGLISH_WORD = re.compile(
    r"\d+(?:[.,:]\d+)*|\w+?(?=n['\u2019]t\b)|n['\u2019]t\b|['\u2019](?:s|m|d|re|ve|ll)\b|"
    r"\w+(?:[-.&/+]\w+)*[+#]*|[^\w\s]",
    re.IGNORECASE,
)
_ELIDING_WORD = re.compile(
    r"\d+(?:[.,:]\d+)*|aujourd['\u2019]hui|\w{1,6}['\u2019](?=\w)|\w+(?:[-.&/]\w+)*|[^\w\s]",
    re.IGNORECASE,
)
_WORD = re.compile(
    r"\d+(?:[.,:]\d+)*|[\w\u0900-\u097f\u064b-\u065f]+(?:[-.'\u2019][\w\u0900-\u097f]+)*|[^\w\s]"
)

_FROM_BNC = {
    "NN": "N", "NP": "P", "AJ": "A", "CR": "M", "OR": "M", "AT": "D", "DT": "X", "DP": "X",
    "PN": "X", "AV": "B", "CJ": "X", "VM": "V", "ZZ": "N", "TO": "T", "XX": "X", "EX": "X",
    "UN": "X", "IT": "X", "PU": ",", "PO": "'", "PR": "R",
}  # fmt: skip
_FROM_BNC_WHOLE = {"PRF": "O", "VVG": "G", "VVN": "E", "VVI": "I", "VBG": "X", "VBI": "I"}
_FROM_STTS = {
    "NN": "N", "NNA": "N", "NNI": "N", "NE": "P", "ADJ(A)": "A", "ADJ(D)": "B", "CARD": "M",
    "ART": "D", "APPR": "R", "APPRART": "R", "KON": "X", "PWAV": "Q", "ADV": "B", "PTKZU": "T",
    "PTKVZ": "B", "VV(INF)": "I", "VV(PP)": "E", "FM": "P", "XY": "N",
}  # fmt: skip
_ENGLISH = {
    "and": "C", "or": "C", "how": "Q", "why": "Q", "what": "Q", "the": "D", "a": "D", "an": "D",
    "of": "O", "i": "X", "one": "X", "like": "X", "ago": "X", "um": "X", "uh": "X", "okay": "X",
    "ok": "X", "yeah": "X", "oh": "X", "hey": "X", "wow": "X", "hello": "X", "hi": "X", "no": "X",
    "yes": "X", "right": "X", "well": "X", "let": "X", "as": "X", "than": "X", "per": "X",
    "such": "X", "etc": "X", "gonna": "X", "gotta": "X", "wanna": "X", "please": "X", "say": "X",
    "stuff": "X", "here": "X", "there": "X",
}  # fmt: skip
_GERMAN = {
    "und": "C", "oder": "C", "wie": "Q", "warum": "Q", "wieso": "Q", "weshalb": "Q", "man": "X",
    "ja": "X", "nein": "X", "okay": "X", "also": "X", "kein": "X", "keine": "X", "als": "X",
    "hallo": "X", "danke": "X", "bitte": "X", "andere": "X", "anderen": "X", "ganze": "X",
    "ganzen": "X", "einer": "X", "wo": "X", "wann": "X",
}  # fmt: skip
_ADJECTIVE_END = re.compile(
    r"(?:al|aux|ale|ales|ique|iques|if|ifs|ive|ives|eux|euse|euses|el|els|elle|elles|aire|aires|"
    r"able|ables|ible|ibles|é|ée|és|ées|ois|oise|ain|aine|ien|ienne|iens|iennes)$|"
    r"(?:al|ales|ais|ic[oa]s?|iv[oa]s?|os[oa]s?|[aií]d[oa]s?|bles?|[ae]ntes?|ari[oa]s?|ores|or|an[oa]s?|"
    r"ar|ares|íst?ic[oa]s?|eir[oa]s?|ês|esa)$|"
    r"(?:ale|ali|ic[oaie]|ich[ei]|iv[oaie]|os[oaie]|[aiu]t[oaie]|bil[ei]|ari[oae]|ent[ei]|ant[ei]|"
    r"an[oaie]|es[ei])$"
)
# A present or future tense of a third person.
_ARABIC_AND = re.compile(r"\u0648(?:\u0627\u0644\w{2}|\u062a\w{3})")
_ARABIC_VERB = re.compile(r"(?:\u064a|\u0633\u064a|\u0633\u0646|\u0633\u062a)\w{3,}$")
_INFINITIVE_END = {
    "fr": re.compile(r"..(?:er|ir|oir|dre|tre|uire|aire|ire)$"),
    "es": re.compile(r"..(?:ar|er|ir)(?:se|lo|la|los|las)?$"),
    "pt": re.compile(r"..(?:ar|er|ir)$"),
    "it": re.compile(r"..(?:are|ere|ire|rsi)$"),
}


@dataclass(frozen=True, slots=True)
class TaggedSentence:
    """A sentence, and where its words lie in it.

    Attributes:
        text: As it was given.
        places: Start and stop of each word.
        tags: The class of each, one letter a word.
    """

    text: str
    places: tuple[tuple[int, int], ...]
    tags: str

    def part(self, first: int, stop: int) -> str:
        """The text from word `first` up to, not including, `stop`."""
        return self.text[self.places[first][0] : self.places[stop - 1][1]]


class WordClasses:
    """Tags the sentences of one transcript, whose own words help where no model does."""

    def __init__(self, texts: Sequence[str], *, language: str) -> None:
        """Look at the words.

        Args:
            texts: All sentences of the transcript.
            language: ISO 639-1 code; empty counts as English.
        """
        self.language = language[:2].lower() or "en"
        pattern = _ELIDING_WORD if self.language in ("fr", "it") else _WORD
        self._pattern = _ENGLISH_WORD if self.language in _MODELS else pattern
        self._classes = WORD_CLASSES.get(self.language, {})
        self._lacks_capitals = self.language == "de" and not any(map(_has_capital, texts))
        self._together: Counter[tuple[str, str]] = Counter()
        if self.language in ROMANCE:
            for text in texts:
                self._together.update(pairwise(self._pattern.findall(text.lower())))

    def tagged(self, text: str) -> TaggedSentence:
        """Tag one sentence."""
        found = [(match.group(), match.span()) for match in self._pattern.finditer(text)]
        if self.language == "ar":
            found = [
                (word[1:], (start + 1, stop)) if _ARABIC_AND.match(word) else (word, (start, stop))
                for word, (start, stop) in found
            ]
        words = [word.replace("\u2019", "'") for word, _ in found]
        if self.language in _MODELS:
            tags = _by_model(words, language=self.language)
        else:
            tags = self._by_function_words(words)
        places = tuple(place for _, place in found)
        if self._lacks_capitals:
            text = _with_capitals(text, places, tags)
        return TaggedSentence(text, places, tags)

    def _by_function_words(self, words: Sequence[str]) -> str:
        tags: list[str] = []
        for at, word in enumerate(words):
            before = tags[-1] if tags else ","
            lower = word.lower()
            if not _says(word):
                tags.append(",")
            elif known := self._classes.get(lower):
                # "des" and "da" are articles too, where no noun stands before them.
                tags.append("D" if known == "O" and before not in "NPAM" else known)
            elif word.isdigit():
                tags.append("M")
            elif self.language in ROMANCE:
                tags.append(self._romance(lower, words[at - 1].lower() if at else "", before))
                if tags[-1] == "v" and word[:1].isupper():
                    tags[-1] = "P"
            elif self.language == "ar" and _ARABIC_VERB.match(word) and before in "XVN,":
                tags.append("V")
            else:
                tags.append("N")
        return "".join(tags).replace("v", "V")

    def _romance(self, word: str, word_before: str, before: str) -> str:
        if before in "RO," and _INFINITIVE_END[self.language].search(word):
            return "I"
        if before in "DORAMC":
            return "N"
        if before == "N" and (self._together[word_before, word] > 1 or _ADJECTIVE_END.search(word)):
            return "A"
        return "v"


def _has_capital(text: str) -> bool:
    return text != text.lower()


def _with_capitals(text: str, places: Sequence[tuple[int, int]], tags: str) -> str:
    """A text of small letters only with its nouns written as German writes them."""
    letters = list(text)
    for (start, _), tag in zip(places, tags, strict=True):
        if tag in "NP" and len(letters[start].upper()) == 1:
            letters[start] = letters[start].upper()
    return "".join(letters)


def _says(word: str) -> bool:
    return any(map(str.isalnum, word))


@cache
def _model(language: str) -> Any:
    # A quarter of a second with its model, which only who finds moments should wait for.
    from HanTa.HanoverTagger import HanoverTagger  # noqa: PLC0415

    return HanoverTagger(_MODELS[language])


def _by_model(words: Sequence[str], *, language: str) -> str:
    if not words:
        return ""
    # Level 0: tags without lemmas. What a word is shows at its end; time grows with its length.
    shortened = [word if len(word) <= _LONGEST_WORD else word[-_LONGEST_WORD:] for word in words]
    found = _model(language).tag_sent(shortened, taglevel=0)
    known: Mapping[str, str] = _ENGLISH if language == "en" else _GERMAN
    give = _from_bnc if language == "en" else _from_stts
    pairs = zip(words, found, strict=True)
    return "".join(known.get(word.lower()) or give(word, tag) for word, tag in pairs)


def _from_bnc(word: str, tag: str) -> str:
    if not _says(word):
        return ","
    if word.startswith("'"):
        return "'" if tag == "POS" else "X"
    return _FROM_BNC_WHOLE.get(tag) or _FROM_BNC.get(tag[:2]) or ("V" if tag[:1] == "V" else "X")


def _from_stts(word: str, tag: str) -> str:
    if not _says(word):
        return ","
    return _FROM_STTS.get(tag) or ("V" if tag[:1] == "V" else "X")
