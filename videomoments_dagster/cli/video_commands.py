"""The commands for videos: `add`, `list`, `show`, `search` and `delete`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from dagster import DagsterInstance

from db.run_claims import partition_to_oneself
from db.session import Database
from videomoments_dagster.base.failures import (
    IdentifierRejected,
    ResultMissing,
    SourceRejected,
    VideoBusy,
)
from videomoments_dagster.base.identifiers import checked_identifier
from videomoments_dagster.cli import printing
from videomoments_dagster.cli.context import (
    CommandContext,
    engine_option,
    json_option,
    profile_option,
)
from videomoments_dagster.cli.running import heal_runs
from videomoments_dagster.core.objects.store import ObjectStore
from videomoments_dagster.core.runs import run_in_flight
from videomoments_dagster.moments.exports.json_document import (
    Document,
    listed_document,
    video_document,
)
from videomoments_dagster.moments.history.recording import forget_runs
from videomoments_dagster.moments.reading import read_video, read_videos
from videomoments_dagster.moments.registration import add_source, remove_video
from videomoments_dagster.moments.search import search_transcripts
from videomoments_dagster.moments.stored_videos import RegisteredVideo, StoredVideo
from videomoments_dagster.moments.system import MOMENTS, VIDEO_PARTITIONS

LISTED = 100


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--identifier", help="Name of the video; made from the source if not given.")
@click.option("--title", help="Title to store with the video.")
@click.option("--captions", metavar="FILE", help="SRT or VTT file to take the transcript from.")
@click.option(
    "--audio-track",
    metavar="N",
    type=click.IntRange(min=1),
    help="Sound track to work on, from 1 as players count them; if not given, the first default "
    "one with anything to hear.",
)
@click.option(
    "--subtitle-track",
    metavar="N",
    type=click.IntRange(min=1),
    help="Subtitle track inside the file to take the transcript from, from 1.",
)
@engine_option("Engine for this video, if not the installation's.")
@profile_option("Generation profile for this video, if not the default.")
@click.pass_obj
def add(context: CommandContext, /, sources: Sequence[str], **options: Any) -> None:
    """Register each SOURCE, so that it can be run: a file, an http(s):// or gs:// URL.

    The same source again is the same video. A file whose name begins with a dash goes after
    `--`. Of several, one that is refused keeps none of the others from it; the exit status is 1.

    \b
    Examples:
      videomoments add talks/keynote.mp4 --title "Keynote"
      videomoments add https://example.org/talk.webm --identifier talk-2026
      videomoments add lecture.mp4 --captions lecture.srt
      videomoments add screen.mkv --audio-track 2
      videomoments add talks/*.mp4
    """
    if options["captions"] and options["subtitle_track"]:
        raise click.UsageError("--captions and --subtitle-track exclude each other.")
    of_one = [name for name in ("identifier", "title", "captions") if options[name]]
    if len(sources) > 1 and of_one:
        raise click.UsageError(f"--{of_one[0]} is of one video, and there are {len(sources)}.")
    refused, names = 0, []
    for source in sources:
        try:
            registration = add_source(
                context.instance, context.database, source, working_directory=Path.cwd(), **options
            )
        except (SourceRejected, IdentifierRejected) as failure:
            if len(sources) == 1:
                raise
            click.echo(f"videomoments: {failure}", err=True)
            refused += 1
            continue
        names.append(registration.source.identifier)
        click.echo(
            f"Registered as '{names[-1]}'." if registration.is_new else f"Known as '{names[-1]}'."
        )
    if names:
        next_one = f"run {names[0]}" if len(sources) == 1 else "backfill"
        click.echo(f"Next: videomoments {next_one}")
    sys.exit(bool(refused))


@click.command(name="list")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help=f"Most videos to show, the newest first; {LISTED} if not given, with --json all.",
)
@json_option
@click.pass_obj
def list_videos(context: CommandContext, limit: int | None, *, as_json: bool) -> None:
    """List the registered videos with what there is of each."""
    if as_json:
        printing.print_json(list_document(context.database, limit=limit))
        return
    most = limit or LISTED
    videos = list_document(context.database, limit=most + 1)
    printing.print_list(videos[:most], is_all=len(videos) <= most)


@click.command()
@click.argument("identifier")
@json_option
@click.pass_obj
def show(context: CommandContext, identifier: str, *, as_json: bool) -> None:
    """Show everything that is stored of the video IDENTIFIER.

    The video with its transcript in brief, moments, refined moments, clips, thumbnails and
    history. A browser opens its files and page while the UI is there.
    """
    document = show_document(context.database, identifier)
    if as_json:
        printing.print_json(document)
    else:
        printing.print_video(document, context.served)


@click.command()
@click.argument("text")
@click.option("--limit", default=20, show_default=True, help="Most sentences to show.")
@json_option
@click.pass_obj
def search(context: CommandContext, text: str, limit: int, *, as_json: bool) -> None:
    """Find what was said: video, time and sentence for each place where TEXT occurs.

    \b
    Examples:
      videomoments search bread
      videomoments search '"sour dough" -butter'
    """
    hits = search_document(context.database, text, limit=limit)
    (printing.print_json if as_json else printing.print_hits)(hits)


@click.command()
@click.argument("identifier")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def delete(context: CommandContext, identifier: str, *, yes: bool) -> None:
    """Delete the video IDENTIFIER: rows, objects, and its partition. Other videos keep theirs.

    Refused while a run of it is waiting or under way. A local source stays where it is. Dagster
    keeps its records of the video's runs; they are marked, and do not come back into the history
    when the same source is added again.
    """
    heal_runs(context.instance, context.database)
    found = deletable(context.instance, context.store, identifier)
    objects = f"{len(found.objects)} objects ({printing.mebibytes(found.size_bytes)})"
    if not yes:
        click.confirm(
            f"Delete '{identifier}' with {objects}, its transcript, moments and history?",
            abort=True,
        )
    delete_video(context.instance, context.database, context.store, found)
    click.echo(f"Deleted '{identifier}' and {objects}.")


def list_document(database: Database, *, limit: int | None = None) -> list[Document]:
    """Give a line for each video, the newest first; registered ones included.

    Raises:
        DatabaseProblem: The database was lost or refused.
    """
    with database.read() as session:
        return [listed_document(video) for video in read_videos(session, limit=limit)]


def show_document(database: Database, identifier: str) -> Document:
    """Give all that is stored of one video; locations without credentials and tokens.

    Raises:
        IdentifierRejected: That is no identifier.
        ResultMissing: No video of that identifier is registered or stored.
        DatabaseProblem: The database was lost or refused.
    """
    return video_document(known_video(database, identifier))


def known_video(database: Database, identifier: str) -> StoredVideo | RegisteredVideo:
    """Read all that is stored of one video.

    Raises:
        IdentifierRejected: That is no identifier.
        ResultMissing: No video of that identifier is registered or stored.
        DatabaseProblem: The database was lost or refused.
    """
    checked_identifier(identifier)
    with database.read() as session:
        known = read_video(session, identifier)
    if known is None:
        raise _absent(identifier)
    return known


def search_document(database: Database, text: str, *, limit: int = 20) -> list[Document]:
    """Give the segments in which something is said, the best first.

    Raises:
        DatabaseProblem: The database was lost or refused.
    """
    # PostgreSQL takes neither a NUL nor what the shell handed over as broken UTF-8.
    asked = text.replace("\0", " ").encode("utf-8", "replace").decode()
    with database.read() as session:
        return [asdict(match) for match in search_transcripts(session, asked, limit=limit)]


@dataclass(frozen=True, slots=True)
class Deletable:
    """What there is of a video outside the database.

    Attributes:
        identifier: The video.
        objects: Addresses of its objects.
        size_bytes: What they take together.
        is_partition: Whether Dagster has a partition of that name.
    """

    identifier: str
    objects: tuple[str, ...]
    size_bytes: int
    is_partition: bool


def deletable(instance: DagsterInstance, store: ObjectStore, identifier: str) -> Deletable:
    """Look at what there is of a video outside the database.

    Raises:
        IdentifierRejected: If that is no identifier.
        VideoBusy: If a run of it is waiting or under way.
    """
    checked_identifier(identifier)
    _refuse_while_running(instance, identifier)
    found = [stat for prefix in MOMENTS.folders_of(identifier) for stat in store.list(prefix)]
    size_bytes = sum(stat.size_bytes for stat in found)
    is_partition = instance.has_dynamic_partition(VIDEO_PARTITIONS, identifier)
    return Deletable(identifier, tuple(stat.url for stat in found), size_bytes, is_partition)


def delete_video(
    instance: DagsterInstance, database: Database, store: ObjectStore, found: Deletable
) -> None:
    """Delete a video: rows, then objects, then the partition.

    Rows go first, in one transaction: what is left if the rest fails is objects that nothing
    refers to, and a partition that has nothing. The same again removes those.

    Raises:
        VideoBusy: If a run of it began meanwhile.
        ResultMissing: If there is nothing of it anywhere.
        ObjectStoreUnavailable: If an object could not be removed; the same again goes on.
    """
    with partition_to_oneself(database, system="moments", partition=found.identifier) as free:
        _refuse_while_running(instance, found.identifier)
        if not free:
            raise _busy(found.identifier, "a run")
        with database.transaction() as session:
            had_rows = remove_video(session, found.identifier)
        if not (had_rows or found.objects or found.is_partition):
            raise _absent(found.identifier)
        for url in found.objects:
            store.delete(url)
        forget_runs(instance, found.identifier)
        if found.is_partition:
            instance.delete_dynamic_partition(VIDEO_PARTITIONS, found.identifier)


def _absent(identifier: str) -> ResultMissing:
    return ResultMissing(
        f"there is no video '{identifier}'", remedy="See `videomoments list` for those there are"
    )


def _refuse_while_running(instance: DagsterInstance, identifier: str) -> None:
    running = run_in_flight(instance, MOMENTS.any_partition(identifier))
    if running is not None:
        raise _busy(identifier, f"the run {running}")


def _busy(identifier: str, run: str) -> VideoBusy:
    return VideoBusy(
        f"{run} of '{identifier}' is waiting or under way",
        remedy="Wait until it has ended, or cancel it in the UI",
        subject=f"video '{identifier}'",
    )
