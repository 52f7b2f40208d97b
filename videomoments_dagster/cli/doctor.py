"""What an installation needs, looked at one by one: fine, or what to do about it.

Belongs here: the list of things that are looked at. Does not belong here: mending any of them, or
how the findings are shown (`printing`).

Every look has a time limit, and all of them go on at once: a database host that swallows packets
costs its own limit and nobody else's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from dagster_shared.libraries import library_version_from_core_version
from sqlalchemy import text

from db.schema_state import check_schema
from db.session import Database
from db.urls import described
from videomoments_dagster.base.failures import (
    DatabaseProblem,
    DatabaseRefused,
    EngineUnavailable,
    SchemaOutdated,
    SettingsRejected,
    VideoMomentsError,
)
from videomoments_dagster.cli.dagster_instance import dagster_database_url
from videomoments_dagster.core.configured_database import database_url
from videomoments_dagster.core.resources import ObjectStoreResource
from videomoments_dagster.core.settings import Settings
from videomoments_dagster.language_models.model_registry import key_of, load_models, model_named
from videomoments_dagster.media.ffmpeg import ffmpeg_executable
from videomoments_dagster.moments.finding.extractive import EXTRACTIVE_MODEL
from videomoments_dagster.moments.profiles import DEFAULT_PROFILE, load_profiles
from videomoments_dagster.speech.engine import TranscriptionOptions
from videomoments_dagster.speech.engines import ENGINE_NAMES, engine_named

Level = Literal["ok", "optional", "problem"]

_LOOK_SECONDS = 15.0
# Making and starting an embedded server is work, not waiting.
_EMBEDDED_SECONDS = 120.0

_OLDEST_POSTGRES = 150_000
_ROOMY_BYTES = 5 * 1024**3
_TIGHT_BYTES = 512 * 1024**2
_GIBIBYTE = 1024**3


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

    @property
    def ok(self) -> bool:
        """Whether nothing has to be done."""
        return self.level != "problem"


def diagnose(settings: Settings) -> list[Finding]:
    """Look at everything that this installation needs.

    Nothing is changed, but for the embedded database, which is made and started where it is the
    one that is meant, and empty folders.

    Args:
        settings: The settings that commands and runs go by.
    """
    embedded = settings.explicit_sync_url is None
    database_seconds = _EMBEDDED_SECONDS if embedded else _LOOK_SECONDS
    looks: list[tuple[str, float, Callable[[], Sequence[Finding]]]] = [
        ("database", database_seconds, partial(_database, settings)),
        ("object store", _LOOK_SECONDS, partial(_object_store, settings)),
        ("ffmpeg", _LOOK_SECONDS, _ffmpeg),
        *((name, _LOOK_SECONDS, partial(_engine, settings, name)) for name in _engines(settings)),
        ("profiles", _LOOK_SECONDS, partial(_profiles, settings)),
        ("models", _LOOK_SECONDS, partial(_models, settings)),
        *(
            (f"model {name}", _LOOK_SECONDS, partial(_model, settings, name))
            for name in _models_of_profiles(settings)
        ),
        ("scratch", _LOOK_SECONDS, partial(_scratch, settings)),
        ("dagster", _LOOK_SECONDS, _dagster_versions),
    ]
    begun = [_Look(name, seconds, look) for name, seconds, look in looks]
    return [finding for look in begun for finding in look.findings()]


class _Look:
    """One look, going on in a thread of its own, which is left behind when it takes too long."""

    def __init__(self, name: str, seconds: float, look: Callable[[], Sequence[Finding]]) -> None:
        self._name = name
        self._seconds = seconds
        self._look = look
        self._found: Sequence[Finding] | None = None
        self._deadline = time.monotonic() + seconds
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def findings(self) -> Sequence[Finding]:
        self._thread.join(max(0.0, self._deadline - time.monotonic()))
        if self._found is None:
            return [
                Finding(
                    self._name,
                    "problem",
                    f"did not answer within {self._seconds:.0f} s",
                    "Check that it is reachable, and try again",
                )
            ]
        return self._found

    def _run(self) -> None:
        try:
            self._found = self._look()
        except VideoMomentsError as failure:
            self._found = [Finding(self._name, "problem", failure.reason, failure.remedy)]
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            said = " ".join(str(error).split()) or "no message"
            self._found = [Finding(self._name, "problem", f"{type(error).__name__}: {said}")]


def _database(settings: Settings) -> Sequence[Finding]:
    url = database_url(settings)
    embedded = settings.explicit_sync_url is None
    database = Database(url, pool_size=1, connect_timeout=10)
    try:
        with database.read() as session:
            number, named = session.execute(
                text("SELECT current_setting('server_version_num')::int, version()")
            ).one()
        where = f"embedded in {settings.home_folder}" if embedded else described(database.url)
        server = Finding("database", "ok", f"{' '.join(named.split()[:2])}, {where}")
        if number < _OLDEST_POSTGRES:
            server = Finding(
                "database", "problem", server.detail, "Use PostgreSQL 15 or later in DATABASE_URL"
            )
        return [server, _migrations(database, embedded=embedded), _dagster_storage(settings)]
    finally:
        database.dispose()


def _migrations(database: Database, *, embedded: bool) -> Finding:
    try:
        revision = check_schema(database)
    except SchemaOutdated as outdated:
        if embedded and "does not know" not in outdated.reason:
            return Finding("migrations", "ok", "the next command brings the schema up to date")
        return Finding("migrations", "problem", outdated.reason, outdated.remedy)
    except DatabaseProblem as problem:
        return Finding("migrations", "problem", problem.reason, problem.remedy)
    return Finding("migrations", "ok", f"at {revision}, as this code needs")


def _dagster_storage(settings: Settings) -> Finding:
    name = "dagster storage"
    database = Database(dagster_database_url(settings), pool_size=1, connect_timeout=5)
    try:
        with database.read() as session:
            session.execute(text("SELECT 1"))
    except DatabaseRefused as refused:
        if settings.dagster_database_url:
            return Finding(name, "problem", refused.reason, refused.remedy)
        return Finding(name, "ok", f"{described(database.url)}, made at first use")
    except DatabaseProblem as problem:
        return Finding(name, "problem", problem.reason, "Check VIDEOMOMENTS_DAGSTER_DATABASE_URL")
    finally:
        database.dispose()
    return Finding(name, "ok", described(database.url))


def _object_store(settings: Settings) -> Sequence[Finding]:
    store = ObjectStoreResource(
        root=settings.object_store_root, gcp_project=settings.gcp_project or ""
    ).store
    store.check()
    return [Finding("object store", "ok", f"{store.root_url} can be read and written")]


def _ffmpeg() -> Sequence[Finding]:
    executable = ffmpeg_executable()
    words = _said(executable, "-version").split(maxsplit=3)
    release = words[2] if len(words) > 2 else "of unknown version"  # noqa: PLR2004
    found = f"ffmpeg {release} at {executable}"
    encoders = _said(executable, "-hide_banner", "-encoders").split()
    missing = [name for name in ("libx264", "aac") if name not in encoders]
    if missing:
        return [
            Finding(
                "ffmpeg",
                "problem",
                f"{found} cannot encode with {' and '.join(missing)}",
                "Install a build that can, or unset VIDEOMOMENTS_FFMPEG",
            )
        ]
    return [Finding("ffmpeg", "ok", f"{found}, encodes H.264")]


def _said(*command: str) -> str:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=6, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise EngineUnavailable(
            f"ffmpeg at {command[0]} does not run: {error}",
            remedy="Name a working ffmpeg in VIDEOMOMENTS_FFMPEG",
        ) from error


def _engines(settings: Settings) -> list[str]:
    """Give the engine that videos get by default, then the others."""
    default = settings.transcription_engine
    return [default, *(name for name in ENGINE_NAMES if name != default)]


def _engine(settings: Settings, name: str) -> Sequence[Finding]:
    default = name == settings.transcription_engine
    options = TranscriptionOptions(
        models_folder=settings.models_folder,
        whisper_model=settings.whisper_model,
        device=settings.whisper_device,
        compute_type=settings.whisper_compute_type,
        language=settings.language,
    )
    role = "default engine: " if default else ""
    try:
        engine = engine_named(name, options)
        engine.check()
    except VideoMomentsError as failure:
        level: Level = "problem" if default else "optional"
        return [Finding(name, level, f"{role}{failure.reason}", failure.remedy)]
    return [Finding(name, "ok", f"{role}{engine.service} can be used")]


def _profiles(settings: Settings) -> Sequence[Finding]:
    profiles = load_profiles(settings.profiles)
    names = ", ".join(sorted(profiles))
    if DEFAULT_PROFILE not in profiles:
        return [
            Finding(
                "profiles",
                "problem",
                f"there is no profile '{DEFAULT_PROFILE}' among {names}",
                f"Add one named '{DEFAULT_PROFILE}' to the file in VIDEOMOMENTS_PROFILES",
            )
        ]
    return [Finding("profiles", "ok", names)]


def _models(settings: Settings) -> Sequence[Finding]:
    return [Finding("models", "ok", ", ".join(sorted(load_models(settings.models))))]


def _models_of_profiles(settings: Settings, *, profile: str | None = None) -> list[str]:
    """Names of the language models that profiles use: of one profile, or of all.

    None where the file of profiles cannot be read, which the look at profiles reports.
    """
    try:
        profiles = load_profiles(settings.profiles)
    except SettingsRejected:
        return []
    used = {
        operation.model
        for name, body in profiles.items()
        if profile in (None, name)
        for operation in (body.generation, body.refinement, body.scoring)
    }
    return sorted(used - {EXTRACTIVE_MODEL})


def _model(settings: Settings, name: str) -> Sequence[Finding]:
    needed = name in _models_of_profiles(settings, profile=DEFAULT_PROFILE)
    look = f"model {name}"
    # The openai package takes half a second, which only this look needs.
    from videomoments_dagster.language_models import chat_client  # noqa: PLC0415

    try:
        model = model_named(name, load_models(settings.models))
        chat_client.check_reachable(model, key=key_of(model, os.environ))
    except VideoMomentsError as failure:
        level: Level = "problem" if needed else "optional"
        return [Finding(look, level, failure.reason, failure.remedy)]
    return [Finding(look, "ok", f"{model.model} at {model.base_url} answers")]


def _scratch(settings: Settings) -> Sequence[Finding]:
    folder = settings.scratch_folder
    remedy = "Make room there, or set VIDEOMOMENTS_SCRATCH to another folder"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"written")
            probe.flush()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        why = error.strerror or str(error)
        return [Finding("scratch", "problem", f"{folder} cannot be written to: {why}", remedy)]
    detail = f"{folder}, {free / _GIBIBYTE:.1f} GiB free"
    if free < _ROOMY_BYTES:
        return [
            Finding("scratch", "problem" if free < _TIGHT_BYTES else "optional", detail, remedy)
        ]
    return [Finding("scratch", "ok", detail)]


_DAGSTER_CORE = ("dagster", "dagster-webserver", "dagster-graphql", "dagster-pipes")
_DAGSTER_LIBRARIES = ("dagster-postgres", "dagster-gcp")


def _dagster_versions() -> Sequence[Finding]:

    core = version("dagster")
    wanted = dict.fromkeys(_DAGSTER_CORE, core) | dict.fromkeys(
        _DAGSTER_LIBRARIES, library_version_from_core_version(core)
    )
    wrong = [
        f"{name} {found}" for name, want in wanted.items() if (found := _version(name)) != want
    ]
    if wrong:
        return [
            Finding(
                "dagster",
                "problem",
                f"{', '.join(wrong)} does not belong to dagster {core}",
                "Install all of one release: `pip install -r requirements.lock`",
            )
        ]
    return [Finding("dagster", "ok", f"{core}, all packages of one release")]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"
