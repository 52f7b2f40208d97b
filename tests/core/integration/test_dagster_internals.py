"""What Dagster does not promise and we rely on. A failure here says what an upgrade broke."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus, RunsFilter

from videomoments_dagster.core import dagster_internals
from videomoments_dagster.pooled_storage import (
    PooledPostgresStorage,
    PostgresPooledEventLogStorage,
    PostgresPooledRunStorage,
)


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as instance:
        yield instance


@dg.asset
def talk() -> int:
    return 1


@dg.asset
def other() -> int:
    return 2


DEFINITIONS = dg.Definitions(
    assets=[talk, other],
    jobs=[dg.define_asset_job("both", [talk, other]), dg.define_asset_job("one", [talk])],
)


def ran(instance: DagsterInstance, job: str, *, run_id: str | None = None) -> str:
    done = DEFINITIONS.resolve_job_def(job).execute_in_process(instance=instance, run_id=run_id)
    return str(done.run_id)


def test_a_run_in_this_process_tells_a_listener_of_each_event(instance: DagsterInstance) -> None:
    run_id, heard = dg.DagsterRun(job_name="one").run_id, []
    dagster_internals.follow_run(instance, run_id, heard.append)
    ran(instance, "one", run_id=run_id)
    types = [entry.dagster_event.event_type for entry in heard if entry.dagster_event]
    assert DagsterEventType.STEP_SUCCESS in types, (
        "DagsterInstance.add_event_listener no longer hands events on: `videomoments run` would "
        "be silent until the end"
    )


def test_the_events_of_a_run_can_be_read_by_type(instance: DagsterInstance) -> None:
    run_id = ran(instance, "both")
    found = dagster_internals.events_of_run(
        instance, run_id, {DagsterEventType.STEP_SUCCESS, DagsterEventType.RUN_SUCCESS}
    )
    assert [one.event_type for one in found] == [
        DagsterEventType.STEP_SUCCESS,
        DagsterEventType.STEP_SUCCESS,
        DagsterEventType.RUN_SUCCESS,
    ], "DagsterInstance.get_records_for_run gives other events: pipeline_history would be wrong"


def test_a_failed_step_keeps_the_chain_of_causes(instance: DagsterInstance) -> None:
    @dg.op
    def fails() -> None:
        raise RuntimeError("outer") from ValueError("inner")

    @dg.job
    def failing() -> None:
        fails()

    run = failing.execute_in_process(instance=instance, raise_on_error=False)
    [event] = dagster_internals.events_of_run(instance, run.run_id, {DagsterEventType.STEP_FAILURE})
    error, said = event.step_failure_data.error, []
    while error is not None:
        assert isinstance(error, dagster_internals.ErrorInfo)
        said.append(error.message.strip())
        error = error.cause
    assert said[-1] == "ValueError: inner", (
        "Dagster keeps errors in another way: pipeline_history would not say why a run failed"
    )


def test_a_run_can_be_tagged_after_it_was_made(instance: DagsterInstance) -> None:
    run_id = ran(instance, "one")
    dagster_internals.add_run_tags(instance, run_id, {"videomoments/pipeline": "pipeline:talk:1"})
    [record] = instance.get_run_records(
        RunsFilter(tags={"videomoments/pipeline": "pipeline:talk:1"})
    )
    assert record.dagster_run.run_id == run_id, (
        "DagsterInstance.add_run_tags no longer tags: a run could not be found by its "
        "pipeline_history row"
    )


def test_a_dead_run_can_be_failed_with_its_reason(instance: DagsterInstance) -> None:
    run = instance.create_run_for_job(
        DEFINITIONS.resolve_job_def("one"), status=DagsterRunStatus.STARTED
    )
    dagster_internals.set_pool_limit(instance, "encoding", 1)
    claimed = instance.event_log_storage.claim_concurrency_slot("encoding", run.run_id, "talk")
    assert claimed.is_claimed

    dagster_internals.fail_dead_run(instance, run, "Its process is gone.")

    [record] = instance.get_run_records(RunsFilter(run_ids=[run.run_id]))
    [event] = dagster_internals.events_of_run(instance, run.run_id, {DagsterEventType.RUN_FAILURE})
    assert record.dagster_run.status is DagsterRunStatus.FAILURE, (
        "DagsterInstance.report_run_failed no longer ends a run: dead runs would go on for ever"
    )
    assert event.message == "Its process is gone."
    assert instance.event_log_storage.get_concurrency_info("encoding").active_slot_count == 0, (
        "the places of a dead run are not freed: its pool would be full for ever"
    )


def test_a_pool_can_be_limited(instance: DagsterInstance) -> None:
    dagster_internals.set_pool_limit(instance, "encoding", 3)
    assert instance.event_log_storage.get_concurrency_info("encoding").slot_count == 3, (
        "set_concurrency_slots no longer limits: a new installation's pools would have "
        "Dagster's default limit"
    )


def test_a_run_of_the_command_line_is_from_no_code_location(instance: DagsterInstance) -> None:
    [record] = instance.get_run_records(RunsFilter(run_ids=[ran(instance, "one")]))
    assert dagster_internals.code_location_of(record.dagster_run) is None, (
        "DagsterRun.remote_job_origin means something else: abandoned runs of another project "
        "might be failed, or ours might not"
    )


def test_a_daemon_that_shows_itself_is_seen(instance: DagsterInstance) -> None:
    from dagster._daemon.types import DaemonHeartbeat

    assert dagster_internals.heartbeat(instance, "BACKFILL") is None
    now = time.time()
    instance.add_daemon_heartbeat(DaemonHeartbeat(now, "BACKFILL", "some-daemon", []))
    assert dagster_internals.heartbeat(instance, "BACKFILL") == pytest.approx(now, abs=1), (
        "DagsterInstance.get_daemon_heartbeats no longer knows the backfill daemon: `videomoments "
        "backfill` would work in this process although a daemon runs"
    )


@pytest.mark.parametrize(
    ("storage", "overridden"),
    [
        (PostgresPooledRunStorage, ["has_run_stats_index_cols", "has_backfill_id_column"]),
        (
            PostgresPooledEventLogStorage,
            [
                "has_table",
                "has_asset_key_col",
                "_has_asset_key_index_cols_on_connection",
                "has_dynamic_partition",
                "delete_dynamic_partition",
            ],
        ),
    ],
)
def test_what_the_pooled_storages_override_is_there_to_be_overridden(
    storage: type, overridden: list[str]
) -> None:
    base = storage.__mro__[1]
    gone = [name for name in overridden if not hasattr(base, name)]
    assert gone == [], (
        f"{base.__name__} asks no such thing any more, and {storage.__name__} keeps no answer: "
        "a run would ask the database some 200 times more"
    )


def test_all_three_storages_work_over_one_pool(empty_database_url: str) -> None:
    storage = PooledPostgresStorage(empty_database_url)
    pools = {
        id(one._engine.pool)
        for one in (storage.run_storage, storage.event_log_storage, storage.schedule_storage)
    }
    assert len(pools) == 1, (
        "dagster_postgres no longer goes by `_engine`: each query would open a connection again"
    )
    assert storage.run_storage.get_runs_count() == 0
    storage.event_log_storage.dispose()


def test_the_webserver_serves_the_app_that_it_is_wrapped_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from dagster_webserver import cli

    served: list[object] = []
    monkeypatch.setattr(cli, "create_app_from_workspace_process_context", lambda *_, **__: "app")
    monkeypatch.setattr(cli.uvicorn, "run", lambda app, **_: served.append(app))
    monkeypatch.setattr(sys, "argv", ["dagster-webserver", "--empty-workspace", "--port=1"])
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        dagster_internals.run_webserver(lambda app: f"guarded {app}")
    assert ended.value.code == 0
    assert served == ["guarded app"], (
        "dagster_webserver.cli makes or serves its app in another way: the UI would be without "
        "its guard, and any web page could use it"
    )


@pytest.mark.filterwarnings("ignore:Function `dev_command` is superseded")
def test_dev_starts_the_webserver_that_it_is_told_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from dagster._cli import dev

    started: list[str] = []

    def start(words: list[str], **_: object) -> None:
        started.append(words[2])
        if len(started) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(dev, "open_ipc_subprocess", start)
    monkeypatch.setattr(
        sys, "argv", ["dagster", "dev", "--empty-workspace", "--use-legacy-code-server-behavior"]
    )
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    # It sets these itself.
    for name in ("DAGSTER_IS_DEV_CLI", "DAGSTER_verbose"):
        monkeypatch.setenv(name, "")
    with pytest.raises(SystemExit):
        dagster_internals.run_dev("our.webserver")
    assert started == ["our.webserver", "dagster._daemon"], (
        "`dagster dev` starts its webserver in another way: `videomoments dev` would end, since "
        "its UI has no guard"
    )
