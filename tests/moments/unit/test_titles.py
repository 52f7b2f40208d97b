from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moment_finding_samples import config, spoken, transcript_of

from videomoments_dagster.moments.finding.extractive import find_moments
from videomoments_dagster.moments.finding.terms import sentence_terms
from videomoments_dagster.moments.finding.titles import TITLE_MAX_WIDTH, TitleWriter
from videomoments_dagster.moments.finding.word_classes import WordClasses

PRONOUN = re.compile(r"\b(?:it|he|she|they|we|you|i|this|that|these|those)\b", re.IGNORECASE)

LEARNING = (
    "So today, um, we're going to talk about how neural networks learn.",
    "And it's something that you and I do all of the time without noticing.",
    "But the core of it is gradient descent, and that's what they use to lower the cost function.",
    "Because gradient descent moves the weights of the neural networks until it ends.",
)


def title_of_moment(*texts: str, language: str = "en") -> str:
    """The title of the one moment that all of the speech is."""
    said = spoken(texts)
    transcript = transcript_of(said.words, said.segments, language=language)
    end = transcript.words[-1].end
    limits = config(min_length=end - 0.01, min_moments=1, max_moments=1)
    [draft] = find_moments(transcript, duration_seconds=end, config=limits).drafts
    return draft.title


def titles(*parts: tuple[str, ...], language: str = "en") -> list[str]:
    """The titles of parts of one transcript, in turn."""
    texts = [text for part in parts for text in part]
    terms = sentence_terms(texts, language=language)
    writer, first, given = TitleWriter(texts, terms=terms, language=language), 0, list[str]()
    for part in parts:
        given.append(writer.title(first, first + len(part), start_time=3725.0, taken=given))
        first += len(part)
    return given


def width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)


def test_a_title_has_no_pronoun_no_leading_conjunction_and_no_ellipsis() -> None:
    for texts in (LEARNING, LEARNING[1:], LEARNING[2:], LEARNING[3:]):
        title = title_of_moment(*texts)
        assert not PRONOUN.search(title), title
        assert not re.match(r"(?:and|but|so|because)\b", title, re.IGNORECASE), title
        assert "\u2026" not in title
        assert width(title) <= TITLE_MAX_WIDTH


@pytest.mark.parametrize(
    ("language", "texts", "title"),
    [
        ("en", LEARNING[:1], "How neural networks learn"),
        ("en", ("We're just building a bread oven.",), "Building a bread oven"),
        ("en", ("I think that the heat equation is what you need.",), "The heat equation"),
        ("en", ("It was in New York that they met it.",), "New York"),
        (
            "de",
            ("Also heute sprechen wir über die Auswirkungen des Klimawandels.",),
            "Auswirkungen des Klimawandels",
        ),
        (
            "de",
            ("Und dann sehen wir, warum neuronale Netze lernen.",),
            "Warum neuronale Netze lernen",
        ),
        ("fr", ("Alors on va parler du réchauffement climatique.",), "Réchauffement climatique"),
        ("fr", ("Pour construire un four à pain, il faut attendre.",), "Construire un four à pain"),
        (
            "es",
            ("Bueno, hoy vamos a hablar de la inteligencia artificial en las escuelas.",),
            "La inteligencia artificial en las escuelas",
        ),
        (
            "pt",
            ("Mas isso não é tudo.", "As secas matam as árvores da floresta amazônica."),
            "As árvores da floresta amazônica",
        ),
        ("it", ("Oggi parliamo dell'intelligenza artificiale.",), "Intelligenza artificiale"),
        ("zh", ("今天我们来讨论人工智能的历史。",), "人工智能的历史"),
        ("ja", ("今日は人工知能の歴史について話します。",), "人工知能の歴史"),
        (
            "ar",
            ("اليوم سوف نتحدث عن الذكاء الاصطناعي",),
            "الذكاء الاصطناعي",
        ),
        (
            "hi",
            ("आज हम भारत की अर्थव्यवस्था के बारे में बात करेंगे",),
            "भारत की अर्थव्यवस्था",
        ),
    ],
)
def test_titles_are_what_a_person_would_write(
    language: str, texts: tuple[str, ...], title: str
) -> None:
    assert titles(texts, language=language) == [title]


def test_the_title_says_what_sets_a_part_apart() -> None:
    bread = ("The oven bakes the bread.", "A bread oven is hot.", "So the bread oven needs wood.")
    lava = ("The oven is cold.", "Lava flows from the crater.", "The crater fills with lava.")
    first, second = titles(bread, lava)
    assert "bread" in first.lower()
    assert "crater" in second.lower() or "lava" in second.lower()


def test_two_parts_that_say_the_same_have_different_titles() -> None:
    part = ("The heat equation describes the bar.", "The metal bar cools.")
    assert len({title.casefold() for title in titles(part, part, part)}) == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<i>the heat</i> [music] *equation* &amp;", "The heat equation"),
        ("...", "Moment at 1:02:05"),
        ("x" * 200, "Moment at 1:02:05"),
        ("okay.", "Okay"),
        ("It is.", "It is"),
    ],
)
def test_a_title_is_plain_text_or_the_time_where_nothing_readable_is_said(
    text: str, expected: str
) -> None:
    assert titles((text,)) == [expected]


def test_a_long_pile_of_nouns_is_not_cut_in_its_middle() -> None:
    [title] = titles((" ".join(f"eruption{n}" for n in range(30)),))
    assert "\u2026" not in title
    assert width(title) <= TITLE_MAX_WIDTH


def test_captions_all_in_capitals_have_titles_in_sentence_case() -> None:
    assert titles(("NOW THEY SHOW HOW NEURAL NETWORKS LEARN.",)) == ["How neural networks learn"]


def test_german_nouns_are_capitals_where_an_engine_writes_none() -> None:
    assert titles(("heute geht es um die auswirkungen des klimawandels",), language="de") == [
        "Auswirkungen des Klimawandels"
    ]


@settings(deadline=None, max_examples=60)
@given(
    texts=st.lists(st.text(min_size=1, max_size=80), min_size=1, max_size=4),
    language=st.sampled_from(
        ["", "en", "de", "fr", "es", "pt", "it", "zh", "ja", "ar", "hi", "nl"]
    ),
)
def test_any_text_in_any_language_has_a_title_that_fits(texts: list[str], language: str) -> None:
    [title] = titles(tuple(texts), language=language)
    assert 0 < width(title) <= TITLE_MAX_WIDTH
    assert title.isprintable()


@settings(deadline=None, max_examples=60)
@given(text=st.text(max_size=80), language=st.sampled_from(["en", "de", "fr", "ar", "hi", "nl"]))
def test_every_word_has_one_class_and_lies_in_the_text(text: str, language: str) -> None:
    tagged = WordClasses([text], language=language).tagged(text)
    assert len(tagged.tags) == len(tagged.places)
    stops = [0, *(stop for _, stop in tagged.places)]
    for (start, stop), before in zip(tagged.places, stops[:-1], strict=True):
        assert before <= start < stop <= len(text)
