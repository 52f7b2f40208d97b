"""The command `videomoments`: its commands, and the sentence that a known failure ends with."""

from __future__ import annotations

import sys

import click

from videomoments_dagster.base.failures import VideoMomentsError
from videomoments_dagster.cli.context import CommandContext
from videomoments_dagster.cli.database_commands import db
from videomoments_dagster.cli.export_commands import export, report
from videomoments_dagster.cli.run_commands import backfill, demo, history, run
from videomoments_dagster.cli.upkeep_commands import dev, doctor, gc, webserver
from videomoments_dagster.cli.video_commands import add, delete, list_videos, search, show


class _Group(click.Group):
    """A group that ends known failures with one sentence instead of a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except VideoMomentsError as failure:
            click.echo(f"videomoments: {failure}", err=True)
        except KeyboardInterrupt:
            click.echo("videomoments: stopped.", err=True)
        sys.exit(1)


@click.group(
    cls=_Group,
    commands=[
        *(add, list_videos, show, search, delete),
        *(run, backfill, history, demo),
        *(export, report),
        *(db, gc, doctor, dev, webserver),
    ],
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="videomoments-dagster")
@click.pass_context
def main(ctx: click.Context) -> None:
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
    ctx.obj = CommandContext(ctx)
