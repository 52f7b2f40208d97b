"""Moments and topics: how many there are, where they begin, and that they keep to one."""

from __future__ import annotations

from itertools import accumulate

from moment_finding_samples import config

from videomoments_dagster.moments.finding.extractive import find_moments
from videomoments_dagster.moments.finding.outcomes import MomentDraft
from videomoments_dagster.speech.engine import transcript_from
from videomoments_dagster.speech.transcripts import Segment

SECONDS = 6.0


def lecture(*topics: int, answer: str = "") -> tuple[MomentDraft, ...]:
    """Moments of a lecture whose topics have so many sentences, with words of their own."""
    texts = [
        f"{answer} Topic{topic} has part{topic} and place{topic} with detail{topic}x{at % 3} now."
        for topic, sentences in enumerate(topics)
        for at in range(sentences)
    ]
    opens = set(accumulate(topics, initial=0))
    if answer:
        # Every other sentence answers; the others, and the first of each topic, do not.
        texts = [
            text.removeprefix(f"{answer} ") if at % 2 or at in opens else text
            for at, text in enumerate(texts)
        ]
    spoken = [
        (Segment(text.strip(), SECONDS * at, SECONDS * at + 5.8), ())
        for at, text in enumerate(texts)
    ]
    duration = SECONDS * len(texts)
    transcript = transcript_from(
        spoken, duration=duration, language="en", service="t", processing_time_seconds=0.0
    )
    limits = config(min_length=20.0, max_length=90.0, min_moments=2, max_moments=50)
    return find_moments(transcript, duration_seconds=duration, config=limits).drafts


def test_moments_lie_in_one_topic_and_most_begin_with_theirs() -> None:
    topics = (30, 40, 35, 30)
    edges = [SECONDS * edge for edge in accumulate(topics, initial=0)]
    drafts = lecture(*topics)
    assert len(drafts) >= len(topics)
    for draft in drafts:
        assert not any(draft.start_time + 6 < edge < draft.end_time - 6 for edge in edges)
    begin = sum(any(abs(draft.start_time - edge) < 10 for edge in edges) for draft in drafts)
    assert begin >= len(topics)


def test_a_longer_talk_has_more_moments() -> None:
    counts = [len(lecture(*[40] * topics)) for topics in (2, 4, 8)]
    assert counts == sorted(set(counts))


def test_moments_do_not_begin_in_the_middle_of_an_answer() -> None:
    drafts = lecture(40, 40, 40, answer="Yeah,")
    assert drafts
    # Answers are the sentences at even places that open no topic.
    places = [round(draft.start_time / SECONDS) for draft in drafts]
    assert all(place % 2 or place % 40 == 0 for place in places)
