"""Claims of runs on their videos, on a real server that drops connections."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator

import pytest
from dagster import DagsterRun, DagsterRunStatus
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from imitated_runs import Imitated
from sqlalchemy import func, select, text

from db.errors import DatabaseBusy
from db.run_claims import RunClaim, living_runs, partition_to_oneself, run_announced
from db.session import Database
from videomoments_dagster.core.partition import Partition
from videomoments_dagster.core.runs import (
    MESSAGE,
    close_abandoned_runs,
    run_in_flight,
    watch_runs,
)

TALK = {"system": "moments", "partition": "talk"}

HOLD = """
import sys, time
from db.run_claims import RunClaim
RunClaim(sys.argv[1], run_id=sys.argv[2], system="moments", partition="talk").take(
    wait_seconds=0, log=print
)
print("taken", flush=True)
time.sleep(60)
"""


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.engine.dispose()


def until(true: Callable[[], bool], *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def test_the_second_run_of_a_video_waits_and_says_for_whom(
    database: Database, database_url: str
) -> None:
    first = RunClaim(database_url, run_id="run-1", **TALK)
    second = RunClaim(database_url, run_id="run-2", **TALK)
    said: list[str] = []
    first.take(wait_seconds=0, log=said.append)
    waiting = threading.Thread(target=second.take, kwargs={"wait_seconds": 30, "log": said.append})
    waiting.start()
    until(lambda: bool(said))
    assert said == ["Waiting for the run run-1, which works on 'talk'."]
    assert living_runs(database, ["run-1", "run-2", "run-3"]) == {"run-1", "run-2"}

    first.release()
    waiting.join(timeout=10)
    assert not waiting.is_alive()
    assert living_runs(database, ["run-1", "run-2"]) == {"run-2"}
    second.release()
    # The server lets go of the locks of a connection a moment after it is closed.
    until(lambda: not living_runs(database, ["run-1", "run-2"]))


def test_a_run_that_waited_long_enough_is_refused_and_holds_nothing(
    database: Database, database_url: str
) -> None:
    first = RunClaim(database_url, run_id="run-1", **TALK)
    first.take(wait_seconds=0, log=print)
    with pytest.raises(DatabaseBusy, match=r"run run-1 has had the video 'talk'.*Run it again"):
        RunClaim(database_url, run_id="run-2", **TALK).take(wait_seconds=0.1, log=print)
    assert living_runs(database, ["run-2"]) == frozenset()
    first.release()


def test_runs_of_different_videos_do_not_wait(database_url: str) -> None:
    claims = [
        RunClaim(database_url, run_id=f"run-{name}", system="moments", partition=name)
        for name in ("a", "b")
    ]
    for claim in claims:
        claim.take(wait_seconds=0, log=print)
    for claim in claims:
        claim.release()


def test_a_killed_process_lets_go(database: Database, database_url: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, database_url, "run-1"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "taken\n"
        with partition_to_oneself(database, **TALK) as free:
            assert not free
        process.kill()
    until(lambda: not living_runs(database, ["run-1"]))
    with partition_to_oneself(database, **TALK) as free:
        assert free


def test_a_claim_is_taken_again_after_the_connection_was_lost(
    database: Database, database_url: str
) -> None:
    claim = RunClaim(database_url, run_id="run-1", **TALK)
    claim.take(wait_seconds=0, log=print)
    with database.engine.begin() as connection:
        ended = connection.scalar(
            text(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE application_name = 'videomoments run run-1'"
            )
        )
    assert ended == 1
    until(lambda: not living_runs(database, ["run-1"]))
    until(lambda: bool(living_runs(database, ["run-1"])))
    with partition_to_oneself(database, **TALK) as free:
        assert not free
    claim.release()


def test_whoever_has_a_video_to_himself_lets_go_of_it_after_a_failure(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), partition_to_oneself(database, **TALK):
        raise ZeroDivisionError
    with partition_to_oneself(database, **TALK) as free:
        assert free


def test_systems_share_no_partition_and_the_keys_of_the_first_are_those_of_earlier_releases(
    database: Database,
) -> None:
    with database.engine.connect() as earlier:
        # SHA-256 over "videomoments video talk", its first 8 bytes.
        key = -301_483_590_191_696_941
        assert earlier.scalar(select(func.pg_try_advisory_lock(key)))
        with partition_to_oneself(database, **TALK) as free:
            assert not free
        with partition_to_oneself(database, system="lecture", partition="talk") as free:
            assert free
        assert earlier.scalar(select(func.pg_advisory_unlock(key)))


# Runs whose process is gone.


def test_a_run_that_seems_dead_is_watched_and_then_failed(imitated: Imitated) -> None:
    run = imitated.pretend("talk", DagsterRunStatus.STARTED)
    database = imitated.storage.database

    seen = watch_runs(imitated.instance, database, silent_since={}, now=1000)
    assert (dict(seen.silent_since), seen.closed) == ({run.run_id: 1000}, ())
    seen = watch_runs(imitated.instance, database, silent_since=seen.silent_since, now=1089)
    assert seen.closed == ()
    seen = watch_runs(imitated.instance, database, silent_since=seen.silent_since, now=1090)
    assert (dict(seen.silent_since), seen.closed) == ({}, (run.run_id,))
    failed = imitated.instance.get_run_by_id(run.run_id)
    assert failed is not None
    assert failed.status is DagsterRunStatus.FAILURE
    assert MESSAGE in str([entry.dagster_event for entry in imitated.instance.all_logs(run.run_id)])


def test_a_run_that_lives_is_never_failed(imitated: Imitated) -> None:
    run = imitated.pretend("talk", DagsterRunStatus.STARTED)
    database = imitated.storage.database
    claim = RunClaim(database.url, run_id=run.run_id, **TALK)
    claim.take(wait_seconds=0, log=print)
    seen = watch_runs(imitated.instance, database, silent_since={run.run_id: 0}, now=10_000)
    assert (dict(seen.silent_since), seen.closed) == ({}, ())
    assert close_abandoned_runs(imitated.instance, database) == ()
    claim.release()


@pytest.mark.parametrize(
    ("status", "job"),
    [
        (DagsterRunStatus.NOT_STARTED, "full"),
        (DagsterRunStatus.STARTED, "clips_only"),
        (DagsterRunStatus.STARTED, "check_stored_results"),
    ],
)
def test_a_run_of_the_command_line_is_dead_in_whatever_state_its_process_left_it(
    imitated: Imitated, status: DagsterRunStatus, job: str
) -> None:
    database = imitated.storage.database
    dead = imitated.pretend("talk", status, job)
    living = imitated.pretend("other", status, job)
    with run_announced(database, living.run_id):
        assert close_abandoned_runs(imitated.instance, database) == (dead.run_id,)
    assert run_in_flight(imitated.instance, Partition("moments", "talk")) is None
    assert run_in_flight(imitated.instance, Partition("moments", "other")) == living.run_id


LAUNCHED = RemoteJobOrigin(
    repository_origin=RemoteRepositoryOrigin(
        code_location_origin=RegisteredCodeLocationOrigin("videomoments"),
        repository_name="__repository__",
    ),
    job_name="full",
)


def launched(imitated: Imitated, status: DagsterRunStatus, **tags: str) -> str:
    """A run that somebody asked Dagster's daemon for."""
    return imitated.instance.add_run(
        DagsterRun(
            job_name="full",
            run_id=str(uuid.uuid4()),
            status=status,
            tags={"dagster/partition": "talk", **tags},
            remote_job_origin=LAUNCHED,
        )
    ).run_id


@pytest.mark.parametrize(
    ("status", "seconds", "is_dead"),
    [
        (DagsterRunStatus.NOT_STARTED, 500, False),
        (DagsterRunStatus.NOT_STARTED, 700, True),
        (DagsterRunStatus.QUEUED, 100_000, False),
        (DagsterRunStatus.STARTING, 500, False),
        (DagsterRunStatus.STARTING, 700, True),
        (DagsterRunStatus.CANCELING, 500, False),
        (DagsterRunStatus.CANCELING, 700, True),
        (DagsterRunStatus.STARTED, 20, False),
        (DagsterRunStatus.STARTED, 40, True),
    ],
)
def test_what_the_daemon_is_about_to_launch_is_dead_only_after_long_and_in_the_queue_never(
    imitated: Imitated, status: DagsterRunStatus, seconds: float, *, is_dead: bool
) -> None:
    run_id = launched(imitated, status)
    now = time.time() + seconds
    seen = watch_runs(
        imitated.instance, imitated.storage.database, silent_since={run_id: 0.0}, now=now
    )
    assert seen.closed == ((run_id,) if is_dead else ())
    assert close_abandoned_runs(imitated.instance, imitated.storage.database) == ()


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_run_of_a_backfill_that_is_being_submitted_is_spared_however_long_that_takes(
    imitated: Imitated, *, goes_on: bool
) -> None:
    status = BulkActionStatus.REQUESTED if goes_on else BulkActionStatus.CANCELED
    imitated.instance.add_backfill(
        PartitionBackfill(
            backfill_id="many",
            status=status,
            from_failure=False,
            tags={},
            backfill_timestamp=time.time(),
        )
    )
    run_id = launched(imitated, DagsterRunStatus.NOT_STARTED, **{"dagster/backfill": "many"})
    seen = watch_runs(
        imitated.instance,
        imitated.storage.database,
        silent_since={run_id: 0.0},
        now=time.time() + 100_000,
    )
    assert seen.closed == (() if goes_on else (run_id,))


def test_runs_that_are_none_of_ours_or_are_over_are_left_alone(imitated: Imitated) -> None:
    database = imitated.storage.database
    done = imitated.pretend("talk", DagsterRunStatus.SUCCESS)
    foreign = imitated.pretend("talk", DagsterRunStatus.STARTED, job="somebody_elses")
    since = dict.fromkeys((done.run_id, foreign.run_id), 0.0)
    seen = watch_runs(imitated.instance, database, silent_since=since, now=10_000)
    assert (dict(seen.silent_since), seen.closed) == ({}, ())


def test_the_command_line_fails_dead_runs_and_frees_their_places_in_pools(
    imitated: Imitated,
) -> None:
    dead = imitated.pretend("talk", DagsterRunStatus.STARTED)
    living = imitated.pretend("other", DagsterRunStatus.STARTED)
    storage = imitated.instance.event_log_storage
    storage.set_concurrency_slots("transcription", 1)
    assert storage.claim_concurrency_slot("transcription", dead.run_id, "transcript").is_claimed
    claim = RunClaim(
        imitated.storage.database.url, run_id=living.run_id, system="moments", partition="other"
    )
    claim.take(wait_seconds=0, log=print)

    assert close_abandoned_runs(imitated.instance, imitated.storage.database) == (dead.run_id,)
    assert storage.claim_concurrency_slot("transcription", living.run_id, "transcript").is_claimed
    kept = imitated.instance.get_run_by_id(living.run_id)
    assert kept is not None
    assert kept.status is DagsterRunStatus.STARTED
    claim.release()


def test_a_run_of_another_code_location_is_nobody_of_ours(imitated: Imitated) -> None:
    foreign = imitated.instance.add_run(
        DagsterRun(
            job_name="full",
            run_id="0f0f0f0f-0000-4000-8000-00000000000f",
            status=DagsterRunStatus.STARTED,
            tags={"dagster/partition": "talk"},
            remote_job_origin=RemoteJobOrigin(
                repository_origin=RemoteRepositoryOrigin(
                    code_location_origin=RegisteredCodeLocationOrigin("somebody_elses"),
                    repository_name="__repository__",
                ),
                job_name="full",
            ),
        )
    )
    since = {foreign.run_id: 0.0}
    seen = watch_runs(imitated.instance, imitated.storage.database, silent_since=since, now=10_000)
    assert (dict(seen.silent_since), seen.closed) == ({}, ())
