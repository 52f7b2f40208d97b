"""A score that is there is only replaced by another score."""

from __future__ import annotations

from datetime import datetime

from videomoments_dagster.moments.engine_work import with_scores
from videomoments_dagster.moments.finding.outcomes import Scored
from videomoments_dagster.moments.records import Moment, Moments

BEFORE = datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001 - as the database keeps it
FOUND = Moment(
    identifier="m", start_time=1.0, end_time=9.0, title="t", generation_model="extractive"
)
STORED = Moments(
    (
        Moment(
            identifier="m",
            start_time=1.0,
            end_time=9.0,
            title="t",
            generation_model="extractive",
            score=7,
            scoring_model="judge",
            scored_at=BEFORE,
        ),
    )
)


def scored(score: int | None, *, by: str, before: Moments | None, anew: bool = False) -> Moment:
    [moment] = with_scores(
        [FOUND], Scored(scores=(score,)), scoring_model=by, before=before, anew=anew
    )
    return moment


def test_a_new_moment_gets_its_score_and_the_time() -> None:
    moment = scored(5, by="judge", before=None)
    assert (moment.score, moment.scoring_model) == (5, "judge")
    assert moment.scored_at is not None
    assert moment.scored_at > BEFORE


def test_a_moment_that_nobody_scored_names_no_scorer() -> None:
    moment = scored(None, by="judge", before=None)
    assert (moment.score, moment.scoring_model, moment.scored_at) == (None, None, None)


def test_the_same_score_by_the_same_model_keeps_its_time() -> None:
    assert scored(7, by="judge", before=STORED).scored_at == BEFORE


def test_the_same_score_asked_for_anew_has_a_new_time() -> None:
    moment = scored(7, by="judge", before=STORED, anew=True)
    assert moment.scored_at is not None
    assert moment.scored_at > BEFORE


def test_another_model_replaces_an_equal_score() -> None:
    moment = scored(7, by="another", before=STORED)
    assert moment.scoring_model == "another"
    assert moment.scored_at != BEFORE


def test_a_score_that_could_not_be_had_leaves_the_one_from_before() -> None:
    moment = scored(None, by="another", before=STORED, anew=True)
    assert (moment.score, moment.scoring_model, moment.scored_at) == (7, "judge", BEFORE)
