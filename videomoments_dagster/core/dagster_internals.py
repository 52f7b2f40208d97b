"""Every use of Dagster that its public documentation does not promise.

An upgrade of Dagster may break any of it: the tests of this module say what broke.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from dagster import (
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    EventLogEntry,
)
from dagster_shared.error import SerializableErrorInfo

ErrorInfo: TypeAlias = SerializableErrorInfo
"""What Dagster keeps of an exception, in the data of a failed step or run."""


def set_pool_limit(instance: DagsterInstance, pool: str, limit: int) -> None:
    """Let so many steps of a pool work at once."""
    instance.event_log_storage.set_concurrency_slots(pool, limit)


def fail_dead_run(instance: DagsterInstance, run: DagsterRun, why: str) -> None:
    """Record that a run whose process is gone has failed, and free its places in pools.

    Dagster's daemon would free them some time later; without one, nobody else would.
    """
    instance.report_run_failed(run, why)
    instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def code_location_of(run: DagsterRun) -> str | None:
    """Give the code location that a run was launched from; None for one of the command line."""
    origin = run.remote_job_origin
    return None if origin is None else origin.location_name


def add_run_tags(instance: DagsterInstance, run_id: str, tags: Mapping[str, str]) -> None:
    """Tag a run that is under way or has ended."""
    instance.add_run_tags(run_id, tags)


def events_of_run(
    instance: DagsterInstance, run_id: str, types: Iterable[DagsterEventType]
) -> list[DagsterEvent]:
    """Give the events of some types that a run has left, in order."""
    found = instance.get_records_for_run(run_id, of_type=set(types)).records
    return [event for one in found if (event := one.event_log_entry.dagster_event) is not None]


def follow_run(
    instance: DagsterInstance, run_id: str, listener: Callable[[EventLogEntry], None]
) -> None:
    """Call a listener with each event of a run that this process executes, as it happens."""
    instance.add_event_listener(run_id, listener)


def heartbeat(instance: DagsterInstance, daemon: str) -> float | None:
    """Give when a part of Dagster's daemon last showed itself, as seconds since 1970."""
    beat = instance.get_daemon_heartbeats().get(daemon)
    return None if beat is None else beat.timestamp
