"""`pipeline_history` against Dagster's own records of runs and a real database."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster import AssetKey, DagsterEvent, DagsterEventType, DagsterInstance, DagsterRunStatus
from dagster._core.events import JobFailureData, StepMaterializationData
from dagster._core.execution.plan.objects import StepFailureData, UserFailureData
from dagster._core.storage.dagster_run import DagsterRun
from dagster._core.storage.runs.schema import RunsTable
from dagster_graphql.schema import create_schema
from dagster_shared.error import SerializableErrorInfo
from sqlalchemy import text

from db.session import Database
from videomoments_dagster.core.resources import DatabaseResource
from videomoments_dagster.core.run_facts import run_facts
from videomoments_dagster.moments.history import recording
from videomoments_dagster.moments.history import sensor as sensors
from videomoments_dagster.moments.history.recording import (
    CONFIG_TAG,
    record_all,
    record_run,
    record_runs,
)
from videomoments_dagster.moments.system import MOMENTS

SEED = """
    INSERT INTO prompts (id, user_prompt, system_prompt, prompt_hash) VALUES (1, '', '', 'p');
    INSERT INTO generation_configs (id, prompt_id, model, operation_type, config_hash)
        VALUES (1, 1, 'm', 'generation', 'first'), (2, 1, 'm', 'generation', 'second'),
            (3, 1, 'm', 'refinement', 'refined');
    INSERT INTO videos (id, identifier, cloud_url) VALUES (1, 'talk', 'file:///talk');
    INSERT INTO pipeline.selected_configs VALUES (1, 1, 3, 'default', 2.0);
"""
FULL = ("clips", "generation_config", "moments", "refined_moments", "thumbnails", "transcript")
ROW = (
    "identifier, pipeline_type, status, total_moments_generated, total_clips_created, "
    "error_stage, error_message, generation_config_id, started_at, completed_at, duration_seconds"
)


@dataclass
class History:
    """A Dagster instance with runs that were never executed, and our database."""

    instance: DagsterInstance
    database: Database
    resource: DatabaseResource
    cursor: str | None = None

    def launch(
        self,
        *,
        video: str | None = "talk",
        job: str = "full",
        assets: tuple[str, ...] = (),
        status: DagsterRunStatus = DagsterRunStatus.NOT_STARTED,
        again: str | None = None,
    ) -> str:
        """A run; `again` is the id of one that somebody runs again: Dagster copies its tags."""
        copied = self.instance.get_run_by_id(again) if again else None
        run_id = str(uuid.uuid4())
        self.instance.add_run(
            DagsterRun(
                job_name=job,
                run_id=run_id,
                status=status,
                tags={
                    **(copied.tags if copied else {}),
                    **({} if video is None else {"dagster/partition": video}),
                },
                asset_selection=frozenset(map(AssetKey.from_user_string, assets)) or None,
            )
        )
        return run_id

    def report(
        self, run_id: str, kind: DagsterEventType, *, step: str | None = None, data: Any = None
    ) -> None:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        event = DagsterEvent(
            event_type_value=kind.value,
            job_name=run.job_name,
            step_key=step,
            event_specific_data=data,
            message="what Dagster said",
        )
        self.instance.report_dagster_event(event, run_id=run_id, log_level=logging.INFO)

    def started(self, **options: Any) -> str:
        run_id = self.launch(**options)
        self.report(run_id, DagsterEventType.RUN_START)
        return run_id

    def succeeded(self, **options: Any) -> str:
        run_id = self.started(**options)
        self.report(run_id, DagsterEventType.RUN_SUCCESS)
        return run_id

    def materialised(self, run_id: str, asset: str, **metadata: Any) -> None:
        made = dg.AssetMaterialization(AssetKey.from_user_string(asset), metadata=metadata)
        self.report(
            run_id,
            DagsterEventType.ASSET_MATERIALIZATION,
            step=asset,
            data=StepMaterializationData(made),
        )

    def step_failed(self, run_id: str, step: str, *, said: str | None, error: str = "x") -> None:
        data = StepFailureData(
            error=SerializableErrorInfo(f"Failure: {error}\n", [], "Failure"),
            user_failure_data=UserFailureData(label="l", description=said) if said else None,
        )
        self.report(run_id, DagsterEventType.STEP_FAILURE, step=step, data=data)

    def failed(self, run_id: str, error: str | None = None) -> None:
        info = SerializableErrorInfo(error, [], "Error") if error else None
        self.report(run_id, DagsterEventType.RUN_FAILURE, data=JobFailureData(info))

    def record(self, run_id: str) -> int:
        return record_run(self.instance, self.database, run_id)

    def tick(self) -> str:
        """One evaluation of the sensor, going on from the last; what it said."""
        context = dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources={"database": self.resource}
        )
        # Called with its resources, a sensor works on a copy of its context, cursor and all.
        done = sensors.pipeline_history.evaluate_tick(context)
        self.cursor = done.cursor
        assert done.run_requests == []
        return done.skip_message or ""

    def sql(self, query: str) -> list[Any]:
        with self.database.engine.begin() as connection:
            result = connection.execute(text(query))
            return [tuple(row) for row in result] if result.returns_rows else []

    def rows(self) -> list[Any]:
        return self.sql(f"SELECT {ROW} FROM pipeline_history ORDER BY identifier")  # noqa: S608

    def statuses(self) -> list[str]:
        return sorted(status for _, _, status, *_ in self.rows())

    def only(self) -> dict[str, Any]:
        [row] = self.rows()
        return dict(zip(ROW.split(", "), row, strict=True))

    def touched(self) -> list[datetime]:
        records = self.instance.get_run_records()
        return sorted(record.update_timestamp for record in records)

    def stamp_all(self, moment: datetime) -> None:
        """Give every run the same time of its last change."""
        with self.instance.run_storage.connect() as connection:  # type: ignore[attr-defined]
            connection.execute(RunsTable.update().values(update_timestamp=moment))


@pytest.fixture
def history(database_url: str) -> Iterator[History]:
    resource = DatabaseResource(url=database_url)
    with DagsterInstance.ephemeral() as instance:
        made = History(instance=instance, database=resource.database, resource=resource)
        made.sql(SEED)
        yield made
    resource.database.dispose()


def test_a_run_is_followed_from_its_start_to_its_end(history: History) -> None:
    run = history.launch()
    assert history.record(run) == 0
    assert history.rows() == []

    history.report(run, DagsterEventType.RUN_START)
    history.record(run)
    row = history.only()
    assert (row["status"], row["pipeline_type"]) == ("running", "full")
    assert (row["completed_at"], row["duration_seconds"]) == (None, None)

    history.materialised(run, "moments", moments=5)
    history.record(run)
    assert (history.only()["total_moments_generated"], history.only()["status"]) == (5, "running")

    history.materialised(run, "clips", clips=5, failed=0)
    history.report(run, DagsterEventType.RUN_SUCCESS)
    history.record(run)
    row = history.only()
    assert (row["status"], row["total_moments_generated"]) == ("completed", 5)
    assert (row["total_clips_created"], row["error_stage"]) == (5, None)
    assert row["completed_at"] >= row["started_at"]
    assert row["duration_seconds"] == pytest.approx(
        (row["completed_at"] - row["started_at"]).total_seconds(), abs=0.001
    )


def test_a_run_with_clips_that_could_not_be_cut_is_partial(history: History) -> None:
    run = history.started()
    history.materialised(run, "clips", clips=9, failed=1)
    history.report(run, DagsterEventType.RUN_SUCCESS)
    history.record(run)
    row = history.only()
    assert (row["status"], row["error_stage"], row["total_clips_created"]) == (
        "partial",
        "clips",
        9,
    )
    assert "1 clip" in row["error_message"]


def test_a_failed_step_names_its_asset_and_says_why(history: History) -> None:
    run = history.started()
    history.step_failed(run, "transcript", said="The model is missing.")
    history.step_failed(run, "clips", said="a later one")
    history.failed(run)
    history.record(run)
    row = history.only()
    assert (row["status"], row["error_stage"]) == ("failed", "transcript")
    assert row["error_message"] == "The model is missing."


def test_a_step_that_broke_gives_its_exception_without_a_stack(history: History) -> None:
    run = history.started()
    history.step_failed(run, "video", said=None, error="KeyError: 3")
    history.failed(run)
    history.record(run)
    assert history.only()["error_message"].endswith("KeyError: 3")


def test_a_run_that_failed_before_its_first_step_has_a_row(history: History) -> None:
    run = history.launch(status=DagsterRunStatus.STARTING)
    history.failed(run, "DagsterUserCodeUnreachableError: could not load the definitions")
    history.record(run)
    row = history.only()
    assert (row["status"], row["error_stage"]) == ("failed", None)
    assert "could not load the definitions" in row["error_message"]
    assert row["completed_at"] is not None


@pytest.mark.parametrize("started", [True, False])
def test_a_cancelled_run_is_failed_and_says_so(history: History, *, started: bool) -> None:
    run = history.started() if started else history.launch()
    stored = history.instance.get_run_by_id(run)
    assert stored is not None
    history.instance.report_run_canceled(stored)
    history.record(run)
    row = history.only()
    assert row["status"] == "failed"
    assert "cancel" in row["error_message"]
    assert row["completed_at"] is not None


@pytest.mark.parametrize(
    ("assets", "expected"),
    [
        (("video",), "video_only"),
        (("clips",), "clips_only"),
        (("clips", "thumbnails"), "clips_only"),
        (("generation_config", "moments", "refined_moments"), "moments_only"),
        (("transcript", "moments"), "moments+transcript"),
        ((*FULL, "video"), "full"),
        (FULL, "custom"),
        (("video", "elsewhere/report"), "video_only"),
    ],
)
def test_what_was_selected_in_the_ui_names_the_run(
    history: History, assets: tuple[str, ...], expected: str
) -> None:
    history.record(history.started(job="__ASSET_JOB", assets=assets))
    assert history.only()["pipeline_type"] == expected


@pytest.mark.parametrize(
    "options",
    [
        {"video": None},
        {"job": "nightly_report"},
        {"job": "__ASSET_JOB", "assets": ("other/video", "weather")},
    ],
)
def test_runs_that_are_not_ours_have_no_row_and_keep_their_tags(
    history: History, options: dict[str, Any]
) -> None:
    run = history.succeeded(**options)
    before = history.touched()
    history.record(run)
    history.tick()
    assert history.rows() == []
    assert history.touched() == before


def test_materialisations_of_other_locations_are_not_counted(history: History) -> None:
    run = history.started(job="__ASSET_JOB", assets=("moments", "other/moments"))
    history.materialised(run, "moments", moments=3)
    history.materialised(run, "other/moments", moments=99)
    history.record(run)
    assert history.only()["total_moments_generated"] == 3


def test_runs_before_the_video_is_stored_get_their_rows_once_it_is(history: History) -> None:
    early = [history.started(video="later") for _ in range(2)]
    for run in early:
        history.step_failed(run, "video", said="no network")
        history.failed(run)
        assert history.record(run) == 0
    assert history.rows() == []

    history.sql("INSERT INTO videos (id, identifier, cloud_url) VALUES (2, 'later', 'f')")
    assert history.record(early[0]) == 0
    history.sql("INSERT INTO pipeline.selected_configs VALUES (2, 1, 3, 'default', 2.0)")
    assert history.record(history.succeeded(video="later")) == 3
    assert history.statuses() == ["completed", "failed", "failed"]


def test_recording_again_and_again_changes_neither_rows_nor_runs(history: History) -> None:
    run = history.succeeded()
    history.record(run)
    version = history.sql("SELECT xmin::text, id FROM pipeline_history")
    touched = history.touched()
    for _ in range(3):
        assert history.record(run) == 1
    assert history.sql("SELECT xmin::text, id FROM pipeline_history") == version
    assert history.touched() == touched


def test_the_run_and_its_row_lead_to_each_other(history: History) -> None:
    run = history.started()
    history.record(run)
    stored = history.instance.get_run_by_id(run)
    assert stored is not None
    assert stored.tags["videomoments/pipeline"] == history.only()["identifier"]
    assert stored.tags[CONFIG_TAG] == "first"
    assert stored.status == DagsterRunStatus.STARTED


def test_people_are_shown_the_tags_that_they_read_and_no_hash(history: History) -> None:
    run = history.started()
    history.record(run)
    asked = "{ runTagKeysOrError { ... on RunTagKeys { keys } } }"
    answer = create_schema().execute(
        asked, context_value=SimpleNamespace(instance=history.instance)
    )
    assert answer.errors is None
    assert answer.data is not None
    shown = answer.data["runTagKeysOrError"]["keys"]
    assert "videomoments/pipeline" in shown
    assert not any("config" in key for key in shown)


def test_a_rebuild_knows_the_config_of_a_run_from_before_its_tag_was_hidden(
    history: History,
) -> None:
    run = history.started()
    history.instance.add_run_tags(run, {"videomoments/config": "second"})
    history.record(run)
    assert history.only()["generation_config_id"] == 2


def test_runs_of_one_video_that_were_made_in_the_same_millisecond_have_a_row_each(
    history: History,
) -> None:
    runs = [history.launch() for _ in range(3)]
    with history.instance.run_storage.connect() as connection:  # type: ignore[attr-defined]
        moment = datetime(2026, 1, 1)  # noqa: DTZ001  as Dagster stores it
        connection.execute(RunsTable.update().values(create_timestamp=moment))
    for _ in range(2):
        for run in runs:
            if not history.instance.get_records_for_run(run).records:
                history.report(run, DagsterEventType.RUN_START)
            history.record(run)
    assert len(history.rows()) == 3


def test_a_run_keeps_the_config_that_it_used(history: History) -> None:
    before = history.succeeded()
    history.record(before)
    history.sql("UPDATE pipeline.selected_configs SET generation_config_id = 2")
    after = history.started()
    history.materialised(after, "generation_config", config_hash="second")
    history.record(before)
    history.record(after)
    assert sorted(row[7] for row in history.rows()) == [1, 2]


def test_no_event_is_lost_in_a_run_with_many(history: History) -> None:
    run = history.started()
    for _ in range(60):
        for asset in ("video", "transcript"):
            history.materialised(run, asset)
    history.materialised(run, "moments", moments=7)
    history.materialised(run, "clips", clips=4, failed=3)
    record = history.instance.get_run_record_by_id(run)
    assert record is not None
    facts = run_facts(history.instance, record, MOMENTS)
    assert facts is not None
    assert facts.materialised["moments"]["moments"] == 7
    assert facts.materialised["clips"] == {"clips": 4, "failed": 3}


def _of_every_kind(history: History) -> None:
    good = history.started()
    history.materialised(good, "moments", moments=5)
    history.materialised(good, "clips", clips=4, failed=1)
    history.report(good, DagsterEventType.RUN_SUCCESS)
    bad = history.started(job="moments_only")
    history.step_failed(bad, "moments", said="no")
    history.failed(bad)
    history.succeeded(job="__ASSET_JOB", assets=("video",))
    history.started(job="clips_only")
    history.launch()


def test_the_whole_table_can_be_rebuilt(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "RUNS_PER_PAGE", 2)
    _of_every_kind(history)
    history.tick()
    before = history.rows()
    assert len(before) == 4
    history.sql("UPDATE pipeline.selected_configs SET generation_config_id = 2")
    history.sql("TRUNCATE pipeline_history")

    assert not record_all(history.instance, history.database).failures
    assert history.rows() == before
    record_all(history.instance, history.database)
    assert history.rows() == before


def test_rows_that_somebody_changed_are_mended_by_a_rebuild(history: History) -> None:
    history.record(history.succeeded())
    before = history.rows()
    history.sql("UPDATE pipeline_history SET status = 'running', completed_at = NULL")
    record_all(history.instance, history.database)
    assert history.rows() == before


def test_a_run_that_cannot_be_recorded_does_not_keep_the_others_from_it(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [history.succeeded() for _ in range(3)]
    _break(monkeypatch, runs[1])
    # The first row of a video makes its other runs be looked at, the broken one among them.
    records = history.instance.get_run_records(dg.RunsFilter(run_ids=[runs[2]]))
    recorded = record_runs(history.instance, history.database, records)
    assert list(recorded.failures) == [runs[1]]
    assert len(history.rows()) == 2
    with pytest.raises(ZeroDivisionError):
        history.record(runs[1])


def _break(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    real = recording.run_facts

    def facts(instance: DagsterInstance, record: Any, *system: Any, **named: Any) -> Any:
        if record.dagster_run.run_id == broken:
            raise ZeroDivisionError("on purpose")
        return real(instance, record, *system, **named)

    monkeypatch.setattr(recording, "run_facts", facts)


def test_the_sensor_follows_a_run_and_launches_nothing(history: History) -> None:
    history.tick()
    run = history.started()
    history.tick()
    assert history.cursor
    assert history.statuses() == ["running"]
    history.materialised(run, "moments", moments=2)
    history.tick()
    assert history.only()["total_moments_generated"] == 2
    history.report(run, DagsterEventType.RUN_SUCCESS)
    history.tick()
    assert history.statuses() == ["completed"]
    assert history.instance.get_runs_count() == 1


def test_ticks_without_news_change_nothing(history: History) -> None:
    _of_every_kind(history)
    history.tick()
    history.tick()
    rows, touched, cursor = history.rows(), history.touched(), history.cursor
    version = history.sql("SELECT xmin::text FROM pipeline_history ORDER BY id")
    for _ in range(3):
        history.tick()
    assert (history.rows(), history.touched(), history.cursor) == (rows, touched, cursor)
    assert history.sql("SELECT xmin::text FROM pipeline_history ORDER BY id") == version


@pytest.mark.parametrize("lost", [None, "", "no json", "[]", '{"after": "yesterday"}', "3"])
def test_a_cursor_that_is_lost_or_spoilt_does_no_harm(history: History, lost: str | None) -> None:
    _of_every_kind(history)
    history.tick()
    history.tick()
    rows = history.rows()
    history.cursor = lost
    history.tick()
    assert history.rows() == rows
    history.succeeded()
    history.tick()
    assert len(history.rows()) == len(rows) + 1


def test_more_runs_than_one_tick_takes_are_all_recorded_over_ticks(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "RUNS_PER_TICK", 3)
    for _ in range(10):
        history.succeeded()
    ticks = 0
    while len(history.rows()) < 10 and ticks < 12:
        history.tick()
        ticks += 1
    assert history.statuses() == ["completed"] * 10


def test_more_runs_than_one_tick_takes_that_changed_at_one_moment_do_not_stop_it(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "RUNS_PER_TICK", 3)
    for _ in range(10):
        # Not ours, so that recording them does not change them, which would bring others forward.
        history.succeeded(job="nightly_report")
    history.stamp_all(datetime(2026, 1, 1))  # noqa: DTZ001  as Dagster stores it
    history.succeeded()
    for _ in range(6):
        history.tick()
    assert history.statuses() == ["completed"]


def test_a_run_that_turns_up_behind_the_cursor_is_recorded(history: History) -> None:
    history.stamp_all(datetime(2026, 1, 1))  # noqa: DTZ001
    history.succeeded()
    history.stamp_all(datetime(2026, 1, 1, 0, 0, 10))  # noqa: DTZ001
    history.tick()
    late = history.succeeded()
    with history.instance.run_storage.connect() as connection:  # type: ignore[attr-defined]
        at = datetime(2026, 1, 1, 0, 0, 9)  # noqa: DTZ001
        connection.execute(
            RunsTable.update().where(RunsTable.c.run_id == late).values(update_timestamp=at)
        )
    history.tick()
    assert len(history.rows()) == 2


def test_a_run_that_cannot_be_recorded_is_tried_again_and_stops_no_other(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [history.succeeded() for _ in range(3)]
    with monkeypatch.context() as broken:
        _break(broken, runs[0])
        assert runs[0] in history.tick()
        assert len(history.rows()) == 2
        # Far behind the cursor by the time that it can be recorded.
        with history.instance.run_storage.connect() as connection:  # type: ignore[attr-defined]
            old = datetime(2020, 1, 1)  # noqa: DTZ001
            connection.execute(
                RunsTable.update().where(RunsTable.c.run_id == runs[0]).values(update_timestamp=old)
            )
        history.tick()
        history.succeeded()
        history.tick()
        assert len(history.rows()) == 3
    history.tick()
    assert history.statuses() == ["completed"] * 4
    assert runs[0] not in history.tick()


def test_a_database_that_is_away_fails_the_tick_and_loses_nothing(history: History) -> None:
    history.succeeded()
    context = dg.build_sensor_context(
        instance=history.instance,
        resources={"database": DatabaseResource(url="postgresql://nobody@127.0.0.1:9/none")},
    )
    with pytest.raises(Exception, match=r"127\.0\.0\.1"):
        sensors.pipeline_history.evaluate_tick(context)
    history.tick()
    assert history.statuses() == ["completed"]


def test_a_tick_over_runs_that_wait_is_cheap(history: History) -> None:
    for _ in range(150):
        history.launch()
    began = time.process_time()
    history.tick()
    assert time.process_time() - began < 5
    assert history.rows() == []


def test_runs_of_machines_whose_clocks_differ_are_all_recorded(history: History) -> None:
    base = datetime(2026, 1, 1)  # noqa: DTZ001
    offsets = [(number * 37) % 110 for number in range(12)]
    for number, offset in enumerate(offsets):
        run = history.succeeded()
        with history.instance.run_storage.connect() as connection:  # type: ignore[attr-defined]
            at = base + timedelta(seconds=number * 0.1 - offset)
            connection.execute(
                RunsTable.update().where(RunsTable.c.run_id == run).values(update_timestamp=at)
            )
        if number % 3 == 0:
            history.tick()
            # Recording tags the run, which changes it: only its own clock must count here.
            with history.instance.run_storage.connect() as connection:  # type: ignore[attr-defined]
                connection.execute(
                    RunsTable.update().where(RunsTable.c.run_id == run).values(update_timestamp=at)
                )
            history.cursor = sensors.HistoryCursor(after=(base).replace(tzinfo=UTC)).text()
    history.tick()
    assert history.statuses() == ["completed"] * 12


def test_a_tick_does_not_look_again_at_what_it_has_seen(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        history.succeeded(job="nightly_report")
    history.tick()
    looked: list[str] = []
    original = recording.record_runs

    def noted(instance: Any, database: Any, records: Any) -> Any:
        records = list(records)
        looked.extend(record.dagster_run.run_id for record in records)
        return original(instance, database, records)

    monkeypatch.setattr(sensors, "record_runs", noted)
    history.tick()
    assert looked == []
    run = history.succeeded(job="nightly_report")
    history.tick()
    assert looked == [run]


def test_a_run_of_a_deleted_video_has_no_history_and_one_that_repeats_it_has(
    history: History,
) -> None:
    old = history.succeeded()
    assert recording.forget_runs(history.instance, "talk") == 1
    assert recording.forget_runs(history.instance, "talk") == 0
    # The video was added again, and somebody pressed "Re-execute" on its old run.
    again = history.succeeded(again=old)
    assert record_all(history.instance, history.database).runs == 1
    assert record_run(history.instance, history.database, old) == 0
    assert record_run(history.instance, history.database, again) == 1
    with history.database.read() as session:
        statuses = session.scalars(text("SELECT status FROM pipeline_history")).all()
    assert statuses == ["completed"]
