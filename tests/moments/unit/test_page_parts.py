"""What a page is made of: addresses, words in their segments, and the timeline's geometry."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote_to_bytes, urljoin

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from videomoments_dagster.base.text import clock, clock_with_tenths, one_line
from videomoments_dagster.moments.page import page_parts as timeline
from videomoments_dagster.moments.page.page import language_tag, length, size
from videomoments_dagster.moments.page.page_addresses import (
    address_between,
    data_address,
    relative_address,
    web_address,
)
from videomoments_dagster.moments.page.page_parts import spoken_segments
from videomoments_dagster.moments.records import Clip, Moment
from videomoments_dagster.speech.transcripts import Segment, Transcript, Word

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=20)
PLACES = st.lists(NAMES.filter(lambda name: name not in (".", "..")), min_size=1, max_size=4)


@given(page=PLACES, file=PLACES)
def test_an_address_leads_from_the_page_to_the_file(page: list[str], file: list[str]) -> None:
    from_, to = Path("/", *page).absolute(), Path("/", *file).absolute()
    address = str(address_between(from_, to))
    assume(to not in (from_, *from_.parents))
    assert re.fullmatch(r"[A-Za-z0-9_.~%/-]+", address)
    base = "http://host/" + "/".join(str(relative_address([part])) for part in from_.parts[1:])
    found = unquote_to_bytes(urljoin(base, address).removeprefix("http://host"))
    assert found == bytes(to)


@pytest.mark.parametrize("kind", ["text/html", "image/svg+xml;x", "video/mp4,<b>", ""])
def test_only_media_are_embedded(kind: str) -> None:
    with pytest.raises(ValueError, match="no media type"):
        data_address(kind, b"")


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "https:example.org",
        "https://",
        "https://a:b@example.org/",
        "https://example.org:port/",
        "https://example.org/ x",
        "https://example.org/<b>",
        "https://example.org/\u202e",
        "//example.org/",
        "ftp://example.org/",
    ],
)
def test_what_is_no_plain_web_address_is_none(url: str) -> None:
    assert web_address(url) is None


def _read(numbers: str, text: str, start: float) -> list[tuple[str, float]]:
    """Read the numbers of a segment as the page's script does."""
    units = text.encode("utf-16-le")
    place, hundredths = 0, round(start * 100)
    found = []
    values = [int(number) for number in numbers.split()]
    for gap, extent, later in zip(values[::3], values[1::3], values[2::3], strict=True):
        begins = place + gap
        place = begins + extent
        hundredths += later
        found.append((units[begins * 2 : place * 2].decode("utf-16-le"), hundredths / 100))
    return found


WORDS = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=6)
    .map(one_line)
    .filter(bool),
    min_size=1,
    max_size=6,
)


@given(sentences=st.lists(WORDS, min_size=1, max_size=4), touching=st.booleans())
def test_every_word_is_found_in_its_segment_at_its_time(
    sentences: list[list[str]], *, touching: bool
) -> None:
    words: list[Word] = []
    segments: list[Segment] = []
    time = 0.0
    for sentence in sentences:
        start = time
        for text in sentence:
            words.append(Word(text, time, time + 0.25))
            time += 0.25
        segments.append(Segment(" ".join(sentence), start, time))
        time += 0.0 if touching else 1.0
    made = spoken_segments(Transcript("", tuple(words), tuple(segments), "en", "x", 0.0))
    assert [(one.text, one.start) for one in made] == [
        (" ".join(sentence), segment.start)
        for sentence, segment in zip(sentences, segments, strict=True)
    ]
    if not touching:
        found = [pair for one in made for pair in _read(one.words, one.text, one.start)]
        assert found == [(word.text, pytest.approx(word.start)) for word in words]


def test_a_word_that_is_not_in_the_text_is_left_out_and_the_rest_stay() -> None:
    words = (Word("a", 0, 0.1), Word("hm", 0.2, 0.3), Word("b", 0.4, 0.5), Word("c", 1.0, 1.2))
    segments = (Segment("a  b", 0, 1.0), Segment("", 1.0, 1.0), Segment("😀 c", 1.0, 1.2))
    first, second = spoken_segments(Transcript("", words, segments, "en", "x", 0.0))
    assert _read(first.words, first.text, first.start) == [("a", 0.0), ("b", 0.4)]
    assert _read(second.words, second.text, second.start) == [("c", 1.0)]


TIMES = st.floats(0, 20_000)


@given(
    duration=st.floats(0.04, 20_000), start=TIMES, long=TIMES, score=st.none() | st.integers(-3, 13)
)
def test_everything_lies_inside_the_timeline(
    duration: float, start: float, long: float, score: int | None
) -> None:
    moment = Moment("0" * 16, start, start + long, "t", "m", score=score)
    clip = Clip("0" * 16, "u", start, start + long, 0, 0, None, None, None, None, None)
    for bar in (
        timeline.moment_bar(moment, duration),
        timeline.refined_bar(moment, duration),
        timeline.clip_bar(clip, duration),
    ):
        x, width = float(bar.x[:-1]), float(bar.width[:-1])
        assert x >= 0
        assert width > 0
        assert x + width <= 100.01
        assert bar.y >= timeline.BARS_TOP
        assert bar.height > 0
    marks = timeline.ticks(duration)
    assert 1 <= len(marks) <= 6
    path = timeline.speech_path([Word("w", start, start + long)], duration)
    assert all(0 <= int(y) <= 100 for y in re.findall(r"V(\d+)", path))


def test_speech_is_drawn_where_it_is() -> None:
    path = timeline.speech_path([Word("w", 50.0, 51.0)], 100.0)
    levels = [int(level) for level in re.findall(r"V(\d+)h1", path)]
    assert len(levels) == timeline.SPEECH_BINS
    assert [number for number, level in enumerate(levels) if level < 100] == [100, 101]
    assert timeline.speech_path([], 100.0) == ""


def test_times_and_sizes_in_words() -> None:
    assert [clock(seconds) for seconds in (0, 59.99, 61, 3600)] == [
        "0:00",
        "0:59",
        "1:01",
        "1:00:00",
    ]
    assert [clock_with_tenths(seconds) for seconds in (0.04, 59.97)] == ["0:00.0", "1:00.0"]
    assert [length(seconds).split() for seconds in (5, 60, 61)] == [
        ["5", "s"],
        ["1", "min"],
        ["1", "min", "1", "s"],
    ]
    assert [size(kibibytes).split() for kibibytes in (None, 5, 2048)] == [
        [],
        ["5", "KiB"],
        ["2.0", "MiB"],
    ]
    assert [language_tag(tag) for tag in ("de", "zh-Hant", "", "a b", "<b>")] == [
        "de",
        "zh-Hant",
        "",
        "",
        "",
    ]
