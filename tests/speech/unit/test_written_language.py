"""The language of a text that names none."""

# ruff: noqa: RUF001

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videomoments_dagster.speech.written_language import guessed_language

SAID = {
    "en": "The bees keep their honey in the cold. A hive holds many thousand bees all winter.",
    "de": "Heute reden wir über die neue Brücke. Der Zug war schon wieder zu spät.",
    "fr": "Aujourd'hui nous parlons du nouveau pont. Le train était encore en retard.",
    "es": "Hoy hablamos del puente nuevo. El tren llegó tarde otra vez esta mañana.",
    "pt": "Hoje vamos falar sobre a ponte nova. O que você acha disso?",
    "it": "Oggi parliamo del nuovo ponte. Il treno era di nuovo in ritardo stamattina.",
    "nl": "Vandaag praten we over de nieuwe brug. De trein was vanochtend weer te laat.",
    "sv": "I dag pratar vi om den nya bron. Tåget var sent igen i morse.",
    "pl": "Dzisiaj mówimy o nowym moście. Pociąg znowu się dziś spóźnił.",
    "ru": "Сегодня мы говорим о новом мосте.",
    "ja": "今日は新しい橋についてお話しします。",
    "zh": "今天我们谈谈那座新桥。你觉得怎么样?",
    "ko": "오늘은 새 다리에 대해 이야기합니다.",
}


@pytest.mark.parametrize("code", SAID)
def test_two_sentences_tell_their_language(code):
    guess = guessed_language(SAID[code])
    assert (guess.code, guess.is_sure) == (code, True)


def test_a_word_that_many_languages_have_is_not_sure():
    assert not guessed_language("Taxi").is_sure


@pytest.mark.parametrize("text", ["", " 12:30 -- 7", "?!"])
def test_a_text_without_letters_has_no_language(text):
    assert guessed_language(text) is None


@given(st.text(max_size=100))
def test_any_text_has_a_likelihood_between_0_and_1(text):
    guess = guessed_language(text)
    assert guess is None or (0 <= guess.probability <= 1 and 2 <= len(guess.code) <= 3)
