"""Time lines as pictures inside Markdown."""

from __future__ import annotations

import re
from itertools import pairwise
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from videomoments_dagster.base.text import clock, tick_times
from videomoments_dagster.moments.metadata.pictures import (
    INLINE_CHARACTERS,
    MOST_CHARACTERS,
    Timeline,
    large_timeline,
    markdown_picture,
    small_timeline,
    text_content,
)
from videomoments_dagster.moments.records import Moment


def bar(start: float, end: float, score: int | None = None) -> Moment:
    return Moment("0" * 16, start, end, "", "extractive", score=score)


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    duration = draw(st.floats(min_value=0, max_value=200_000))
    edges = sorted(draw(st.lists(st.floats(0, 1), max_size=240)))
    scores = st.none() | st.integers(0, 10)
    bars = [
        bar(start * duration, end * duration, draw(scores))
        for start, end in zip(edges[::2], edges[1::2], strict=False)
    ]
    level = draw(st.floats(0, 1))
    before = bars if draw(st.booleans()) else []
    return Timeline(
        duration, lambda parts: [level * (n % 3) / 2 for n in range(parts)], bars, before
    )


def svg_of(markdown: str) -> str:
    found = re.fullmatch(r"!\[[^\]]*\]\(data:image/svg\+xml,([^\s()<>\"]*)\)", markdown)
    assert found is not None, markdown[:200]
    return unquote(found[1])


@given(timelines())
def test_time_lines_are_small_well_formed_and_the_same_each_time(timeline: Timeline) -> None:
    for draw, most in ((small_timeline, INLINE_CHARACTERS), (large_timeline, MOST_CHARACTERS)):
        markdown = draw(timeline)
        assert markdown == draw(timeline)
        assert len(markdown) <= most
        if markdown:
            ET.fromstring(svg_of(markdown))  # noqa: S314 - our own


def timeline(*bars: Moment, before: tuple[Moment, ...] = ()) -> Timeline:
    return Timeline(100.0, lambda parts: [1.0] * parts, bars, before)


def test_moments_are_drawn_where_they_are() -> None:
    svg = svg_of(small_timeline(timeline(bar(25, 50, 7), bar(75, 100, 10))))
    assert "M150,20h150M450,20h150" in svg
    assert ">710</text>" in svg
    assert "x='222,518,525'" in svg


def test_a_better_moment_is_drawn_stronger() -> None:
    svg = svg_of(large_timeline(timeline(bar(0, 10, 2), bar(20, 30, 10))))
    strengths = [float(one) for one in re.findall(r"class='m' opacity='([\d.]+)'", svg)]
    assert strengths == sorted(strengths)
    assert len(set(strengths)) == 2


def test_refined_moments_are_drawn_below_what_they_were() -> None:
    svg = svg_of(large_timeline(timeline(bar(11, 31, 5), before=(bar(10, 30, 5),))))
    [found] = re.findall(r"class='o' d='M[\d.]+,(\d+)", svg)
    [moved] = re.findall(r"class='m'[^>]* d='M[\d.]+,(\d+)", svg)
    assert int(found) < int(moved)


def test_the_words_beside_the_picture_say_the_same() -> None:
    markdown = large_timeline(timeline(bar(0, 10, 2), bar(20, 30)))
    assert "2 moments" in markdown
    assert "0:00 to 0:10 (score 2), 0:20 to 0:30" in markdown


def test_hours_of_moments_still_have_a_large_time_line() -> None:
    many = [bar(n * 60.0, n * 60.0 + 40, n % 11) for n in range(300)]
    crowded = Timeline(18_000.0, lambda parts: [0.5] * parts, many, many)
    assert small_timeline(crowded) == ""
    assert len(large_timeline(crowded)) > 5_000


@given(st.text())
def test_words_of_a_picture_cannot_end_it_and_text_cannot_be_markup(text: str) -> None:
    assert re.fullmatch(
        r"!\[(?:[^\[\]\\]|\\.)*\]\(x\)", markdown_picture("x", words=text), re.DOTALL
    )
    element = ET.fromstring(f"<text>{text_content(text)}</text>")  # noqa: S314
    assert len(element) == 0


@given(st.floats(min_value=0, max_value=1e6), st.integers(2, 20))
def test_ticks_are_round_rising_and_not_too_many(duration: float, at_most: int) -> None:
    ticks = tick_times(duration, at_most=at_most)
    assert ticks[0] == 0
    assert len(ticks) <= at_most
    assert ticks[-1] <= duration
    assert len({b - a for a, b in pairwise(ticks)}) <= 1


def test_times_are_shown_as_people_read_them() -> None:
    assert [clock(t) for t in (-1, 0, 59.9, 60, 3599, 3600, 36_061)] == [
        "0:00",
        "0:00",
        "0:59",
        "1:00",
        "59:59",
        "1:00:00",
        "10:01:01",
    ]
