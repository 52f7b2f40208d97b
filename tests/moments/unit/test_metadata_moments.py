"""What the UI says about moments, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from moment_finding_samples import spoken

from videomoments_dagster.moments.metadata.materialisations import moments_metadata
from videomoments_dagster.moments.records import Moment, Moments
from videomoments_dagster.speech.transcripts import Transcript

DURATION = 192.6
SILENT = Transcript(
    full_text="",
    language="en",
    transcription_service="test",
    processing_time_seconds=0.0,
    segments=(),
    words=(),
)


def moment(start: float, end: float, score: int | None, title: str, parent: str = "") -> Moment:
    return Moment(
        identifier=f"{start}{parent}",
        start_time=start,
        end_time=end,
        title=title,
        generation_model="test",
        score=score,
        parent_identifier=parent or None,
    )


def told(found: Sequence[Moment], why_fewer: str = "") -> dict[str, Any]:
    moments = Moments(moments=tuple(found), why_fewer=why_fewer)
    return moments_metadata(moments, transcript=SILENT, duration_seconds=DURATION)


def test_the_summary_names_the_best_moment_and_says_how_to_read_the_timeline() -> None:
    found = [moment(1.4, 52.2, 4, "Bread"), moment(54.7, 94.5, 9, "The *moon* <b>")]
    assert told(found)["summary"].value.split("  \n") == [
        "**2 moments**, together 1:30 of 3:12.",
        "The best, with a score of 9 of 10, is 0:54 to 1:34, *The \\*moon\\* &lt;b\\>*.",
        "In the timeline, blue is a moment, with its score above it; grey is how much is said.",
    ]


def test_the_summary_of_a_moment_without_score_or_title_says_less() -> None:
    assert told([moment(0.0, 60.0, None, "")])["summary"].value.split("  \n") == [
        "**1 moment**, together 1:00 of 3:12.",
        "In the timeline, blue is a moment; grey is how much is said.",
    ]


def test_the_summary_says_why_there_are_none() -> None:
    summary = told([], "Nothing is said in the video.")["summary"].value
    assert summary == "No moments in 3:12 of video. Nothing is said in the video."


def test_the_summary_of_refined_moments_explains_the_line_below() -> None:
    root = moment(10.0, 40.0, 5, "Bread")
    refined = moment(11.0, 40.5, 5, "Bread", parent=root.identifier)
    values = moments_metadata(
        Moments(moments=(refined,)),
        roots=Moments(moments=(root,)),
        transcript=SILENT,
        duration_seconds=DURATION,
    )
    assert "where it was before its boundaries were moved" in values["summary"].value
    [row] = values["table"].value.records
    assert (row.data["start moved"], row.data["end moved"]) == (1.0, 0.5)


def test_the_table_quotes_the_sentence_that_a_title_was_taken_from() -> None:
    transcript = spoken(["It is hot.", "So the bread oven bakes the bread.", "They eat."])
    end = transcript.words[-1].end
    found = Moments(
        moments=(moment(0.0, end, 7, "The bread oven"), moment(0.1, end, 5, "Something else"))
    )
    shown = moments_metadata(found, transcript=transcript, duration_seconds=end)["table"]
    assert [record.data["quote"] for record in shown.records] == [
        "So the bread oven bakes the bread.",
        "It is hot.",
    ]
