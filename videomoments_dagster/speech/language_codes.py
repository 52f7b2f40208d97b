"""Language codes as containers and file names write them, brought to ISO 639-1.

Belongs here: the mapping. Does not belong here: which languages an engine understands.
"""

from __future__ import annotations

_TWO_LETTERS = {
    "ara": "ar",
    "bul": "bg",
    "cat": "ca",
    "ces": "cs",
    "chi": "zh",
    "cze": "cs",
    "dan": "da",
    "deu": "de",
    "dut": "nl",
    "ell": "el",
    "eng": "en",
    "est": "et",
    "fas": "fa",
    "fin": "fi",
    "fra": "fr",
    "fre": "fr",
    "ger": "de",
    "gre": "el",
    "heb": "he",
    "hin": "hi",
    "hrv": "hr",
    "hun": "hu",
    "ice": "is",
    "ind": "id",
    "isl": "is",
    "ita": "it",
    "jpn": "ja",
    "kor": "ko",
    "lav": "lv",
    "lit": "lt",
    "may": "ms",
    "msa": "ms",
    "nld": "nl",
    "nob": "nb",
    "nor": "no",
    "per": "fa",
    "pol": "pl",
    "por": "pt",
    "ron": "ro",
    "rum": "ro",
    "rus": "ru",
    "slk": "sk",
    "slo": "sk",
    "slv": "sl",
    "spa": "es",
    "srp": "sr",
    "swe": "sv",
    "tam": "ta",
    "tha": "th",
    "tur": "tr",
    "ukr": "uk",
    "urd": "ur",
    "vie": "vi",
    "zho": "zh",
}
_KNOWN = frozenset(_TWO_LETTERS.values())


def two_letter(code: str | None, *, known_only: bool = False) -> str | None:
    """Give the ISO 639-1 code of a language code, without its region.

    Args:
        code: Such as "eng", "en-US", "pt_BR", "und" or None.
        known_only: Give None for codes that are not in the list, instead of the code itself.

    Returns:
        The two letters; the code itself in lower case where none are known; None for no
        language, which "und" means as well.
    """
    main = (code or "").replace("_", "-").split("-")[0].strip().lower()
    if main in {"", "und", "mul", "zxx"}:
        return None
    short = _TWO_LETTERS.get(main, main)
    return short if short in _KNOWN or not known_only else None
