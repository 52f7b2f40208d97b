"""The commands that look after an installation: `gc`, `doctor`, `dev` and `webserver`."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, requires, version
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import click
from sqlalchemy import text

from db.embedded import abandoned_databases, existing_state
from db.poolers import check_sessions_are_whole
from db.schema_state import check_schema
from db.session import NAME_A_PRIMARY, Database
from db.urls import described, normalised
from videomoments_dagster.base.failures import (
    DatabaseProblem,
    DatabaseRefused,
    EngineUnavailable,
    SchemaOutdated,
    ScratchExhausted,
    SettingsRejected,
    VideoMomentsError,
)
from videomoments_dagster.base.text import folded
from videomoments_dagster.cli import printing
from videomoments_dagster.cli.context import CommandContext, json_option
from videomoments_dagster.cli.dagster_instance import dagster_database_url
from videomoments_dagster.cli.dev_server import serve
from videomoments_dagster.cli.running import heal_runs
from videomoments_dagster.core.configured_database import database_url, open_database
from videomoments_dagster.core.resources import ObjectStoreResource, TranscriptionResource
from videomoments_dagster.core.runs import run_in_flight
from videomoments_dagster.core.settings import Settings
from videomoments_dagster.language_models.model_registry import key_of, load_models, model_named
from videomoments_dagster.media.ffmpeg import ffmpeg_executable, ffmpeg_says
from videomoments_dagster.moments.finding.extractive import EXTRACTIVE_MODEL
from videomoments_dagster.moments.profiles import DEFAULT_PROFILE, load_profiles
from videomoments_dagster.speech.engines import ENGINE_NAMES
from videomoments_dagster.webserver.guard import WEBSERVER

Level = Literal["ok", "optional", "problem"]

_LOOK_SECONDS = 15.0
# Making and starting an embedded server is work, not waiting.
_EMBEDDED_SECONDS = 120.0

_NEEDED_FOR_RUNS = ("database", "migrations", "dagster storage")

_OLDEST_POSTGRES = 150_000
_ROOMY_BYTES = 5 * 1024**3
_TIGHT_BYTES = 512 * 1024**2


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.pass_obj
def gc(context: CommandContext, *, dry_run: bool) -> None:
    """Remove objects that no row refers to, and what killed writes left behind.

    Nothing that is younger than VIDEOMOMENTS_GC_GRACE_HOURS, and nothing of a video with a run
    that is waiting or under way. Embedded databases whose home is gone are only named:
    `videomoments db remove` removes one.
    """
    instance, garbage = context.instance, context.resources["garbage"]
    heal_runs(instance, context.database)
    found = garbage.found()
    size = printing.mebibytes(found.size_bytes)
    click.echo(
        f"{found.count} of {found.looked_at} objects ({size}) have no row; "
        f"{found.too_young} more are too young to tell."
    )
    for one in abandoned_databases():
        click.echo(f"No home leads to the database {one.state}: {one.why}.")
    if dry_run:
        for stat in chain.from_iterable(found.objects.values()):
            click.echo(f"  {stat.url}")
        return
    collected = garbage.removed(found, in_flight=lambda one: bool(run_in_flight(instance, one)))
    click.echo(
        f"Removed {collected.objects} objects ({printing.mebibytes(collected.size_bytes)}) and "
        f"{collected.unfinished} unfinished files."
    )
    if collected.spared:
        click.echo(f"Left alone while they run: {', '.join(collected.spared)}")


@click.command()
@json_option
@click.pass_obj
def doctor(context: CommandContext, *, as_json: bool) -> None:
    """Check what this installation needs: each thing is `ok`, or what to do about it.

    Runs whose process is gone are failed, so that they stand in nobody's way.
    """
    settings = context.settings
    # With the resources all definitions are loaded, which a wrong schedule, say, keeps from it.
    findings = _Look("definitions", lambda: f"{len(context.resources)} resources").findings()
    if findings[0].level == "ok":
        findings += diagnose(settings, context.resources)
        if not any(one.level == "problem" for one in findings if one.name in _NEEDED_FOR_RUNS):
            findings += _Look("runs", lambda: _runs(context)).findings()
    print_findings(findings, as_json=as_json)
    sys.exit(any(finding.level == "problem" for finding in findings))


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=3000, show_default=True, help="Port to listen on.")
@click.pass_obj
def dev(context: CommandContext, host: str, port: int) -> None:
    """Start the UI: database, migrations, webserver and daemon. Ctrl-C stops all of it."""
    serve(context.settings, host=host, port=port)


@click.command()
@click.option("--workspace", required=True, type=click.Path(exists=True), help="workspace.yaml.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=3000, show_default=True, help="Port to listen on.")
@click.pass_obj
def webserver(context: CommandContext, workspace: str, host: str, port: int) -> None:
    """Serve the UI alone, guarded against other web pages; for installations with services."""
    _ = context.settings  # Refused ones are to end in a sentence.
    options = (f"--workspace={workspace}", f"--host={host}", f"--port={port}")
    # In place of this process, so that signals reach it.
    os.execv(  # noqa: S606 - no shell is meant
        sys.executable,
        [sys.executable, "-m", WEBSERVER, *options, "--dagster-log-level=warning"],
    )


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about one thing.

    Attributes:
        name: The thing.
        level: "ok"; "optional" where it is missing and nothing that is configured needs it, or
            where it will do for now; "problem" where something cannot work.
        detail: What was found, one line.
        remedy: What to do about it; empty when there is nothing to do.
    """

    name: str
    level: Level
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class _Look:
    """One look.

    Attributes:
        name: The thing.
        find: Says what is fine about it, or gives findings; raises what is wrong with it.
        level: How bad it is if that raises.
        role: Put before what is found.
    """

    name: str
    find: Callable[[], str | list[Finding]]
    level: Level = "problem"
    role: str = ""

    def findings(self) -> list[Finding]:
        try:
            found = self.find()
        except VideoMomentsError as failure:
            detail = f"{self.role}{failure.reason}"
            return [Finding(self.name, self.level, detail, failure.remedy)]
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            said = folded(error) or "no message"
            return [Finding(self.name, "problem", f"{type(error).__name__}: {said}")]
        return found if isinstance(found, list) else [Finding(self.name, "ok", self.role + found)]


def diagnose(settings: Settings, resources: Mapping[str, Any]) -> list[Finding]:
    """Look at everything that this installation needs.

    Every look has a time limit, and all of them go on at once: a database host that swallows
    packets costs its own limit and nobody else's. Nothing is changed, but for the embedded
    database, which is made and started where it is the one that is meant, and empty folders.

    Args:
        settings: The settings that commands and runs go by.
        resources: The resources that the assets get.
    """
    engine = partial(_engine, resources["transcription"])
    default = settings.transcription_engine
    looks = [
        _Look("database", partial(_database, settings)),
        _Look("object store", partial(_object_store, resources["object_store"])),
        _Look("ffmpeg", _ffmpeg),
        _Look(default, partial(engine, default), role="default engine: "),
        *(_Look(one, partial(engine, one), "optional") for one in ENGINE_NAMES if one != default),
        _Look("profiles", partial(_profiles, settings)),
        _Look("models", lambda: ", ".join(sorted(load_models(settings.models)))),
        *(
            _Look(f"model {name}", partial(_model, settings, name), level)
            for name, level in _models_of_profiles(settings).items()
        ),
        _Look("scratch", partial(_scratch, settings)),
        _Look("dagster", _dagster_versions),
    ]
    found: dict[str, list[Finding]] = {}

    def look_at(look: _Look) -> None:
        found[look.name] = look.findings()

    # A thread that takes too long is left behind.
    threads = [threading.Thread(target=look_at, args=(look,), daemon=True) for look in looks]
    for thread in threads:
        thread.start()
    begun = time.monotonic()
    for look, thread in zip(looks, threads, strict=True):
        embedded = look.name == "database" and settings.explicit_sync_url is None
        seconds = _EMBEDDED_SECONDS if embedded else _LOOK_SECONDS
        thread.join(max(0.0, begun + seconds - time.monotonic()))
        late = f"did not answer within {seconds:.0f} s"
        remedy = "Check that it is reachable, and try again"
        found.setdefault(look.name, [Finding(look.name, "problem", late, remedy)])
    return [finding for look in looks for finding in found[look.name]]


def print_findings(findings: Sequence[Finding], *, as_json: bool) -> None:
    """Print what was found out about the installation, and what to do about it."""
    if as_json:
        printing.print_json([asdict(finding) for finding in findings])
        return
    width = max(len(finding.name) for finding in findings)
    for one in findings:
        level = (f"{one.level:<8}", printing.STYLES[one.level])
        printing.line(level, f"  {one.name:<{width}}  {one.detail}")
        if one.remedy:
            printing.line(" " * (width + 12), one.remedy)


def _answer(url: str, query: str) -> tuple[Any, ...]:
    database = Database(url, pool_size=1)
    try:
        with database.read() as session:
            return tuple(session.execute(text(query)).one())
    finally:
        database.dispose()


def _database(settings: Settings) -> list[Finding]:
    is_embedded, url = settings.explicit_sync_url is None, database_url(settings)
    query = (
        "SELECT current_setting('server_version_num')::int, version(), pg_is_in_recovery()"
        " OR current_setting('default_transaction_read_only')::bool"
    )
    number, named, takes_no_writes = _answer(url, query)
    if takes_no_writes:
        raise DatabaseRefused(
            f"The database {described(normalised(url))} takes no writes: it is a replica, or its"
            " default_transaction_read_only is on",
            remedy=NAME_A_PRIMARY,
        )
    check_sessions_are_whole(normalised(url))
    where = _embedded_in(settings.home_folder) if is_embedded else described(normalised(url))
    level: Level = "problem" if number < _OLDEST_POSTGRES else "ok"
    remedy = "Use PostgreSQL 15 or later in DATABASE_URL" if level == "problem" else ""
    return [
        Finding("database", level, f"{' '.join(named.split()[:2])}, {where}", remedy),
        *_Look("migrations", partial(_migrations, url, is_embedded=is_embedded)).findings(),
        *_Look("dagster storage", partial(_dagster_storage, settings)).findings(),
    ]


def _embedded_in(home: Path) -> str:
    state = existing_state(home)
    if state is None or state.is_relative_to(home):
        return f"embedded in {home}"
    return f"embedded in {state}, for {home}: the server's user cannot reach into that"


def _migrations(url: str, *, is_embedded: bool) -> str:
    try:
        return f"at {check_schema(open_database(url))}, as this code needs"
    except SchemaOutdated as outdated:
        if is_embedded and "does not know" not in outdated.reason:
            return "the next command brings the schema up to date"
        raise


def _dagster_storage(settings: Settings) -> str:
    url = dagster_database_url(settings)
    where = described(normalised(url))
    try:
        _answer(url, "SELECT 1")
    except DatabaseRefused:
        if settings.dagster_database_url:
            raise
        return f"{where}, made at first use"
    except DatabaseProblem as problem:
        remedy = "Check VIDEOMOMENTS_DAGSTER_DATABASE_URL"
        raise DatabaseProblem(problem.reason, remedy=remedy) from problem
    return where


def _object_store(resource: ObjectStoreResource) -> str:
    store = resource.store
    store.check()
    return f"{store.root_url} can be read and written"


def _ffmpeg() -> str:
    executable = ffmpeg_executable()
    release = next(iter(ffmpeg_says("-version", executable=executable).split()[2:3]), "")
    found = f"ffmpeg {release} at {executable}"
    encoders = ffmpeg_says("-hide_banner", "-encoders", executable=executable).split()
    missing = [name for name in ("libx264", "aac") if name not in encoders]
    if missing:
        raise EngineUnavailable(
            f"{found} cannot encode with {' and '.join(missing)}",
            remedy="Install a build that can, or unset VIDEOMOMENTS_FFMPEG",
        )
    return f"{found}, encodes H.264"


def _engine(transcription: TranscriptionResource, name: str) -> str:
    engine = transcription.engine(name)
    engine.check()
    return f"{engine.service} can be used"


def _profiles(settings: Settings) -> str:
    profiles = load_profiles(settings.profiles)
    names = ", ".join(sorted(profiles))
    if DEFAULT_PROFILE not in profiles:
        raise SettingsRejected(
            f"there is no profile '{DEFAULT_PROFILE}' among {names}",
            remedy=f"Add one named '{DEFAULT_PROFILE}' to the file in VIDEOMOMENTS_PROFILES",
        )
    return names


def _models_of_profiles(settings: Settings) -> dict[str, Level]:
    """Language models that profiles use, by name, and how bad it is if one is not there.

    None where the file of profiles cannot be read, which the look at profiles reports.
    """
    try:
        profiles = load_profiles(settings.profiles)
    except SettingsRejected:
        return {}
    models = {
        name: {operation.model for operation in (one.generation, one.refinement, one.scoring)}
        for name, one in profiles.items()
    }
    needed = models.get(DEFAULT_PROFILE, set())
    used = set().union(*models.values()) - {EXTRACTIVE_MODEL}
    return {model: "problem" if model in needed else "optional" for model in sorted(used)}


def _model(settings: Settings, name: str) -> str:
    model = model_named(name, load_models(settings.models))
    # The openai package takes half a second, which only this look needs.
    from videomoments_dagster.language_models import chat_client  # noqa: PLC0415

    chat_client.check_reachable(model, key=key_of(model, os.environ))
    return f"{model.model} at {model.base_url} answers"


def _runs(context: CommandContext) -> str:
    dead = heal_runs(context.instance, context.database)
    if not dead:
        return "each that is under way has its process"
    return f"{len(dead)} had lost their process, and are failed now: run those videos again"


def _scratch(settings: Settings) -> list[Finding]:
    folder = settings.scratch_folder
    remedy = "Make room there, or set VIDEOMOMENTS_SCRATCH to another folder"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder, buffering=0) as probe:
            probe.write(b"written")
        free = shutil.disk_usage(folder).free
    except OSError as error:
        why = error.strerror or str(error)
        raise ScratchExhausted(f"{folder} cannot be written to: {why}", remedy=remedy) from error
    enough = free >= _ROOMY_BYTES
    level: Level = "ok" if enough else "optional" if free >= _TIGHT_BYTES else "problem"
    detail = f"{folder}, {free / 1024**3:.1f} GiB free"
    return [Finding("scratch", level, detail, "" if enough else remedy)]


def _dagster_versions() -> str:
    core = version("dagster")
    wrong: list[str] = []
    alike = ("dagster-webserver", "dagster-graphql", "dagster-pipes")
    for name in (*alike, "dagster-postgres", "dagster-gcp"):
        found = "(not installed)"
        with suppress(PackageNotFoundError):
            found = version(name)
            # Libraries are numbered otherwise; their release is the one that they require.
            if found == core if name in alike else f"dagster=={core}" in (requires(name) or ()):
                continue
        wrong.append(f"{name} {found}")
    if wrong:
        raise SettingsRejected(
            f"{', '.join(wrong)} does not belong to dagster {core}",
            remedy="Install all of one release: `pip install -r requirements.lock`",
        )
    return f"{core}, all packages of one release"
