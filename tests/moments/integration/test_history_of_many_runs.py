"""The history sensor while thousands of runs change at once."""

from __future__ import annotations

import time

import pytest
from dagster import DagsterRunStatus, build_sensor_context
from imitated_runs import Imitated

from videomoments_dagster.moments.history import sensor as sensors


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "count", [1_000, pytest.param(10_000, marks=pytest.mark.faults)], ids=["1000", "10000"]
)
def test_the_history_of_thousands_of_runs_at_once_is_complete(
    imitated: Imitated, count: int
) -> None:
    imitated.with_config("talk")
    for _ in range(count):
        imitated.pretend("talk", DagsterRunStatus.SUCCESS)
    cursor: str | None = None
    ticks = 0
    while len(imitated.history()) < count:
        with build_sensor_context(
            instance=imitated.instance,
            cursor=cursor,
            resources={"database": imitated.storage.manager.database},
        ) as context:
            begun = time.monotonic()
            cursor = sensors.pipeline_history.evaluate_tick(context).cursor
        # Dagster ends a tick after 60 s.
        assert time.monotonic() - begun < 50
        ticks += 1
        assert ticks < 200
    assert len({row["identifier"] for row in imitated.history()}) == count
