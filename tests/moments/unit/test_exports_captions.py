"""Captions: readable, in order, and read the same by another parser."""

from __future__ import annotations

from itertools import pairwise

import pysubs2
import pytest
from exported import material, transcript
from hypothesis import given
from hypothesis import strategies as st

from videomoments_dagster.base.failures import ResultMissing
from videomoments_dagster.moments.exports.subtitles import (
    LINE_COLUMNS,
    LONGEST_MS,
    SHORTEST_MS,
    Subtitle,
    columns,
    subrip,
    subtitles,
    webvtt,
)
from videomoments_dagster.speech.transcripts import Segment, Transcript, Word

SENTENCE = (
    "The baker mixes flour and water and salt, and lets the dough rise in a warm bowl until the "
    "evening, when it is twice as large as it was."
)
HOSTILE = "1\n\n00:00:01.000 --> 00:00:09.000\n<b>&lt;{\\an8}injected</b>\n\nNOTE x"


def parsed(text: str, form: str) -> list[tuple[int, int, str]]:
    return [(one.start, one.end, one.plaintext) for one in pysubs2.SSAFile.from_string(text, form)]


def told(said: Transcript) -> tuple[Subtitle, ...]:
    return subtitles(said.segments, said.words)


def test_a_sentence_is_divided_at_its_words_into_two_lines_a_cue() -> None:
    shown = told(transcript((SENTENCE, 10.0, 24.0)))

    assert [cue.lines for cue in shown] == [
        ("The baker mixes flour", "and water and salt, and"),
        ("lets the dough rise in", "a warm bowl until the"),
        ("evening, when it is", "twice as large as it was."),
    ]
    assert shown[0].start_ms == 10_000
    assert shown[-1].end_ms == 24_000
    words = transcript((SENTENCE, 10.0, 24.0)).words
    starts = {round(word.start * 1000) for word in words}
    assert {cue.start_ms for cue in shown} <= starts


def test_vtt_and_srt_say_the_same_at_the_same_times() -> None:
    said = transcript((SENTENCE, 3599.0, 3612.5), ("Äpfel & Birnen <3", 3613.0, 3616.25))
    exported = material(transcript=said)

    vtt, srt = webvtt(exported), subrip(exported)

    assert vtt.startswith("WEBVTT\n\n00:59:59.000 --> ")
    assert srt.startswith("1\n00:59:59,000 --> ")
    assert "Äpfel &amp; Birnen &lt;3" in vtt
    assert [one[:2] for one in parsed(vtt, "vtt")] == [one[:2] for one in parsed(srt, "srt")]
    assert parsed(srt, "srt")[-1] == (
        3_613_000,
        3_616_250,
        "Äpfel & Birnen \N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}3",
    )


def test_nothing_that_is_said_becomes_a_cue_a_tag_or_a_note() -> None:
    said = transcript((HOSTILE, 1.0, 5.0))
    exported = material(transcript=said)
    shown = told(said)

    vtt, srt = webvtt(exported), subrip(exported)

    assert len(parsed(vtt, "vtt")) == len(parsed(srt, "srt")) == len(shown)
    assert vtt.count("-->") == srt.count("-->") == len(shown)
    assert "<" not in vtt + srt
    assert "{" not in srt
    assert not any(line.startswith("NOTE") for line in vtt.split("\n\n"))


def test_short_segments_are_shown_together_until_a_second_is_full() -> None:
    shown = told(
        transcript(("Yes.", 1.0, 1.3), ("No.", 1.4, 1.7), ("Well.", 1.8, 2.4), ("So.", 2.5, 2.8))
    )

    assert [(cue.start_ms, cue.end_ms, cue.lines) for cue in shown] == [
        (1000, 2400, ("Yes. No. Well.",)),
        (2500, 3500, ("So.",)),
    ]


def test_a_pause_ends_a_cue_and_a_long_word_is_not_shown_for_ever() -> None:
    words = [("Now", 1.0, 1.4), ("listen", 4.0, 30.0)]
    shown = told(transcript(("Now listen", 1.0, 30.0), words=words))

    assert [(cue.start_ms, cue.end_ms) for cue in shown] == [(1000, 2000), (4000, 11_000)]


def test_the_segments_own_spaces_and_commas_are_kept() -> None:
    words = [("今日は", 0.0, 1.0), ("良い", 1.0, 1.5), ("天気", 1.5, 2.0)]
    assert told(transcript(("今日は、良い天気。", 0.0, 2.0), words=words))[0].lines == (
        "今日は、良い天気。",
    )
    words = [("hello", 0.0, 1.0), ("world", 1.0, 2.0)]
    assert told(transcript(("Hello, world!", 0.0, 2.0), words=words))[0].lines == ("hello world",)


def test_wide_characters_take_two_columns() -> None:
    shown = told(transcript(("字" * 60, 0.0, 10.0)))

    assert columns("字a\u0301") == 3
    assert [tuple(map(columns, cue.lines)) for cue in shown] == [(42,), (38, 40)]


def test_a_segment_without_words_is_shown_at_its_own_times() -> None:
    shown = told(transcript((SENTENCE, 0.0, 14.0), words=[]))

    assert " ".join(line for cue in shown for line in cue.lines) == SENTENCE
    assert shown[0].start_ms == 0
    assert shown[-1].end_ms <= 14_000


def test_no_transcript_is_missing_and_no_speech_is_an_empty_file() -> None:
    for write in (webvtt, subrip):
        with pytest.raises(ResultMissing, match=r"no transcript of 'talk' yet.*videomoments run"):
            write(material())
    assert webvtt(material(transcript=transcript())) == "WEBVTT\n"
    assert subrip(material(transcript=transcript())) == ""


times = st.lists(st.floats(0, 40, allow_nan=False), min_size=2, max_size=40).map(sorted)
marks = ["-->", "00:00:01,000", "0:01.500", "<v Bob>", "{\\\\an8}", "&amp;", "7", "NOTE", "WEBVTT"]
texts = st.text(min_size=1, max_size=60).filter(lambda text: text.strip()) | st.lists(
    st.sampled_from(marks), min_size=1, max_size=4
).map(" ".join)


@st.composite
def transcripts(draw: st.DrawFn) -> tuple[list[Segment], list[Word]]:
    """What storage promises: in order, words inside segments; and otherwise anything."""
    edges = draw(times)
    segments: list[Segment] = []
    words: list[Word] = []
    for start, end in zip(edges[::2], edges[1::2], strict=False):
        said = draw(st.lists(texts, max_size=6))
        inside = sorted(
            draw(st.lists(st.floats(start, end), min_size=2 * len(said), max_size=2 * len(said)))
        )
        words += [
            Word(text, a, b) for text, a, b in zip(said, inside[::2], inside[1::2], strict=True)
        ]
        glue = draw(st.sampled_from([" ", "", ", "]))
        segments.append(Segment(glue.join(said) or draw(texts), start, end))
    return segments, words


@given(transcripts())
def test_cues_are_in_order_short_enough_and_never_overlap(
    said: tuple[list[Segment], list[Word]],
) -> None:
    shown = subtitles(*said)

    for cue in shown:
        assert 0 <= cue.start_ms < cue.end_ms <= cue.start_ms + LONGEST_MS
        assert 1 <= len(cue.lines) <= 2
        for line in cue.lines:
            assert line == line.strip() != ""
            assert columns(line) <= LINE_COLUMNS
            assert "\n" not in line
    for cue, following in pairwise(shown):
        assert cue.end_ms <= following.start_ms
        assert cue.end_ms >= min(cue.start_ms + SHORTEST_MS, following.start_ms)


@given(transcripts())
def test_other_parsers_find_just_these_cues(said: tuple[list[Segment], list[Word]]) -> None:
    segments, words = said
    spoken = transcript(
        *((one.text, one.start, one.end) for one in segments),
        words=[(one.text, one.start, one.end) for one in words],
    )
    exported = material(transcript=spoken)
    expected = [(cue.start_ms, cue.end_ms) for cue in told(spoken)]

    assert [one[:2] for one in parsed(subrip(exported), "srt")] == expected
    assert [one[:2] for one in parsed(webvtt(exported), "vtt")] == expected
