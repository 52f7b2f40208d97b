"""The command `report`: its options, and what it prints.

Belongs here: words. Does not belong here: the page (`command_line.report`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from videomoments_dagster.cli.run_report import write_report
from videomoments_dagster.core.resources import ObjectStoreResource

_BYTES_PER_KIBIBYTE = 1024


def report_command(database: Callable[[], tuple[Any, Any]]) -> click.Command:
    """The command.

    Args:
        database: Gives settings and our database.
    """

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
    def report(identifier: str, output: Path | None, media: str) -> None:
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
        settings, opened = database()
        store = ObjectStoreResource(
            root=settings.object_store_root, gcp_project=settings.gcp_project or ""
        ).store
        written = write_report(
            opened,
            store,
            identifier,
            output=output if output is not None else Path(f"{identifier}.html"),
            media=media,  # type: ignore[arg-type]  # click has checked it
        )
        click.echo(f"{written.path} ({written.size_bytes / _BYTES_PER_KIBIBYTE:.0f} KiB)")
        if written.media_folder is not None:
            click.echo(f"Its media are in {written.media_folder}; keep them together.")
        for note in written.notes:
            click.echo(note, err=True)

    return report
