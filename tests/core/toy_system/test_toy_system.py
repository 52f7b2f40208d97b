"""A system that is nothing but a folder has all that the frame gives."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from core.toy_system import assets
from core.toy_system.storage import CardFiles, GreetingRows
from core.toy_system.system import POSTCARDS
from core.toy_system.table import CREATE
from sqlalchemy import text

from db.run_claims import RunClaim, partition_to_oneself
from db.session import Database
from videomoments_dagster.core.assembly import (
    core_definitions,
    shared_resources,
    system_definitions,
)
from videomoments_dagster.core.garbage import collect, find_garbage
from videomoments_dagster.core.objects.local_folder import LocalFolderStore
from videomoments_dagster.core.partition import Partition
from videomoments_dagster.core.run_facts import RunFacts, run_facts
from videomoments_dagster.core.runs import PARTITION_TAG, run_in_flight
from videomoments_dagster.core.settings import Settings, load_settings

OSLO = POSTCARDS.partition("oslo")


def definitions(settings: Settings) -> dg.Definitions:
    """What a system's `definitions.py` has, and the one that merges them."""
    return dg.Definitions.merge(
        core_definitions(settings),
        system_definitions(POSTCARDS, dg.load_assets_from_modules([assets])),
        dg.Definitions(resources=shared_resources(settings, [POSTCARDS])),
    )


@dataclass
class Toy:
    """The system over a database and a folder of its own."""

    instance: dg.DagsterInstance
    database: Database
    store: LocalFolderStore
    settings: Settings
    last: RunFacts | None = None
    checks: dict[str, bool] = field(default_factory=dict)

    def run(
        self,
        job: str = "postcards",
        *,
        words: str | None = None,
        city: str = "oslo",
        force_card: bool = False,
    ) -> dict[str, Any]:
        """Run a job for a city; metadata by asset."""
        given = {} if words is None else {"words": words}
        ops = {
            "postcards__greeting": {"config": given},
            "postcards__card": {"config": {"force": force_card}},
        }
        config = {"ops": ops} if job == "postcards" else {}
        done = (
            definitions(self.settings)
            .resolve_job_def(job)
            .execute_in_process(
                instance=self.instance,
                partition_key=city,
                run_config=config,
                raise_on_error=False,
            )
        )
        record = self.instance.get_run_record_by_id(done.run_id)
        assert record is not None
        self.last = run_facts(self.instance, record, POSTCARDS)
        self.checks = {
            one.check_name: one.passed
            for event in done.all_events
            if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
            for one in [event.asset_check_evaluation_data]
        }
        return {} if self.last is None else dict(self.last.materialised)

    def sql(self, statement: str) -> list[Any]:
        with self.database.transaction() as session:
            done = session.execute(text(statement))
            return [tuple(row) for row in done] if done.returns_rows else []

    def rows(self) -> list[Any]:
        """The table with the transaction that wrote each row last."""
        return self.sql("SELECT xmin::text, * FROM postcards.postcards")

    def objects(self) -> list[str]:
        return [stat.key for stat in self.store.list()]


@pytest.fixture
def toy(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Toy]:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("VIDEOMOMENTS_HOME", str(tmp_path))
    settings = load_settings().model_copy(update={"busy_wait_minutes": 0.01})
    database = Database(database_url)
    with ExitStack() as closing:
        closing.callback(database.dispose)
        instance = closing.enter_context(dg.DagsterInstance.ephemeral())
        instance.add_dynamic_partitions("cities", ["oslo"])
        made = Toy(instance, database, LocalFolderStore(tmp_path / "objects"), settings)
        for statement in CREATE.split(";"):
            made.sql(statement)
        yield made


def test_its_definitions_load_and_it_has_a_job_checks_and_housekeeping(toy: Toy) -> None:
    loaded = definitions(toy.settings)
    dg.Definitions.validate_loadable(loaded)
    assert {job.name for job in loaded.resolve_all_job_defs()} >= {
        "postcards",
        "check_stored_postcards",
        "housekeeping",
    }
    specs = {spec.key.to_user_string(): spec for spec in loaded.resolve_all_asset_specs()}
    assert set(specs) == {"postcards/greeting", "postcards/card"}
    assert specs["postcards/card"].group_name == "postcards"
    assert "Reads the greeting" in (specs["postcards/card"].description or "")
    assert [dep.asset_key for dep in specs["postcards/card"].deps] == [
        dg.AssetKey(["postcards", "greeting"])
    ]


def test_an_asset_that_asks_for_no_config_can_be_forced_all_the_same(toy: Toy) -> None:
    assert toy.run()["card"]["unchanged"] is False
    assert toy.run()["card"]["unchanged"] is True
    forced = toy.run(force_card=True)
    assert (forced["greeting"]["unchanged"], forced["card"]["unchanged"]) == (True, False)


def test_values_go_into_rows_and_objects_and_a_run_says_what_it_came_to(toy: Toy) -> None:
    metadata = toy.run()
    assert toy.sql("SELECT city, greeting FROM postcards.postcards") == [
        ("oslo", "Wish you were here, in oslo!")
    ]
    [key] = toy.objects()
    assert key.startswith("postcards/cards/oslo/")
    assert metadata["greeting"]["characters"] == 28
    assert metadata["card"]["greeting"] == "Wish you were here, in oslo!"
    assert metadata["card"]["objects_written"] == 1
    assert toy.checks == {"greeting_is_short": True}


def test_nothing_changed_means_nothing_done(toy: Toy) -> None:
    toy.run()
    rows, objects = toy.rows(), toy.objects()
    metadata = toy.run()
    assert metadata["greeting"]["unchanged"] is metadata["card"]["unchanged"] is True
    assert (toy.rows(), toy.objects()) == (rows, objects)


def test_what_changed_is_made_again_and_all_that_comes_from_it(toy: Toy) -> None:
    toy.run()
    metadata = toy.run(words="Hello")
    assert metadata["greeting"]["unchanged"] is metadata["card"]["unchanged"] is False
    assert toy.sql("SELECT greeting FROM postcards.postcards") == [("Hello, in oslo!",)]
    assert len(toy.objects()) == 2


def test_what_somebody_removed_is_made_again_and_nothing_else(toy: Toy) -> None:
    toy.run()
    [key] = toy.objects()
    toy.store.delete(toy.store.url_of(key))
    metadata = toy.run()
    assert metadata["greeting"]["unchanged"] is True
    assert metadata["card"]["unchanged"] is False
    assert toy.objects() == [key]


def test_a_failure_is_a_sentence_with_the_city_and_is_not_tried_again(toy: Toy) -> None:
    toy.run(words="")
    assert toy.last is not None
    assert (toy.last.status, toy.last.failed_step) == ("FAILURE", "postcards__greeting")
    assert toy.last.failure == (
        "city 'oslo', step greeting: there are no words. Give some in run config."
    )


def test_a_city_whose_name_could_leave_its_folder_is_refused_in_a_sentence(toy: Toy) -> None:
    toy.instance.add_dynamic_partitions("cities", ["../oslo"])
    toy.run(city="../oslo")
    assert toy.last is not None
    assert str(toy.last.failure).startswith(
        "city '../oslo', step greeting: '../oslo' is no city identifier."
    )


def test_a_check_fails_beside_the_step(toy: Toy) -> None:
    toy.run(words="There is so much to see that I do not know where to begin")
    assert toy.checks == {"greeting_is_short": False}


def test_what_is_stored_can_be_checked_at_any_time(toy: Toy) -> None:
    toy.run()
    toy.run("check_stored_postcards")
    assert toy.checks == {"stored_result_is_sound": True}
    toy.sql("UPDATE postcards.postcards SET greeting = 'Somebody was here'")
    toy.run("check_stored_postcards")
    assert toy.checks == {"stored_result_is_sound": False}


def test_two_runs_of_one_city_take_turns(toy: Toy) -> None:
    other = RunClaim(
        toy.database.url, run_id="other", system="postcards", partition="oslo", noun="city"
    )
    other.take(wait_seconds=1, log=lambda _: None)
    try:
        toy.run()
        assert toy.last is not None
        assert toy.last.status == "FAILURE"
        assert "city 'oslo'" in str(toy.last.failure)
        with partition_to_oneself(
            toy.database, system="moments", partition="oslo"
        ) as another_systems:
            assert another_systems
    finally:
        other.release()
    toy.run()
    assert toy.last.status == "SUCCESS"


def test_objects_without_a_row_are_collected_and_no_others(toy: Toy) -> None:
    toy.run()
    [first] = toy.objects()
    toy.run(words="Hello")
    later = datetime.now(UTC) + timedelta(days=2)
    garbage = find_garbage(toy.database, toy.store, [POSTCARDS], grace=timedelta(days=1), now=later)
    assert [stat.key for stat in garbage.objects[OSLO]] == [first]
    assert collect(garbage, toy.database, toy.store, in_flight=lambda _: False).objects == 1
    assert toy.run(words="Hello")["card"]["unchanged"] is True


def test_what_is_remembered_goes_with_the_row_of_the_city(toy: Toy) -> None:
    toy.run()
    remembered = "SELECT asset FROM pipeline.materialisations WHERE system = 'postcards'"
    assert sorted(toy.sql(remembered)) == [("card",), ("greeting",)]
    toy.sql("DELETE FROM postcards.postcards WHERE city = 'oslo'")
    assert toy.sql(remembered) == []


def test_an_asset_is_called_as_any_of_dagsters(toy: Toy) -> None:
    resources = shared_resources(toy.settings, [POSTCARDS])
    with dg.build_asset_context(
        partition_key="oslo", instance=toy.instance, resources={"results": resources["results"]}
    ) as context:
        result = assets.greeting(context, assets.GreetingConfig(words="Hi"))
    assert result.value.value == "Hi, in oslo!"


def test_a_run_in_flight_concerns_its_own_system_only_unless_nobody_knows_it(toy: Toy) -> None:
    same_key_elsewhere = Partition("moments", "oslo")
    assert run_in_flight(toy.instance, OSLO) is None
    ours, foreign = (
        dg.DagsterRun(
            job_name=job,
            run_id=str(uuid.uuid4()),
            status=dg.DagsterRunStatus.STARTED,
            tags={PARTITION_TAG: "oslo"},
        )
        for job in ("postcards", "somebody_elses")
    )
    definitions(toy.settings)
    toy.instance.add_run(ours)
    assert run_in_flight(toy.instance, OSLO) == ours.run_id
    assert run_in_flight(toy.instance, same_key_elsewhere) is None
    toy.instance.add_run(foreign)
    assert run_in_flight(toy.instance, same_key_elsewhere) == foreign.run_id


def test_the_check_job_reads_each_result_once(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.run()
    read: list[str] = []
    for storage in (GreetingRows, CardFiles):
        original = storage.read

        def counted(self: Any, *given: Any, original: Any = original) -> Any:
            read.append(self.name)
            return original(self, *given)

        monkeypatch.setattr(storage, "read", counted)
    toy.run("check_stored_postcards")
    assert len(read) == len(set(read)) > 0
