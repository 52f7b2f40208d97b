"""The command `backfill`: its options, and what it prints.

Belongs here: words. Does not belong here: the backfill (`command_line.backfill`).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import click

from videomoments_dagster.cli import backfill as work
from videomoments_dagster.cli.backfill import Count, Plan, Summary
from videomoments_dagster.moments.history.history_row import HistoryRow

EXIT_FAILED = 1
EXIT_PARTIAL = 3

_SHOWN = 20
_SECONDS_PER_MINUTE = 60

Opened = Callable[[], AbstractContextManager[tuple[Any, Any, Any]]]


def backfill_command(
    opened: Opened, *, jobs: list[str], check_profile: Callable[[str | None], None]
) -> click.Command:
    """The command.

    Args:
        opened: Gives settings, our database and Dagster's instance, and closes them.
        jobs: Names of the jobs.
        check_profile: Refuses a profile that is not there.
    """

    @click.command()
    @click.option(
        "--job",
        type=click.Choice(jobs),
        default="full",
        show_default=True,
        help="What to materialise.",
    )
    @click.option("--profile", help="Generation profile for these runs.")
    @click.option(
        "--only",
        default="missing",
        show_default=True,
        metavar="missing|failed|all|FILE",
        help="Videos that lack something of the job, whose last run failed, all, or those named "
        "in FILE, an identifier a line.",
    )
    @click.option("--dry-run", is_flag=True, help="Only say what would be done.")
    @click.option(
        "--here",
        is_flag=True,
        help="In this process, one after the other, even where a daemon runs.",
    )
    def backfill(job: str, profile: str | None, only: str, *, dry_run: bool, here: bool) -> None:
        """Run a job for many videos: those that something is missing of, unless told otherwise.

        Where `videomoments dev` or another daemon of Dagster runs, it does the work, and goes on
        with it whatever becomes of this command. Videos that are worked on already are left out.
        Exit status: 0 when all is there, 1 when a run failed, 3 when parts could not be done.

        \b
        Examples:
          videomoments backfill --dry-run
          videomoments backfill --only failed
          videomoments backfill --only all --job moments_only --profile shorts
        """
        check_profile(profile)
        with opened() as (_, database, instance):
            plan = work.planned(instance, database, job=job, profile=profile, only=only)
            through_daemon = not here and work.daemon_is_there(instance)
            _print_plan(plan, through_daemon=through_daemon, in_full=dry_run)
            if dry_run or not plan.videos:
                return
            progress = _Printer()
            if through_daemon:
                backfill_id = work.launch(instance, plan)
                click.echo(f"Dagster's daemon has it as backfill {backfill_id}.")
                try:
                    summary = work.followed(instance, backfill_id, plan, progress=progress)
                except KeyboardInterrupt:
                    click.echo(
                        f"\nThe daemon goes on with backfill {backfill_id}; cancel it in the UI "
                        "under Runs, Backfills.",
                        err=True,
                    )
                    sys.exit(EXIT_FAILED)
            else:
                summary = work.run_here(
                    instance, database, plan, reporter=_QuietReporter, progress=progress
                )
        _print_summary(summary)
        sys.exit(
            EXIT_FAILED
            if summary.failed or summary.left
            else EXIT_PARTIAL
            if summary.partial
            else 0
        )

    return backfill


class _QuietReporter:
    """Of many runs, only how each ends is worth a line."""

    def __init__(self, video: str) -> None:
        self._video = video

    def step_started(self, step: str) -> None:
        pass

    def step_said(self, step: str, message: str) -> None:
        pass

    def step_finished(self, step: str, *, seconds: float, unchanged: bool) -> None:
        pass

    def step_failed(self, step: str, message: str) -> None:
        pass


class _Printer:
    """Prints how far a backfill is, with the time that is left by the pace so far."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    def counted(self, count: Count) -> None:
        total = count.done + count.under_way + count.waiting
        parts = [f"{count.done} of {total} done"]
        parts += [f"{count.failed} failed"] if count.failed else []
        parts += [f"{count.under_way} under way", f"{count.waiting} waiting"]
        left = count.under_way + count.waiting
        if count.done and left:
            minutes = (time.monotonic() - self._begun) / count.done * left / _SECONDS_PER_MINUTE
            parts.append(f"about {minutes:.0f} min left" if minutes >= 1 else "a minute left")
        click.echo(", ".join(parts), err=True)

    def video_ended(self, video: str, row: HistoryRow) -> None:
        took = "" if row.duration_seconds is None else f" after {row.duration_seconds:.1f} s"
        click.echo(f"{video}: {row.status}{took}", err=True)


def _print_plan(plan: Plan, *, through_daemon: bool, in_full: bool) -> None:
    profile = f" with the profile {plan.profile}" if plan.profile else ""
    where = "through Dagster's daemon" if through_daemon else "in this process, one by one"
    click.echo(f"{plan.job}{profile} for {len(plan.videos)} videos, {where}.")
    shown = plan.videos if in_full else plan.videos[:_SHOWN]
    for video in shown:
        click.echo(f"  {video}")
    if len(shown) < len(plan.videos):
        click.echo(f"  and {len(plan.videos) - len(shown)} more")
    if plan.in_flight:
        click.echo(f"Left out, since they are worked on already: {', '.join(plan.in_flight)}")


def _print_summary(summary: Summary) -> None:
    click.echo(
        f"{summary.completed} completed, {len(summary.partial)} in part, "
        f"{len(summary.failed)} failed."
    )
    for name, videos in (("In part", summary.partial), ("Failed", summary.failed)):
        for video, why in videos.items():
            click.echo(f"{name}: {video}: {why}")
    if summary.left:
        click.echo(f"Not run to their end: {', '.join(summary.left)}")
