"""Every use of Dagster that its public documentation does not promise.

An upgrade of Dagster may break any of it: the tests of this module say what broke.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

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


def hidden_tag(name: str) -> str:
    """Name of a run tag that the UI shows nobody, such as one for a hash."""
    return f".dagster/{name}"


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


def run_webserver(wrapped: Callable[[Any], Any]) -> None:
    """Be `dagster-webserver`, with the command line of this process, and its ASGI app wrapped.

    Whoever starts it makes sure that what it wraps it in is there.
    """
    from dagster_webserver import cli as command  # noqa: PLC0415 - the whole GraphQL schema

    cli: Any = command
    make = cli.create_app_from_workspace_process_context

    def make_wrapped(*arguments: Any, **options: Any) -> Any:
        return wrapped(make(*arguments, **options))

    cli.create_app_from_workspace_process_context = make_wrapped
    cli.main()


def run_dev(webserver: str) -> None:
    """Be `dagster`, whose `dev` starts another module in place of `dagster_webserver`."""
    from dagster import _cli  # noqa: PLC0415 - all commands of Dagster
    from dagster._cli import dev as command  # noqa: PLC0415

    cli: Any = _cli
    dev: Any = command
    start = dev.open_ipc_subprocess

    def start_ours(words: list[str], **options: Any) -> Any:
        ours = [webserver if word == "dagster_webserver" else word for word in words]
        return start(ours, **options)

    dev.open_ipc_subprocess = start_ours
    cli.main()
