"""Captions as live captioning, editors, meeting programs and players leave them."""

# ruff: noqa: RUF001

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videomoments_dagster.speech.caption_files import NotCaptions, read_captions
from videomoments_dagster.speech.transcripts import well_formed


def clock(seconds):
    return f"00:{int(seconds) // 60:02d}:{int(seconds) % 60:02d},{round(seconds % 1 * 1000):03d}"


def srt(*cues):
    return "".join(
        f"{number}\n{clock(start)} --> {clock(end)}\n{text}\n\n"
        for number, (start, end, text) in enumerate(cues, 1)
    )


def texts(data):
    return [cue.text for cue in read_captions(data.encode()).cues]


def words(data):
    spoken = read_captions(data.encode()).spoken
    return [(w.text, round(w.start, 3), round(w.end, 3)) for _, ws in spoken for w in ws]


class TestRepeatedText:
    def test_three_rows_that_roll_up_are_said_once(self):
        data = srt(
            (1, 3, "line one\nline two\nline three"),
            (3, 5, "line two\nline three\nline four"),
            (5, 7, "line three\nline four\nline five"),
        )
        assert texts(data) == ["line one line two line three", "line four", "line five"]

    def test_a_line_that_grows_is_one_cue_with_the_times_of_its_words(self):
        data = srt(
            (1, 2, "So"), (2, 3, "So here"), (3, 4, "So here we are"), (4, 6, "And then we go")
        )
        assert texts(data) == ["So here we are", "And then we go"]
        assert words(data)[:4] == [
            ("So", 1, 2),
            ("here", 2, 3),
            ("we", 3, 3.429),
            ("are", 3.429, 4),
        ]

    def test_pauses_change_nothing(self):
        grown = [(0, 0.5, "So"), (0.5, 0.5, "So"), (1, 2, "So here"), (2.7, 4, "So here we are")]
        assert texts(srt(*grown, (9, 10, "So"))) == ["So here we are", "So"]
        rows = ["one\ntwo\nthree", "two\nthree\nfour", "three\nfour\nfive"]
        data = srt(*((at * 2, at * 2 + 1.5, text) for at, text in enumerate(rows)))
        assert " ".join(texts(data)) == "one two three four five"

    def test_a_line_that_grows_by_letters_keeps_its_words_whole(self):
        data = srt((1, 2, "th"), (2, 3, "the b"), (3, 4, "the bees"), (4, 5, "the bees keep"))
        assert texts(data) == ["the bees keep"]
        assert [word for word, _, _ in words(data)] == ["the", "bees", "keep"]

    def test_the_last_of_two_rows_can_grow_and_roll_up(self):
        data = srt(
            (1, 2, "we talk of\nbees"),
            (2, 3, "we talk of\nbees and"),
            (3, 4, "we talk of\nbees and honey"),
            (4, 5, "bees and honey\nin a"),
            (5, 6, "bees and honey\nin a cold"),
            (6, 7, "bees and honey\nin a cold winter"),
        )
        assert " ".join(texts(data)) == "we talk of bees and honey in a cold winter"
        assert words(data)[-3:] == [("a", 4.6, 5), ("cold", 5, 6), ("winter", 6, 7)]

    @pytest.mark.parametrize("mark", ["{}", "<u>{}</u>", '<font color="#ffff00">{}</font>'])
    def test_a_sentence_shown_anew_for_each_word_is_said_once_word_by_word(self, mark):
        said = ["The bees keep their honey.", "They never sleep at all."]
        cues = []
        for sentence in said:
            all_words = sentence.split()
            for at, word in enumerate(all_words):
                shown = [*all_words[:at], mark.format(word), *all_words[at + 1 :]]
                cues.append((len(cues), len(cues) + 1, " ".join(shown)))
        data = srt(*cues)
        assert texts(data) == said
        expected = [(word, at, at + 1) for at, word in enumerate(" ".join(said).split())]
        assert words(data) == expected

    def test_a_chorus_among_other_lines_is_sung_as_often_as_it_is(self):
        chorus = [(at, at + 1, "We will rock you.") for at in range(3)]
        verses = [(at, at + 1, f"Verse number {at} is another one.") for at in range(3, 12)]
        assert texts(srt(*chorus, *verses)).count("We will rock you.") == 3

    def test_a_long_sentence_said_a_few_times_is_no_karaoke(self):
        said = "The baker mixes flour and water and salt and lets the dough rise."
        data = srt(*((at * 3, at * 3 + 2.8, said) for at in range(5)))
        assert texts(data) == [said] * 5
        data = srt(*((at * 3, at * 3 + 3, "A longer pause may come.") for at in range(5)))
        assert texts(data) == ["A longer pause may come."] * 5

    def test_a_sentence_that_happens_to_begin_like_the_one_before_is_kept(self):
        data = srt((1, 2, "No"), (2, 3, "No one knows."), (3, 4, "Why?"), (4, 5, "I know."))
        assert texts(data) == ["No", "No one knows.", "Why?", "I know."]


class TestTimes:
    def test_times_without_fractions_are_understood_among_others(self):
        data = "1\n00:00:01,000 --> 00:00:03,000\nA.\n\n2\n00:00:04 --> 00:00:06\nB.\n\n"
        assert [(c.start, c.end, c.text) for c in read_captions(data.encode()).cues] == [
            (1, 3, "A."),
            (4, 6, "B."),
        ]

    def test_text_under_times_that_cannot_be_read_is_left_out_and_counted(self):
        data = srt((1, 2, "A.")) + "2\n00:0x:04,000 --> 00:00:06,000\nB.\n\n" + srt((7, 8, "C."))
        captions = read_captions(data.encode())
        assert [cue.text for cue in captions.cues] == ["A.", "C."]
        assert captions.notes == ("1 cues whose times cannot be read were left out",)

    def test_an_arrow_without_times_is_left_out_alone(self):
        assert texts(srt((1, 2, "from here\nA --> B\nto there"))) == ["from here to there"]

    def test_a_cue_that_begins_before_the_video_begins_at_0(self):
        data = "1\n-00:00:01,000 --> 00:00:02,000\nEarly words\n\n"
        (segment, said), *_ = read_captions(data.encode()).spoken
        assert (segment.start, segment.end) == (0, 2)
        assert [word.start for word in said] == [0, 1]

    def test_times_are_those_of_the_cue_where_an_editor_took_empty_rows_away(self):
        data = """WEBVTT

00:00:00.160 --> 00:00:02.000 align:start position:0%

so<00:00:00.400><c> here</c><00:00:00.900><c> we</c>

00:00:02.000 --> 00:00:02.010 align:start position:0%
so here we


00:00:02.010 --> 00:00:04.000 align:start position:0%
so here we
are<00:00:02.500><c> again</c>
"""
        assert words(data) == [
            ("so", 0.16, 0.4),
            ("here", 0.4, 0.9),
            ("we", 0.9, 2),
            ("are", 2.01, 2.5),
            ("again", 2.5, 4),
        ]


class TestLayout:
    def test_text_after_an_empty_line_belongs_to_its_cue(self):
        data = """WEBVTT

first
00:01.000 --> 00:03.000 line:91%

Second sentence on the bridge
and a third line.

NOTE nobody says this

second
00:04.000 --> 00:05.000

third
00:07.000 --> 00:09.000
Last one.
"""
        assert texts(data) == ["Second sentence on the bridge and a third line.", "Last one."]

    def test_numbers_of_cues_are_no_text_where_every_second_line_is_empty(self):
        data = srt((1, 2, "one thing"), (3, 4, "1984"), (5, 6, "two things"))
        for line_end in ("\n\n", "\r\r\n"):
            assert texts(data.replace("\n", line_end)) == ["one thing", "1984", "two things"]

    @pytest.mark.parametrize("said", ["a<b and c>d", "List<String> of", "array[0] or a[i][j]"])
    def test_what_looks_like_markup_and_is_none_is_said(self, said):
        assert texts(srt((1, 2, f"It is <i>{said}</i>."))) == [f"It is {said}."]

    def test_markup_of_subrip_is_left_out(self):
        data = srt((1, 2, '{\\an8}<B>One</B> <font color="red">two</font> [music] <s>three</s>'))
        assert texts(data) == ["One two three"]


class TestSpeakers:
    def test_labels_in_brackets_are_no_speech(self):
        data = srt((1, 2, "[SPEAKER_00]: Good morning."), (3, 4, "- [SPEAKER_01] : Hello: you."))
        assert texts(data) == ["Good morning.", "Hello: you."]

    @pytest.mark.parametrize("colon", [": ", ":\n", "："])
    def test_names_before_each_cue_are_no_speech(self, colon):
        said = [("Ann O'Neil", "So,"), ("Ann O'Neil", "shall we?"), ("Bob", "Yes.")]
        data = srt(*((at, at + 1, name + colon + line) for at, (name, line) in enumerate(said)))
        assert texts(data) == ["So,", "shall we?", "Yes."]

    def test_names_of_users_need_no_capital(self):
        said = ["ann_b: Well.", "cy: so: no.", "ann_b: See.", "cy: Yes."]
        data = srt(*((at, at + 1, line) for at, line in enumerate(said)))
        assert texts(data) == ["Well.", "so: no.", "See.", "Yes."]

    def test_names_where_the_speaker_changes_are_no_speech(self):
        turns = ["Ann: Well.", "It is cold.", "It is late.", "Dr. Bob (Host): Yes.", "Indeed."]
        lines = [line for _ in range(3) for line in turns]
        said = " ".join(texts(srt(*((at, at + 1, line) for at, line in enumerate(lines)))))
        assert said == "Well. It is cold. It is late. Yes. Indeed. " * 2 + (
            "Well. It is cold. It is late. Yes. Indeed."
        )

    def test_names_in_capitals_need_not_be_many(self):
        lines = ["JOHN: Hello.", *(f"And then {at} came." for at in range(30)), "JOHN: Goodbye."]
        said = texts(srt(*((at, at + 1, line) for at, line in enumerate(lines))))
        assert (said[0], said[-1]) == ("Hello.", "Goodbye.")

    @pytest.mark.parametrize(
        "line", ["Remember: never again.", "At 10:30 we go.", "https://example.org", "So: no."]
    )
    def test_a_colon_alone_makes_no_name(self, line):
        others = [(at, at + 1, f"Other words {at}.") for at in range(1, 9)]
        assert texts(srt((0, 1, line), *others))[0] == line

    def test_dashes_inside_a_line_are_its_own(self):
        line = "put-- use it \u2013 I had >> a vision"
        assert texts(srt((1, 2, f"- {line}"), (2, 3, f">> {line}"))) == [line, line]


class TestScriptsWithoutSpaces:
    def test_lines_of_chinese_are_joined_without_a_space_and_each_character_is_a_word(self):
        data = srt((1, 5, "今天我们\n谈谈桥。"))
        assert texts(data) == ["今天我们谈谈桥。"]
        assert [word for word, _, _ in words(data)] == [
            *"今天我们谈谈",
            "桥。",
        ]

    def test_words_of_other_scripts_stay_whole_and_spaced(self):
        data = srt((1, 5, "「新しい」iPhone 15のきょう"))
        expected = "「新|し|い」|iPhone|15|の|きょ|う"
        assert [word for word, _, _ in words(data)] == expected.split("|")
        assert texts(srt((1, 2, "한국\n단어"))) == ["한국 단어"]

    def test_growing_lines_of_japanese_are_said_once(self):
        data = srt((1, 2, "今"), (2, 3, "今日"), (3, 4, "今日は"))
        assert words(data) == [("今", 1, 2), ("日", 2, 3), ("は", 3, 4)]


any_line = st.lists(
    st.sampled_from(
        ["Ann:", "a b", "so", "[x]", "[SPEAKER_00]:", "<i>", "<00:00:02.5>", "-->", "7", "&lt;"]
    )
    | st.text("今日は a.:-[]<>{}\\", max_size=8),
    max_size=4,
).map(" ".join)
any_time = st.sampled_from(["00:00:01,000", "-00:00:01,5", "1:2", "00:07", "99:0:0.1", "00:0x:01"])
any_cue = st.tuples(any_time, any_time, st.lists(any_line, max_size=4))


@given(st.lists(any_cue, max_size=12), st.booleans(), st.sampled_from(["\n", "\n\n", "\r\r\n"]))
def test_any_captions_give_times_in_order_inside_the_video_and_no_arrow(cues, webvtt, end):
    blocks = (f"{start} --> {stop}\n" + "\n".join(lines) for start, stop, lines in cues)
    data = ("WEBVTT\n\n" if webvtt else "") + "\n\n".join(blocks)
    try:
        captions = read_captions(data.replace("\n", end).encode(), zero=0.5)
    except NotCaptions:
        return
    said, segments = well_formed(captions.spoken, duration=10)
    for pieces in (said, segments):
        edges = [edge for one in pieces for edge in (one.start, one.end)]
        assert edges == sorted(edges)
        assert all(0 <= edge <= 10 for edge in edges)
    assert not any("--" + ">" in segment.text for segment in segments)
    assert len(said) == sum(len(ws) for _, ws in captions.spoken if _starts_inside(ws))


def _starts_inside(said):
    return bool(said) and said[0].start < 10


@given(st.lists(st.text("ab c\n", min_size=1, max_size=6), min_size=1, max_size=12))
def test_cues_apart_from_each_other_are_all_said_as_they_are(lines):
    """Nothing rolls or grows where seconds lie between."""
    data = srt(*((at * 4, at * 4 + 1, line) for at, line in enumerate(lines)))
    expected = [" ".join(line.split()) for line in lines]
    assert texts(data) == [line for line in expected if line]
