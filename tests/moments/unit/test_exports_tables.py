"""Chapters, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from exported import material, moment_document, stored_video
from hypothesis import example, given
from hypothesis import strategies as st

from videomoments_dagster.base.failures import ExportRefused, ResultMissing
from videomoments_dagster.moments.exports.formats import FORMATS
from videomoments_dagster.moments.exports.json_document import json_document, whole_document
from videomoments_dagster.moments.exports.material import BOUNDARIES, material_of
from videomoments_dagster.moments.exports.moment_lists import (
    COLUMNS,
    chapters,
    chapters_text,
    csv_table,
)


def test_chapters_begin_at_0_and_with_each_moment() -> None:
    text = chapters_text(
        material(
            moment_document(1, 62.9, 80),
            moment_document(2, 3605, 3700, title="<b>The end\n0:00 of it"),
            duration_seconds=4000.0,
        )
    )

    assert text == "0:00 Beginning\n1:02 Moment 1\n1:00:05 \u2039b\u203aThe end 0:00 of it\n"


def test_a_moment_in_the_first_seconds_begins_the_first_chapter() -> None:
    moments = (moment_document(1, 4, 30), moment_document(2, 40, 50), moment_document(3, 70, 80))

    assert chapters_text(material(*moments)) == "0:00 Moment 1\n0:40 Moment 2\n1:10 Moment 3\n"


def test_of_moments_that_begin_together_the_best_has_the_chapter() -> None:
    exported = material(
        moment_document(1, 40, 50, score=3),
        moment_document(2, 45, 60, score=8),
        moment_document(3, 52, 60, score=None),
        moment_document(4, 100, 110, score=None),
    )

    assert list(chapters(exported.moments, duration=3600.0).values()) == [
        "Beginning",
        "Moment 2",
        "Moment 4",
    ]


def test_why_there_are_no_chapters_is_said() -> None:
    with pytest.raises(ExportRefused, match=r"3 or more.*'talk' give only 2 chapters"):
        chapters_text(material(moment_document(1, 40, 50)))
    with pytest.raises(ExportRefused, match="give no chapters"):
        chapters_text(material())
    with pytest.raises(ResultMissing, match="no moments"):
        chapters_text(material(moments_made=None))


@given(
    st.lists(st.tuples(st.floats(0, 5000), st.none() | st.integers(0, 10), st.text())),
    st.floats(1, 5000),
)
@example(moments=[(30.0, 1, "a"), (39.9, 2, "b"), (60.0, 1, "c")], duration=69.0)
def test_chapters_keep_youtubes_rules(
    moments: list[tuple[float, int | None, str]], duration: float
) -> None:
    exported = material(
        *(
            moment_document(number, start, start + 1, score=score, title=title)
            for number, (start, score, title) in enumerate(moments)
        ),
        duration_seconds=duration,
    )

    found = chapters(exported.moments, duration=duration)

    starts = list(found)
    assert starts[:1] in ([], [0])
    ends = [*starts[1:], duration] if starts else []
    assert all(b - a >= 10 for a, b in zip(starts, ends, strict=True))
    titles = found.values()
    assert all(1 <= len(title) <= 100 and not set("<>\n\r") & set(title) for title in titles)
    if len(found) >= 3:
        for line in chapters_text(exported).splitlines():
            assert re.match(r"(\d+:)?\d{1,2}:\d\d \S", line)


def test_a_row_a_moment_with_what_became_of_it() -> None:
    text = csv_table(
        material(
            moment_document(
                1,
                1.5,
                3.75,
                title='Say "yes", or no',
                scoring_model="scorer",
                generation_model="finder",
                refined={"start_time": 2.0, "end_time": 3.0, "score": None},
                clip={
                    "start_time": 0.0,
                    "end_time": 9.0,
                    "cloud_url": "gs://b/c.mp4",
                    "thumbnail_url": None,
                },
            )
        )
    )

    header, row = text.splitlines()
    assert header == ",".join(COLUMNS)
    assert row == (
        'talk,0000000000000001,1.5,3.75,2.25,"Say ""yes"", or no",5,scorer,finder,'
        "2.0,3.0,,0.0,9.0,gs://b/c.mp4,"
    )
    assert text.count("\r\n") == text.count("\n") == 2


@pytest.mark.parametrize("title", ["=1+1", "+1", "-1", "@SUM(A1)", "\uff1d1", "=cmd|' /C calc'!A0"])
def test_a_title_is_no_formula(title: str) -> None:
    [row] = csv.DictReader(io.StringIO(csv_table(material(moment_document(1, 0, 1, title=title)))))

    assert row["title"] == f"'{title}"


@given(st.lists(st.text(min_size=1), max_size=5))
def test_titles_come_back_from_csv_and_make_no_rows(titles: list[str]) -> None:
    moments = [moment_document(n, n, n + 1, title=title) for n, title in enumerate(titles)]
    exported = material(*moments)

    rows = list(csv.DictReader(io.StringIO(csv_table(exported), newline="")))

    assert len(rows) == len(titles)
    for row, moment in zip(rows, exported.moments, strict=True):
        assert row["title"].removeprefix("'") == moment.title.removeprefix("'")
        assert not row["title"].startswith(("=", "+", "-", "@"))


def test_json_has_everything_and_a_version() -> None:
    stored = stored_video(moment_document(1, 0, 1, title="\u202e\x9b"), transcript=None)

    text = json_document(material_of(stored))

    assert json.loads(text) == {"videomoments_export": 1, **whole_document(stored)}
    assert not any(character in text for character in "\u202e\x9b")


@pytest.mark.parametrize("name", FORMATS)
def test_a_video_that_is_only_registered_has_nothing_to_export(name: str) -> None:
    with pytest.raises(ResultMissing, match=r"registered, and nothing.*videomoments run talk"):
        FORMATS[name].write(material_of(stored_video(state="registered")))


@pytest.mark.parametrize("boundaries", BOUNDARIES)
def test_every_choice_of_boundaries_works_without_refined_moments_and_clips(
    boundaries: str,
) -> None:
    [moment] = material(moment_document(1, 2, 3), boundaries=boundaries).moments

    assert (moment.start, moment.end) == (2, 3)
