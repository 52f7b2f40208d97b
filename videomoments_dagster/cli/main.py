"""The `videomoments` command: options and help texts.

Belongs here: parsing, and turning typed failures into a sentence and an exit status. Does not
belong here: the work itself (`videomoments_dagster.cli`). Modules that import Dagster
are imported inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
from dagster import DagsterInstance

from db.schema_state import check_schema, upgrade
from db.session import Database
from videomoments_dagster.base.failures import VideoMomentsError
from videomoments_dagster.cli import demonstration, documents, printing
from videomoments_dagster.cli.backfill_command import backfill_command
from videomoments_dagster.cli.dagster_instance import opened_instance
from videomoments_dagster.cli.dev_server import serve
from videomoments_dagster.cli.doctor import diagnose
from videomoments_dagster.cli.export_command import export_command
from videomoments_dagster.cli.progress_line import RunReporter
from videomoments_dagster.cli.report_command import report_command
from videomoments_dagster.cli.running import run_job
from videomoments_dagster.cli.upkeep import upkeep_commands
from videomoments_dagster.core.configured_database import database_url, open_database
from videomoments_dagster.core.settings import Settings, load_settings
from videomoments_dagster.definitions import resources_for
from videomoments_dagster.moments.profiles import load_profiles, profile_named
from videomoments_dagster.moments.registration import add_source, registered

EXIT_FAILED = 1
EXIT_PARTIAL = 3

LISTED = 100

JOB_NAMES = ["full", "moments_only", "scores_only", "clips_only"]
ENGINE_NAMES = ["faster-whisper", "captions", "pocketsphinx"]


class _Group(click.Group):
    """A group that ends known failures with one sentence instead of a traceback."""

    def invoke(self, ctx: click.Context) -> object:

        try:
            return super().invoke(ctx)
        except VideoMomentsError as failure:
            click.echo(f"videomoments: {failure}", err=True)
        except KeyboardInterrupt:
            click.echo("videomoments: stopped.", err=True)
        sys.exit(EXIT_FAILED)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="videomoments-dagster")
def main() -> None:
    """Long videos in, their best moments out.

    \b
    A first video:
      videomoments add talk.mp4 --captions talk.srt
      videomoments run talk
      videomoments show talk

    \b
    With the UI:
      videomoments dev

    State lives in the folder .videomoments (VIDEOMOMENTS_HOME), unless DATABASE_URL and
    VIDEOMOMENTS_OBJECT_STORE name a PostgreSQL server and a bucket.
    """


@contextmanager
def _opened() -> Iterator[tuple[Settings, Database, DagsterInstance]]:
    """Settings, our database with a current schema, and Dagster's instance."""
    with ExitStack() as until_the_end:
        settings, database = _database()
        instance = until_the_end.enter_context(opened_instance(settings))
        yield settings, database, instance


def _database() -> tuple[Settings, Database]:
    """Settings and our database; the embedded one is brought up to date by the way."""
    settings = load_settings()
    url = database_url(settings)
    if settings.explicit_sync_url is None:
        upgrade(url)
    database = open_database(url)
    check_schema(database)
    return settings, database


@main.command()
@click.argument("source")
@click.option("--identifier", help="Name of the video; made from the source if not given.")
@click.option("--title", help="Title to store with the video.")
@click.option("--captions", metavar="FILE", help="SRT or VTT file to take the transcript from.")
@click.option(
    "--transcription",
    type=click.Choice(ENGINE_NAMES),
    help="Engine for this video, if not the installation's.",
)
@click.option("--profile", help="Generation profile for this video, if not the default.")
def add(
    source: str,
    identifier: str | None,
    title: str | None,
    captions: str | None,
    transcription: str | None,
    profile: str | None,
) -> None:
    """Register SOURCE, so that it can be run: a file, an http(s):// or gs:// URL.

    The same source again is the same video. A file whose name begins with a dash goes after
    `--`.

    \b
    Examples:
      videomoments add talks/keynote.mp4 --title "Keynote"
      videomoments add https://example.org/talk.webm --identifier talk-2026
      videomoments add lecture.mp4 --captions lecture.srt
    """
    _check_profile(profile)
    with _opened() as (_, database, instance):
        registration = add_source(
            instance,
            database,
            source,
            identifier=identifier,
            title=title,
            captions=captions,
            transcription_engine=transcription,
            profile=profile,
            working_directory=Path.cwd(),
        )
    name = registration.source.identifier
    click.echo(f"Registered as '{name}'." if registration.is_new else f"Known as '{name}'.")
    click.echo(f"Next: videomoments run {name}")


@main.command()
@click.argument("identifier")
@click.option(
    "--job",
    type=click.Choice(JOB_NAMES),
    default="full",
    show_default=True,
    help="What to materialise.",
)
@click.option("--profile", help="Generation profile for this run.")
@click.option(
    "--transcription", type=click.Choice(ENGINE_NAMES), help="Transcription engine for this run."
)
@click.option("--force", is_flag=True, help="Compute again even where nothing has changed.")
def run(
    identifier: str, job: str, profile: str | None, transcription: str | None, *, force: bool
) -> None:
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
    _check_profile(profile)
    with _opened() as (_, database, instance):
        status = _run(
            instance,
            database,
            identifier,
            job=job,
            profile=profile,
            transcription=transcription,
            force=force,
        )
    sys.exit(status)


def _check_profile(name: str | None) -> None:
    """Refuse an invalid file of profiles, or a name not in it, before anything is written."""
    profiles = load_profiles(load_settings().profiles)
    if name is not None:
        profile_named(name, profiles)


def _run(
    instance: DagsterInstance,
    database: Database,
    identifier: str,
    *,
    job: str,
    profile: str | None = None,
    transcription: str | None = None,
    force: bool = False,
) -> int:
    registered(instance, database, identifier)
    reporter = RunReporter()
    outcome = run_job(
        instance,
        database,
        video=identifier,
        job=job,
        reporter=reporter,
        profile=profile,
        transcription_engine=transcription,
        force=force,
    )
    reporter.run_finished(outcome.row, video=identifier)
    return {"completed": 0, "partial": EXIT_PARTIAL}.get(outcome.row.status, EXIT_FAILED)


@main.command(name="list")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help=f"Most videos to show, the newest first; {LISTED} if not given, with --json all.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def list_videos(limit: int | None, *, as_json: bool) -> None:
    """List the registered videos with what there is of each."""
    _, database = _database()
    if as_json:
        printing.print_list_json(documents.list_document(database, limit=limit))
        return
    most = limit or LISTED
    videos = documents.list_document(database, limit=most + 1)
    printing.print_list(videos[:most], is_all=len(videos) <= most)


@main.command()
@click.argument("identifier")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def show(identifier: str, *, as_json: bool) -> None:
    """Show everything that is stored of the video IDENTIFIER.

    The video with its transcript in brief, moments, refined moments, clips, thumbnails and
    history.
    """
    _, database = _database()
    printing.print_video(documents.show_document(database, identifier), as_json=as_json)


@main.command()
@click.argument("text")
@click.option("--limit", default=20, show_default=True, help="Most sentences to show.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def search(text: str, limit: int, *, as_json: bool) -> None:
    """Find what was said: video, time and sentence for each place where TEXT occurs.

    \b
    Examples:
      videomoments search bread
      videomoments search '"sour dough" -butter'
    """
    _, database = _database()
    printing.print_hits(documents.search_document(database, text, limit=limit), as_json=as_json)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=3000, show_default=True, help="Port to listen on.")
def dev(host: str, port: int) -> None:
    """Start the UI: database, migrations, webserver and daemon. Ctrl-C stops all of it."""
    sys.exit(serve(load_settings(), host=host, port=port))


main.add_command(export_command(_database))
main.add_command(backfill_command(_opened, jobs=JOB_NAMES, check_profile=_check_profile))
main.add_command(report_command(_database))
for _command in upkeep_commands(_opened):
    main.add_command(_command)


@main.group()
def db() -> None:
    """The database: its schema and where it is."""


@db.command(name="upgrade")
def db_upgrade() -> None:
    """Bring the schema of our database up to date."""
    upgrade(database_url(load_settings()))
    click.echo("The schema is up to date.")


@db.command(name="url")
def db_url() -> None:
    """Print the database's URL, for psql and the like.

    The embedded server runs only while some `videomoments` process needs it, such as
    `videomoments dev`.
    """
    click.echo(database_url(load_settings()).replace("postgresql+psycopg2://", "postgresql://", 1))


@main.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def doctor(*, as_json: bool) -> None:
    """Check what this installation needs: each thing is `ok`, or what to do about it."""
    findings = diagnose(load_settings())
    printing.print_findings(findings, as_json=as_json)
    sys.exit(EXIT_FAILED if any(finding.level == "problem" for finding in findings) else 0)


@main.command()
def demo() -> None:
    """Run a short talk through everything, and show what comes out."""
    with _opened() as (settings, database, instance):
        resources = resources_for(settings)
        status = 0
        if demonstration.demo_is_complete(resources["results"]):
            click.echo("The demo is materialised already, and whole; nothing is left to do.")
        else:
            engine, sentence = demonstration.demo_engine(resources["transcription"])
            click.echo(sentence)
            add_source(
                instance,
                database,
                str(demonstration.demo_talk()),
                identifier=demonstration.DEMO_IDENTIFIER,
                title="Four everyday wonders",
                transcription_engine=engine,
                working_directory=Path.cwd(),
            )
            status = _run(instance, database, demonstration.DEMO_IDENTIFIER, job="full")
        document = documents.show_document(database, demonstration.DEMO_IDENTIFIER)
        printing.print_video(document, as_json=False)
    click.echo("Open the UI with `make dev`, then go to http://127.0.0.1:3000/assets")
    sys.exit(status)
