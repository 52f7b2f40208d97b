"""The commands that write what is stored into files: `export` and `report`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from videomoments_dagster.base.failures import ExportRefused
from videomoments_dagster.base.files import replaced_whole
from videomoments_dagster.cli.context import CommandContext
from videomoments_dagster.cli.documents import known_video
from videomoments_dagster.cli.run_report import MediaUse, write_report
from videomoments_dagster.moments.exports.formats import FORMATS
from videomoments_dagster.moments.exports.material import BOUNDARIES, Boundaries, material_of


@click.command()
@click.argument("identifier")
@click.option(
    "--format",
    "name",
    type=click.Choice(list(FORMATS)),
    required=True,
    help="; ".join(f"{name}: {one.what}" for name, one in FORMATS.items()) + ".",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="File to write, once it is whole; standard output without it.",
)
@click.option(
    "--what",
    type=click.Choice(list(BOUNDARIES)),
    help="Boundaries of edl, otio and chapters. "
    + "; ".join(f"{name}: {what}" for name, what in BOUNDARIES.items())
    + ". Default: refined.",
)
@click.option(
    "--media",
    metavar="PATH",
    help="File that edl and otio name, such as the copy on the editor's disk; without it the "
    "stored one.",
)
@click.option(
    "--frame-rate",
    type=click.FloatRange(min=1, max=240.0),
    help="Frames per second that edl and otio count in; without it the video's own.",
)
@click.pass_obj
def export(
    context: CommandContext, /, identifier: str, name: str, output: Path | None, **options: Any
) -> None:
    """Write the video IDENTIFIER for the tools that people already use.

    \b
    Examples:
      videomoments export talk --format csv --output talk.csv
      videomoments export talk --format srt --output talk.srt
      videomoments export talk --format otio --media /footage/talk.mp4 --output talk.otio
      videomoments export talk --format chapters
    """
    chosen = FORMATS[name]
    for option, value in options.items():
        has_meaning = chosen.has_boundaries if option == "what" else chosen.counts_frames
        if value is not None and not has_meaning:
            flag = f"--{option.replace('_', '-')}"
            raise click.UsageError(f"{flag} says nothing for the format {name}.")
    boundaries: Boundaries = options.pop("what") or "refined"
    known = known_video(context.database, identifier)
    material = material_of(known, boundaries=boundaries, **options)
    content = chosen.write(material).encode("utf-8", "replace")
    if output is None:
        sys.stdout.buffer.write(content)
        return
    try:
        with replaced_whole(output) as part:
            part.write_bytes(content)
    except OSError as error:
        raise ExportRefused(
            f"{output} cannot be written: {error.strerror}",
            remedy="Choose another place with --output, or make its folder writable",
        ) from error
    click.echo(f"Wrote {output}.", err=True)


@click.command()
@click.argument("identifier")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="File to write, replaced if it is there; IDENTIFIER.html if not given.",
)
@click.option(
    "--media",
    type=click.Choice(["link", "copy", "embed"]),
    default="link",
    show_default=True,
    help="`link`: the page plays the stored files of this machine, from where they are. "
    "`copy`: the video and its clips are copied into a folder beside the page, which can be "
    "moved with it. `embed`: the clips, at most 100 MB of them, go into the page itself, which "
    "can be sent alone.",
)
@click.pass_obj
def report(context: CommandContext, identifier: str, output: Path | None, media: MediaUse) -> None:
    """Write a page of the video IDENTIFIER: player, timeline, moments, transcript, clips.

    One HTML file that any browser opens from the disk, without network. Where the whole video
    cannot be played, the page plays the clips. What is in a bucket has to be copied or
    embedded.

    \b
    Examples:
      videomoments report talk
      videomoments report talk --media embed --output ~/talk.html
      videomoments report talk --media copy --output site/talk.html
    """
    written = write_report(
        context.database,
        context.store,
        identifier,
        output=output or Path(f"{identifier}.html"),
        media=media,
    )
    click.echo(f"{written.path} ({written.size_bytes / 1024:.0f} KiB)")
    if written.media_folder is not None:
        click.echo(f"Its media are in {written.media_folder}; keep them together.")
    for note in written.notes:
        click.echo(note, err=True)
