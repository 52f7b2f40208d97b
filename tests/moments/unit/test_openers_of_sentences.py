"""Words that a sentence stands without."""

from __future__ import annotations

import pytest

from videomoments_dagster.moments.finding.openers import openers_before
from videomoments_dagster.speech.transcripts import Word


def dropped(sentence: str, language: str = "en") -> str:
    """What goes of a sentence."""
    words = [Word(text, float(n), n + 0.5) for n, text in enumerate(sentence.split())]
    return " ".join(sentence.split()[: openers_before(words, 0, len(words), language=language)])


@pytest.mark.parametrize(
    ("sentence", "goes"),
    [
        ("So the dough rises in the bowl.", "So"),
        ("And so my fellow Americans, ask not what.", "And so"),
        ("But, um, the dough rises in the bowl.", "But, um,"),
        ("Well, the dough rises in the bowl.", "Well,"),
        ("The dough rises in the bowl.", ""),
    ],
)
def test_what_only_leads_in_goes(sentence: str, goes: str) -> None:
    assert dropped(sentence) == goes


@pytest.mark.parametrize(
    "sentence",
    [
        "So much of it is never seen again.",
        "So far nobody has seen it again.",
        "And which of them is the better one?",
        "But for the rain it was a good day.",
        "Well made bread keeps for a whole week.",
        "And so on and so forth, as they say.",
        "So it does.",
        "And",
    ],
)
def test_what_means_something_stays(sentence: str) -> None:
    assert dropped(sentence) == ""


@pytest.mark.parametrize(
    ("language", "sentence", "goes"),
    [
        ("de", "Und der Teig geht in der Schale auf.", "Und"),
        ("de", "Also haben wir den Teig stehen lassen.", ""),
        ("de", "Also, wir haben den Teig stehen lassen.", "Also,"),
        ("fr", "Mais la pâte lève dans le bol.", "Mais"),
        ("es", "Pero la masa sube en el cuenco.", "Pero"),
        ("xx", "So the dough rises in the bowl.", ""),
        ("", "So the dough rises in the bowl.", "So"),
        ("en-GB", "So the dough rises in the bowl.", "So"),
    ],
)
def test_each_language_has_its_own(language: str, sentence: str, goes: str) -> None:
    assert dropped(sentence, language) == goes
