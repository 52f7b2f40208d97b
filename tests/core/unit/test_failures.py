import dagster as dg
import pytest

from videomoments_dagster.base.failures import (
    DatabaseUnreachable,
    SchemaOutdated,
    SourceRejected,
    VideoMomentsError,
)
from videomoments_dagster.core.dagster_failures import failures_reported
from videomoments_dagster.core.partition import Partition

TALK = Partition("moments", "talk")


def reported(
    raised: BaseException, partition: Partition | None = TALK, step: str = "clips"
) -> dg.Failure:
    with pytest.raises(dg.Failure) as caught, failures_reported(partition, step=step):
        raise raised
    return caught.value


def test_a_failure_says_what_it_happened_to_in_which_step_and_what_mends_it() -> None:
    failure = reported(SourceRejected("it is no video.", remedy="Give a video."))
    assert failure.description == "video 'talk', step clips: it is no video. Give a video."
    assert {name: value.value for name, value in failure.metadata.items()} == {
        "reason": "it is no video",
        "remedy": "Give a video",
    }
    assert not failure.allow_retries


def test_what_the_raiser_knew_better_stays() -> None:
    failure = reported(VideoMomentsError("gone", subject="video 'other'", step="moments"))
    assert failure.description == "video 'other', step moments: gone."


def test_a_step_of_all_partitions_names_only_itself() -> None:
    assert reported(VideoMomentsError("gone"), None).description == "step clips: gone."


def test_the_databases_failures_are_reported_like_all_others() -> None:
    lost = reported(DatabaseUnreachable("nobody answers"))
    assert (lost.description, lost.allow_retries) == (
        "video 'talk', step clips: nobody answers.",
        True,
    )
    assert not reported(SchemaOutdated("the tables are old")).allow_retries


def test_an_interrupted_step_is_not_begun_again() -> None:
    failure = reported(KeyboardInterrupt())
    assert failure.description == "video 'talk', step clips: The run was interrupted."
    assert not failure.allow_retries


def test_partitions_are_the_same_whatever_people_call_them() -> None:
    lecture = Partition("lecture", "talk", noun="job")
    assert lecture.subject == "job 'talk'"
    assert lecture == Partition("lecture", "talk")
    assert lecture != TALK
    assert len({lecture, Partition("lecture", "talk")}) == 1
