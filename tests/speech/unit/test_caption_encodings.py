"""Caption files are read in whatever encoding somebody saved them, and say so."""

# ruff: noqa: RUF001

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videomoments_dagster.speech.caption_files import read_captions
from videomoments_dagster.speech.caption_text import decoded

SAID = {
    "cp1252": "Während der Teig ruht, müssen wir über die Brücke reden.",
    "cp1250": "Dziś mówimy o pszczołach, które trzymają miód w chłodzie.",
    "cp1251": "Привет, как дела? Мы говорим о пчёлах.",
    "koi8_r": "Привет, как дела? Мы говорим о пчёлах.",
    "cp1253": "Σήμερα μιλάμε για τη νέα γέφυρα.",
    "cp1254": "Bugün yeni köprüden bahsediyoruz, arılar da çalışıyor.",
    "cp932": "今日は新しい橋についてお話しします。",
    "gb18030": "今天我们谈谈那座新桥，然后欢迎大家回来。",
    "cp949": "오늘은 새 다리에 대해 이야기합니다.",
}


def one_cue(text):
    return f"1\n00:00:01,000 --> 00:00:03,000\n{text}\n"


@pytest.mark.parametrize("encoding", SAID)
def test_one_sentence_tells_its_encoding_and_the_note_says_it(encoding):
    captions = read_captions(one_cue(SAID[encoding]).encode(encoding))
    assert captions.cues[0].text == SAID[encoding]
    assert f"was read as {encoding}" in captions.notes[0]


def test_one_accent_is_read_as_west_european():
    captions = read_captions(one_cue("The café is open.").encode("cp1252"))
    assert captions.cues[0].text == "The café is open."


@pytest.mark.parametrize("text", ["пчёлы и мёд", "café"])
def test_utf8_that_ends_inside_a_character_is_still_utf8(text):
    captions = read_captions(one_cue(text).encode().rstrip()[:-1])
    assert captions.cues[0].text == text[:-1] + "\N{REPLACEMENT CHARACTER}"
    assert captions.notes == ("It was read as UTF-8, of which 1 place is damaged",)


def test_a_note_says_that_a_file_was_utf16():
    assert "UTF-16" in read_captions(one_cue("Hello.").encode("utf-16")).notes[0]


def test_plain_utf8_needs_no_note():
    assert read_captions(one_cue("café 今").encode()).notes == ()


@given(st.binary(max_size=200))
def test_any_bytes_are_read_as_something(data):
    assert isinstance(decoded(data).text, str)
