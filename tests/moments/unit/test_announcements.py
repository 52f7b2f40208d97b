"""Openings, goodbyes and adverts: where they are found, and that moments keep clear of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moment_finding_samples import config

from videomoments_dagster.moments.finding.announcements import announcements
from videomoments_dagster.moments.finding.extractive import find_moments, score_moments
from videomoments_dagster.moments.finding.outcomes import Boundaries
from videomoments_dagster.speech.engine import transcript_from
from videomoments_dagster.speech.transcripts import Segment, Transcript

PHRASES = (
    "Welcome to the show.",
    "This episode is sponsored by Acme.",
    "Go to example.com/show today.",
    "Thanks for listening.",
    "The dough rises when it is warm.",
    "A river carries sand to the sea.",
)
SECONDS = 10.0


@dataclass(frozen=True)
class Said:
    start: float
    end: float
    text: str


def said(*texts: str) -> list[Said]:
    return [Said(SECONDS * at, SECONDS * at + 9, text) for at, text in enumerate(texts)]


def found(*texts: str, language: str = "en") -> tuple[tuple[float, float], ...]:
    return announcements(said(*texts), duration_seconds=SECONDS * len(texts), language=language)


PLAIN = ["The dough rises when it is warm."] * 40


@given(st.lists(st.sampled_from(PHRASES), max_size=60), st.sampled_from(["en", "", "de", "xx"]))
def test_announcements_are_apart_in_order_and_in_the_video(texts: list[str], language: str) -> None:
    intervals = found(*texts, language=language)
    assert all(0 <= start <= end <= SECONDS * len(texts) for start, end in intervals)
    assert all(before[1] < after[0] for before, after in pairwise(intervals))


def test_plain_talk_has_none() -> None:
    assert found(*PLAIN) == ()


def test_an_advert_goes_from_its_opening_to_the_next_link() -> None:
    advert = ["This part is brought to you by Acme.", "It is fast.", "See acme.com/show."]
    assert found(*PLAIN, *advert, *PLAIN) == ((400.0, 429.0),)


def test_two_links_minutes_apart_are_not_one_advert() -> None:
    link = "See acme.com/show."
    assert found(*PLAIN, link, *PLAIN[:10], link, *PLAIN) == ((400.0, 409.0), (510.0, 519.0))


def test_a_welcome_counts_in_the_first_minutes_only_and_a_goodbye_in_the_last() -> None:
    welcome, goodbye = "Welcome to the show.", "Thanks for listening."
    assert found("Hello.", welcome, *PLAIN, goodbye, "Music.") == ((0.0, 19.0), (420.0, 440.0))
    assert found(*PLAIN, welcome, goodbye, *PLAIN) == ()


@pytest.mark.parametrize(
    ("language", "advert", "goodbye"),
    [
        ("de", "Diese Folge wird pr\u00e4sentiert von Acme.", "Tsch\u00fcss!"),
        ("fr", "Cette vid\u00e9o est sponsoris\u00e9e par Acme.", "Au revoir."),
        ("es", "Este v\u00eddeo est\u00e1 patrocinado por Acme.", "Hasta luego."),
        ("it", "Questo video \u00e8 sponsorizzato da Acme.", "Alla prossima."),
        ("pt", "Este v\u00eddeo \u00e9 patrocinado por Acme.", "At\u00e9 logo."),
        ("nl", "Deze video is gesponsord door Acme.", "Tot ziens."),
    ],
)
def test_other_languages_have_phrases_of_their_own(
    language: str, advert: str, goodbye: str
) -> None:
    texts = [*PLAIN, advert, *PLAIN, goodbye]
    assert found(*texts, language=language) == ((400.0, 409.0), (810.0, 820.0))
    assert found(*texts, language="xx") == ()


def show() -> tuple[Transcript, list[tuple[float, float]]]:
    """Three subjects, and an opening, an advert and a goodbye that say much."""
    advert = [
        "This portion of the show is brought to you by Acme Rivers and Ovens.",
        "Acme ovens warm the dough, Acme boats carry sand on every river to the sea.",
        "Dough, warm ovens, rivers, sand and sea: Acme has it all for you.",
        "Visit acme.com/show for ovens and boats.",
    ]
    subjects = [
        [f"The dough rises in the warm oven as the yeast {at} eats sugar." for at in range(9)],
        [f"A river carries sand to the sea past the mill of village {at}." for at in range(9)],
        [f"The moon pulls the tide and harbour {at} waits for high water." for at in range(9)],
    ]
    texts = ["Welcome to the show about dough, rivers and tides."]
    texts += subjects[0] + advert + subjects[1] + subjects[2]
    texts += ["Thanks for listening to dough, rivers, sand and tides."]
    spoken = [(Segment(text, 7.0 * at, 7.0 * at + 6.5), ()) for at, text in enumerate(texts)]
    duration = 7.0 * len(texts)
    transcript = transcript_from(
        spoken, duration=duration, language="en", service="t", processing_time_seconds=0.0
    )
    return transcript, [(0.0, 6.5), (70.0, 97.5), (duration - 7.0, duration)]


def test_moments_keep_clear_of_announcements() -> None:
    transcript, announced = show()
    limits = config(min_length=15.0, max_length=60.0, min_moments=2, max_moments=5)
    drafts = find_moments(
        transcript, duration_seconds=transcript.segments[-1].end + 0.5, config=limits
    ).drafts
    assert len(drafts) >= 2
    for draft in drafts:
        for start, end in announced:
            assert min(draft.end_time, end) - max(draft.start_time, start) <= 1.0


def test_where_everything_is_an_advert_as_many_moments_are_found_as_are_asked_for() -> None:
    spoken = [
        (Segment(f"This is sponsored by company {at}, as ever.", 7.0 * at, 7.0 * at + 6.5), ())
        for at in range(30)
    ]
    transcript = transcript_from(
        spoken, duration=210.0, language="en", service="t", processing_time_seconds=0.0
    )
    limits = config(min_length=15.0, max_length=60.0, min_moments=3, max_moments=5)
    assert len(find_moments(transcript, duration_seconds=210.0, config=limits).drafts) >= 3


def test_an_advert_scores_low_however_much_it_says() -> None:
    transcript, announced = show()
    spans = [Boundaries(*announced[1]), Boundaries(105.0, 132.5)]
    scores = score_moments(
        spans, transcript, duration_seconds=transcript.segments[-1].end + 0.5
    ).scores
    assert scores[0] is not None
    assert scores[1] is not None
    assert scores[0] <= 2 < scores[1]
