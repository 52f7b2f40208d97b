"""What the commands have in common: what they work with, and options that several of them have."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from types import FrameType
from typing import Any, TypeVar

import click
from dagster import DagsterInstance

from db.session import Database
from videomoments_dagster.cli.dagster_instance import opened_instance
from videomoments_dagster.core.configured_database import ready_database
from videomoments_dagster.core.objects.addresses import root_url_of
from videomoments_dagster.core.objects.served import ServedObjects
from videomoments_dagster.core.objects.store import ObjectStore
from videomoments_dagster.core.settings import Settings, load_settings
from videomoments_dagster.moments.profiles import load_profiles, profile_named
from videomoments_dagster.speech.engines import ENGINE_NAMES


class CommandContext:
    """What a command works with: click's `ctx.obj`. Each part is opened at first use.

    `--help` opens none of it, and what only reads the database does not wait for Dagster.
    """

    def __init__(self, root: click.Context) -> None:
        """Open nothing yet; what is opened later is closed when `root` is."""
        self._root = root

    @cached_property
    def settings(self) -> Settings:
        """The settings as they are in the environment."""
        return load_settings()

    @cached_property
    def resources(self) -> Mapping[str, Any]:
        """The resources that the assets get, by name."""
        from videomoments_dagster.definitions import (  # noqa: PLC0415 - reads the settings as it loads, and refused ones are to end in a sentence
            resources_for,
        )

        return resources_for(self.settings)

    @property
    def store(self) -> ObjectStore:
        """Where videos, clips and thumbnails are."""
        store: ObjectStore = self.resources["object_store"].store
        return store

    @property
    def served(self) -> ServedObjects:
        """Where people open what is in the store, while the UI is there."""
        return ServedObjects(root_url_of(self.settings.object_store_root), self.settings.ui_url)

    @property
    def database(self) -> Database:
        """Our database, with its schema current."""
        return ready_database(self.settings)

    @cached_property
    def instance(self) -> DagsterInstance:
        """Dagster's instance, with our assets known, by which a run is one of ours."""
        # Ours first: where the server is away, its sentence says more than Dagster's.
        _ = self.database, self.resources
        return self._root.with_resource(opened_instance(self.settings))


Command = TypeVar("Command", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document.")


def _checked_profile(_ctx: click.Context, _option: click.Parameter, name: str | None) -> str | None:
    """Refuse an invalid file of profiles, or a name not in it, before anything is written."""
    profiles = load_profiles(load_settings().profiles)
    if name is not None:
        profile_named(name, profiles)
    return name


def engine_option(explanation: str) -> Callable[[Command], Command]:
    """The option `--transcription`."""
    engines = click.Choice(ENGINE_NAMES)
    return click.option("--transcription", "transcription_engine", type=engines, help=explanation)


def profile_option(explanation: str) -> Callable[[Command], Command]:
    """The option `--profile`, whose profile is there."""
    return click.option("--profile", callback=_checked_profile, help=explanation)


@contextmanager
def interrupted_by(*signals: signal.Signals) -> Iterator[None]:
    """Let polite requests to end arrive as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # What is ignored already stays so: `nohup` means it.
    heeded = [one for one in signals if signal.getsignal(one) is not signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
