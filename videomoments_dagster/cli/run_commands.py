"""The commands that run jobs and look back at runs: `run`, `backfill`, `history` and `demo`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from videomoments_dagster.base.failures import ResultMissing
from videomoments_dagster.base.identifiers import checked_identifier
from videomoments_dagster.cli import backfill as backfills
from videomoments_dagster.cli import printing
from videomoments_dagster.cli.context import (
    CommandContext,
    engine_option,
    json_option,
    profile_option,
)
from videomoments_dagster.cli.running import RunReporter, heal_runs, run_job
from videomoments_dagster.cli.video_commands import show_document
from videomoments_dagster.moments import definitions  # noqa: F401 - jobs register themselves
from videomoments_dagster.moments.history.recording import (
    record_all,
    run_history,
    with_run_ids,
)
from videomoments_dagster.moments.registration import add_source, registered
from videomoments_dagster.moments.system import MOMENTS
from videomoments_dagster.speech.whisper import FasterWhisperEngine

EXIT_FAILED = 1
EXIT_PARTIAL = 3

_DEMO = "demo"
_DEMO_TITLE = "Four everyday wonders"

_job_option = click.option(
    "--job",
    type=click.Choice(list(MOMENTS.jobs)),
    default="full",
    show_default=True,
    help="What to materialise.",
)


@click.command()
@click.argument("identifier")
@_job_option
@profile_option("Generation profile for this run.")
@engine_option("Transcription engine for this run.")
@click.option("--force", is_flag=True, help="Compute again even where nothing has changed.")
@click.pass_obj
def run(context: CommandContext, /, identifier: str, **options: Any) -> None:
    """Materialise the video IDENTIFIER, in this process; no daemon is needed.

    What has not changed since last time is kept. Exit status: 0 when all is there, 1 when the
    run failed, 3 when parts of it could not be done: clips, or windows of a language model.

    \b
    Examples:
      videomoments run talk
      videomoments run talk --job moments_only --profile shorts
      videomoments run talk --job scores_only
      videomoments run talk --job clips_only
    """
    sys.exit(_run(context, identifier, **options))


def _run(context: CommandContext, video: str, **options: Any) -> int:
    instance, database = context.instance, context.database
    registered(instance, database, video)
    in_place = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    reporter = RunReporter(in_place=in_place)
    row = run_job(instance, database, video=video, reporter=reporter, **options).row
    reporter.run_finished(row, video=video)
    return {"completed": 0, "partial": EXIT_PARTIAL}.get(row.status, EXIT_FAILED)


@click.command()
@_job_option
@profile_option("Generation profile for these runs.")
@click.option(
    "--only",
    default="unfinished",
    show_default=True,
    metavar="missing|stale|failed|unfinished|all|FILE",
    help="Videos that lack something of the job, or have it from what is another by now, whose "
    "last run failed, all three, all, or those named in FILE, an identifier a line.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option(
    "--here",
    is_flag=True,
    help="In this process, one after the other, even where a daemon runs.",
)
@click.pass_obj
def backfill(
    context: CommandContext, job: str, profile: str | None, only: str, *, dry_run: bool, here: bool
) -> None:
    """Run a job for many videos: those that are not finished, unless told otherwise.

    Of videos that lack something, or have it from what is another by now, just that is made, and
    what is made from it, unless a profile is given. Where `videomoments dev` or another daemon of
    Dagster runs, it does the work, and goes on with it whatever becomes of this command. Videos
    that are worked on already are left out. Exit status: 0 when all is there, 1 when a run failed,
    3 when parts could not be done.

    \b
    Examples:
      videomoments backfill --dry-run
      videomoments backfill --only failed
      videomoments backfill --only all --job moments_only --profile shorts
    """
    instance, database = context.instance, context.database
    heal_runs(instance, database)
    plan = backfills.planned(instance, database, job=job, profile=profile, only=only)
    through_daemon = not here and backfills.daemon_is_there(instance)
    _print_plan(plan, through_daemon=through_daemon, in_full=dry_run)
    if dry_run or not plan.videos:
        return
    reporter = backfills.BackfillReporter()
    if through_daemon:
        try:
            launched = backfills.launch(plan)
        except KeyboardInterrupt:
            click.echo(
                "\nStopped while Dagster was given the backfill. Whether it has it, the UI shows "
                "under Runs, Backfills.",
                err=True,
            )
            sys.exit(EXIT_FAILED)
        named = " and ".join(launched)
        click.echo(f"Dagster's daemon has it as backfill {named}.")
        try:
            summary = backfills.followed(instance, launched, plan, reporter=reporter)
        except KeyboardInterrupt:
            click.echo(
                f"\nThe daemon goes on with backfill {named}; cancel it in the UI "
                "under Runs, Backfills.",
                err=True,
            )
            sys.exit(EXIT_FAILED)
    else:
        summary = backfills.run_here(instance, database, plan, reporter=reporter)
    _print_summary(summary)
    is_failed = summary.failed or summary.left
    sys.exit(EXIT_FAILED if is_failed else EXIT_PARTIAL if summary.partial else 0)


def _print_plan(plan: backfills.Plan, *, through_daemon: bool, in_full: bool) -> None:
    profile = f" with the profile {plan.profile}" if plan.profile else ""
    where = "through Dagster's daemon" if through_daemon else "in this process, one by one"
    click.echo(f"{plan.job}{profile} for {len(plan.videos)} videos, {where}.")
    shown = plan.videos if in_full else plan.videos[:20]
    for video in shown:
        part = ", ".join(name for name in MOMENTS.assets if name in plan.assets.get(video, ()))
        click.echo(f"  {video}: {part}" if part else f"  {video}")
    if len(shown) < len(plan.videos):
        click.echo(f"  and {len(plan.videos) - len(shown)} more")
    if plan.in_flight:
        click.echo(f"Left out, since they are worked on already: {', '.join(plan.in_flight)}")


def _print_summary(summary: backfills.Summary) -> None:
    partial, failed = len(summary.partial), len(summary.failed)
    click.echo(f"{summary.completed} completed, {partial} in part, {failed} failed.")
    for name, videos in (("In part", summary.partial), ("Failed", summary.failed)):
        for video, why in videos.items():
            click.echo(f"{name}: {video}: {why}")
    if summary.left:
        click.echo(f"Not run to their end: {', '.join(summary.left)}")


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
@json_option
@click.pass_obj
def history(
    context: CommandContext, /, identifier: str | None, video: str | None, **options: Any
) -> None:
    """Show the last runs, of all videos or of IDENTIFIER; or write the table anew.

    \b
    Examples:
      videomoments history
      videomoments history talk --limit 5
      videomoments history --status failed
      videomoments history rebuild
    """
    heal_runs(context.instance, context.database)
    if identifier == "rebuild" and video is None:
        recorded = record_all(context.instance, context.database)
        click.echo(f"{recorded.runs} rows of pipeline_history are up to date.")
        for run_id, error in recorded.failures.items():
            click.echo(f"The run {run_id} could not be recorded: {error}", err=True)
        sys.exit(EXIT_FAILED if recorded.failures else 0)
    name, as_json = video or identifier, options.pop("as_json")
    if name is not None:
        checked_identifier(name)
    with context.database.read() as session:
        runs = run_history(session, video=name, **options)
    runs = with_run_ids(runs, context.instance, ui_url=context.settings.ui_url)
    (printing.print_json if as_json else printing.print_history)(runs)


@click.command()
@click.pass_obj
def demo(context: CommandContext) -> None:
    """Run a short talk through everything, and show what comes out."""
    database, resources = context.database, context.resources
    results, demo = resources["results"], MOMENTS.partition(_DEMO)
    status = 0
    if all(results.of(demo, asset.storage).is_intact for asset in MOMENTS.assets.values()):
        click.echo("The demo is materialised already, and whole; nothing is left to do.")
    else:
        engine = resources["transcription"].engine(FasterWhisperEngine.name)
        engine.check()
        click.echo(f"The demo transcribes with {engine.service}.")
        talk = Path(__file__).parents[2] / "demo" / "talk.mp4"
        if not talk.is_file():
            raise ResultMissing(
                f"the demo talk {talk} is not there",
                remedy="Run the demo from a checkout of the project",
            )
        add_source(
            context.instance,
            database,
            str(talk),
            identifier=_DEMO,
            title=_DEMO_TITLE,
            transcription_engine=engine.name,
            working_directory=talk.parent,
        )
        status = _run(context, _DEMO, job="full")
    printing.print_video(show_document(database, _DEMO), context.served)
    click.echo(f"Open the UI with `make dev`, then go to {context.settings.ui_url}/assets")
    sys.exit(status)
