"""Caption files as they are found in the wild."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videomoments_dagster.speech.caption_files import NotCaptions, read_captions
from videomoments_dagster.speech.transcripts import well_formed

SRT = """1
00:00:01,000 --> 00:00:02,500
<i>Hello</i> there,

2
00:01:00,000 --> 01:00:02,000
caf\u00e9 &amp; bar
second line
"""


def texts(data):
    return [
        cue.text for cue in read_captions(data.encode() if isinstance(data, str) else data).cues
    ]


def times(data):
    return [(cue.start, cue.end) for cue in read_captions(data.encode()).cues]


def words(data):
    spoken = read_captions(data.encode()).spoken
    return [(w.text, round(w.start, 3), round(w.end, 3)) for _, ws in spoken for w in ws]


@pytest.mark.parametrize(
    "data",
    [
        SRT.encode(),
        codecs.BOM_UTF8 + SRT.encode(),
        SRT.encode("utf-16"),
        SRT.encode("utf-16-le"),
        SRT.encode("utf-16-be"),
        codecs.BOM_UTF16_BE + SRT.encode("utf-16-be"),
        SRT.encode("cp1252"),
        SRT.replace("\n", "\r\n").encode(),
        SRT.replace("\n", "\r").encode(),
        SRT.replace("\n\n", "\n").encode(),
        SRT.replace(",0", ".0").encode(),
    ],
)
def test_every_common_encoding_and_line_end_reads_the_same(data):
    assert texts(data) == ["Hello there,", "caf\u00e9 & bar second line"]
    assert [(c.start, c.end) for c in read_captions(data).cues] == [(1.0, 2.5), (60.0, 3602.0)]


def test_webvtt_headers_comments_styles_settings_and_voices_are_left_out():
    data = """WEBVTT - some title
Kind: captions
Language: pt-BR

STYLE
::cue { color: red }

NOTE 00:00:00.000 comments are not cues

intro
00:01.000 --> 00:02.000 align:start position:0%
<v.loud Mary Ann>It's <c.yellow>5 &lt; 6</c>&nbsp;now

NOTE a comment
of two lines

2
00:00:03.000 --> 00:00:04.000
<b>Bye</b>
"""
    captions = read_captions(data.encode())
    assert [cue.text for cue in captions.cues] == ["It's 5 < 6 now", "Bye"]
    assert captions.language == "pt-BR"
    assert captions.word_times_are_spread


def test_rolling_captions_say_everything_once_at_the_stamped_times():
    data = """WEBVTT
Kind: captions
Language: en

00:00:00.160 --> 00:00:02.000 align:start position:0%
\x20
so<00:00:00.400><c> here</c><00:00:00.900><c> we</c>

00:00:02.000 --> 00:00:02.010 align:start position:0%
so here we
\x20

00:00:02.010 --> 00:00:04.000 align:start position:0%
so here we
are<00:00:02.500><c> again</c>

00:00:04.000 --> 00:00:04.010 align:start position:0%
are again
\x20

00:00:04.010 --> 00:00:06.000 align:start position:0%
are again
[Music]
"""
    assert texts(data) == ["so here we", "are again"]
    assert words(data) == [
        ("so", 0.16, 0.4),
        ("here", 0.4, 0.9),
        ("we", 0.9, 2.0),
        ("are", 2.01, 2.5),
        ("again", 2.5, 4.0),
    ]
    assert not read_captions(data.encode()).word_times_are_spread


def test_rolling_captions_without_stamps_say_everything_once():
    data = """1
00:00:00,000 --> 00:00:02,000
one two

2
00:00:02,000 --> 00:00:02,010
one two

3
00:00:02,010 --> 00:00:04,000
one two
three four

4
00:00:04,000 --> 00:00:04,010
three four

5
00:00:04,010 --> 00:00:06,000
three four
five
"""
    assert texts(data) == ["one two", "three four", "five"]


def test_what_a_speaker_really_repeats_is_kept():
    data = "1\n00:00:01,000 --> 00:00:02,000\nNo.\n\n2\n00:00:02,000 --> 00:00:03,000\nNo.\n"
    assert texts(data) == ["No.", "No."]


def test_the_same_cue_twice_counts_once_and_simultaneous_cues_are_joined():
    data = """1
00:00:01,000 --> 00:00:02,000
- Hi.

2
00:00:01,000 --> 00:00:02,000
- Hi.

3
00:00:01,000 --> 00:00:02,000
- Hello.
"""
    assert texts(data) == ["Hi. Hello."]


def test_unsorted_cues_are_sorted():
    data = "1\n00:00:05,000 --> 00:00:06,000\nb\n\n2\n00:00:01,000 --> 00:00:02,000\na\n"
    assert texts(data) == ["a", "b"]
    assert times(data) == [(1.0, 2.0), (5.0, 6.0)]


def test_descriptions_of_sounds_music_and_position_tags_are_left_out():
    data = """1
00:00:01,000 --> 00:00:02,000
{\\an8}[door
closes] Come in \u266a

2
00:00:03,000 --> 00:00:04,000
[Applause]
"""
    assert texts(data) == ["Come in"]


def test_numbers_that_are_text_are_kept():
    data = """1
00:00:01,000 --> 00:00:02,000
The answer is
42

2
00:00:03,000 --> 00:00:04,000
7
"""
    assert texts(data) == ["The answer is 42", "7"]


def test_an_empty_cue_does_not_swallow_the_next_number():
    data = "1\n00:00:01,000 --> 00:00:02,000\n\n2\n00:00:03,000 --> 00:00:04,000\ntext\n"
    assert texts(data) == ["text"]


@pytest.mark.parametrize("data", [b"", b" \n\n", b"WEBVTT\n", codecs.BOM_UTF8 + b"WEBVTT\n\n"])
def test_a_file_without_cues_is_empty_captions(data):
    assert read_captions(data).cues == ()


@pytest.mark.parametrize("data", [b"just some text", b"\x00\x01\x02\xff" * 50, b"{1}{2}Hi"])
def test_what_is_no_caption_file_is_refused(data):
    with pytest.raises(NotCaptions, match="-->"):
        read_captions(data)


def test_words_are_spread_within_a_cue_by_length():
    assert words("1\n00:00:00,000 --> 00:00:15,000\nto befriend\nwe\n") == [
        ("to", 0.0, 3.0),
        ("befriend", 3.0, 12.0),
        ("we", 12.0, 15.0),
    ]


@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda t: ("WEBVTT\n\n" + t).encode()))
def test_no_bytes_make_the_reader_stumble(data):
    try:
        captions = read_captions(data)
    except NotCaptions:
        return
    well_formed(captions.spoken, duration=10)


fragments = st.sampled_from(
    [
        "00:00:01.000 --> 00:00:02.000",
        "00:00:02,000 --> 00:00:01,000",
        "99:59:59,999 --> 99:59:59,999 line:0",
        "<00:00:01.500>",
        "<c>",
        "a b",
        "[x",
        "]",
        "\n",
        "\n\n",
        " ",
        "12",
        "&lt;",
        "NOTE",
    ]
)


@given(st.lists(fragments, max_size=25), st.booleans())
def test_no_arrangement_of_caption_parts_makes_the_reader_stumble(parts, webvtt):
    try:
        captions = read_captions((("WEBVTT\n\n" if webvtt else "") + "".join(parts)).encode())
    except NotCaptions:
        return
    said, segments = well_formed(captions.spoken, duration=10)
    assert all(word.end <= 10 for word in said)
    assert all(segment.text for segment in segments)
