"""The commands `videomoments db`: the database's schema, where it is, and old ones."""

from __future__ import annotations

from pathlib import Path

import click

from db.embedded import remove_abandoned
from db.schema_state import upgrade
from videomoments_dagster.cli.context import CommandContext
from videomoments_dagster.core.configured_database import database_url


@click.group()
def db() -> None:
    """The database: its schema and where it is."""


@db.command(name="upgrade")
@click.pass_obj
def db_upgrade(context: CommandContext) -> None:
    """Bring the schema of our database up to date."""
    upgrade(database_url(context.settings))
    click.echo("The schema is up to date.")


@db.command(name="url")
@click.pass_obj
def db_url(context: CommandContext) -> None:
    """Print the database's URL, for psql and the like.

    The embedded server runs only while some `videomoments` process needs it, such as
    `videomoments dev`.
    """
    url = database_url(context.settings)
    click.echo(url.replace("postgresql+psycopg2://", "postgresql://", 1))


@db.command(name="remove")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Do not ask.")
def db_remove(folder: Path, *, yes: bool) -> None:
    """Remove the embedded database in FOLDER, outside of a home that is gone, with all its rows.

    `videomoments gc` names those that no home leads to. Refused while its home is there.
    """
    if not yes:
        click.confirm(f"Remove the database {folder} and every row in it?", abort=True)
    remove_abandoned(folder.absolute())
    click.echo(f"Removed {folder}.")
