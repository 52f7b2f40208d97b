"""The commands that look back and clean up: `history`, `delete` and `gc`.

Belongs here: their arguments, and what they print. Does not belong here: what they do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import click

from videomoments_dagster.base.identifiers import checked_identifier
from videomoments_dagster.cli import printing
from videomoments_dagster.cli.deletion import deletable, delete_video
from videomoments_dagster.core.resources import ObjectStoreResource
from videomoments_dagster.core.runs import run_in_flight
from videomoments_dagster.definitions import resources_for
from videomoments_dagster.moments.history.history_rows import run_history
from videomoments_dagster.moments.history.recording import record_all

REBUILD = "rebuild"

_BYTES_PER_MEBIBYTE = 1024**2

Opened = Callable[[], AbstractContextManager[tuple[Any, Any, Any]]]


def upkeep_commands(opened: Opened) -> tuple[click.Command, ...]:
    """The commands.

    Args:
        opened: Gives settings, our database and Dagster's instance, and closes them.
    """
    return _history(opened), _delete(opened), _gc(opened)


def _history(opened: Opened) -> click.Command:
    @click.command()
    @click.argument("identifier", required=False)
    @click.option("--video", help="The same as IDENTIFIER, for a video called 'rebuild'.")
    @click.option(
        "--status",
        type=click.Choice(["running", "completed", "partial", "failed"]),
        help="Only runs that ended so.",
    )
    @click.option(
        "--limit",
        type=click.IntRange(1, 100_000),
        default=20,
        show_default=True,
        help="Most runs to show.",
    )
    @click.option("--json", "as_json", is_flag=True, help="One JSON document.")
    def history(
        identifier: str | None, video: str | None, status: str | None, limit: int, *, as_json: bool
    ) -> None:
        """Show the last runs, of all videos or of IDENTIFIER; or write the table anew.

        \b
        Examples:
          videomoments history
          videomoments history talk --limit 5
          videomoments history --status failed
          videomoments history rebuild
        """
        with opened() as (_, database, instance):
            if identifier == REBUILD and video is None:
                recorded = record_all(instance, database)
                click.echo(f"{recorded.runs} rows of pipeline_history are up to date.")
                for run_id, error in recorded.failures.items():
                    click.echo(f"The run {run_id} could not be recorded: {error}", err=True)
                sys.exit(1 if recorded.failures else 0)
            name = video or identifier
            with database.read() as session:
                runs = run_history(
                    session,
                    video=None if name is None else checked_identifier(name),
                    status=status,
                    limit=limit,
                )
        printing.print_history(runs, as_json=as_json)

    return history


def _delete(opened: Opened) -> click.Command:
    @click.command()
    @click.argument("identifier")
    @click.option("--yes", is_flag=True, help="Do not ask.")
    def delete(identifier: str, *, yes: bool) -> None:
        """Delete the video IDENTIFIER: rows, objects, and its partition. Other videos keep theirs.

        Refused while a run of it is waiting or under way. A local source stays where it is.
        """
        with opened() as (settings, database, instance):
            store = ObjectStoreResource(
                root=settings.object_store_root, gcp_project=settings.gcp_project or ""
            ).store
            what = deletable(instance, store, identifier)
            size = what.size_bytes / _BYTES_PER_MEBIBYTE
            if not yes:
                click.confirm(
                    f"Delete '{identifier}' with {len(what.objects)} objects ({size:.1f} MiB), its "
                    "transcript, moments and history?",
                    abort=True,
                )
            delete_video(instance, database, store, what)
        click.echo(f"Deleted '{identifier}' and {len(what.objects)} objects ({size:.1f} MiB).")

    return delete


def _gc(opened: Opened) -> click.Command:
    @click.command()
    @click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
    def gc(*, dry_run: bool) -> None:
        """Remove objects that no row refers to, and what killed writes left behind.

        Nothing that is younger than VIDEOMOMENTS_GC_GRACE_HOURS, and nothing of a video with a run
        that is waiting or under way.
        """
        with opened() as (settings, _, instance):
            garbage = resources_for(settings)["garbage"]
            found = garbage.found()
            size = found.size_bytes / _BYTES_PER_MEBIBYTE
            click.echo(
                f"{found.count} of {found.looked_at} objects ({size:.1f} MiB) have no row; "
                f"{found.too_young} more are too young to tell."
            )
            if dry_run:
                for stats in found.objects.values():
                    for stat in stats:
                        click.echo(f"  {stat.url}")
                return
            collected = garbage.removed(
                found, in_flight=lambda video: run_in_flight(instance, video) is not None
            )
        size = collected.size_bytes / _BYTES_PER_MEBIBYTE
        click.echo(
            f"Removed {collected.objects} objects ({size:.1f} MiB) and {collected.unfinished} "
            "unfinished files."
        )
        if collected.spared:
            click.echo(f"Left alone while they run: {', '.join(collected.spared)}")

    return gc
