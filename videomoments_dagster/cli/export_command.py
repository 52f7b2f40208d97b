"""The command `export`: its options, and where the text goes.

Belongs here: words, standard output and files. Does not belong here: any format
(`videomoments_dagster.moments.exports`).
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from videomoments_dagster.base.failures import ExportRefused
from videomoments_dagster.cli.documents import known_video
from videomoments_dagster.moments.exports.formats import FORMATS
from videomoments_dagster.moments.exports.material import BOUNDARIES, Boundaries, material_of

_FASTEST = 240.0


def export_command(opened: Callable[[], tuple[Any, Any]]) -> click.Command:
    """The command.

    Args:
        opened: Gives settings and our database.
    """

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
        type=click.FloatRange(min=1, max=_FASTEST),
        help="Frames per second that edl and otio count in; without it the video's own.",
    )
    def export(
        identifier: str,
        name: str,
        output: Path | None,
        what: Boundaries | None,
        media: str | None,
        frame_rate: float | None,
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
        if what is not None and not chosen.has_boundaries:
            raise click.UsageError(f"--what says nothing for the format {name}.")
        for option, value in (("--media", media), ("--frame-rate", frame_rate)):
            if value is not None and not chosen.counts_frames:
                raise click.UsageError(f"{option} says nothing for the format {name}.")
        _, database = opened()
        known = known_video(database, identifier)
        text = chosen.write(
            material_of(known, boundaries=what or "refined", media=media, frame_rate=frame_rate)
        )
        content = text.encode("utf-8", "replace")
        if output is None:
            sys.stdout.buffer.write(content)
        else:
            write_whole(output, content)
            click.echo(f"Wrote {output}.", err=True)

    return export


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that appears complete or not at all.

    Raises:
        ExportRefused: It cannot be written.
    """
    part = path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        raise ExportRefused(
            f"{path} cannot be written: {error.strerror}",
            remedy="Choose another place with --output, or make its folder writable",
        ) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
