"""Resources that assets of every system may ask for.

No future import of annotations here: Dagster reads them when it makes the classes.
"""

import os
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import dagster as dg
from pydantic import PrivateAttr
from sqlalchemy.orm import Session

from db.run_claims import RunClaim
from db.session import Database
from videomoments_dagster.core.configured_database import open_database, ready_database
from videomoments_dagster.core.dagster_failures import failures_reported
from videomoments_dagster.core.garbage import Collected, Garbage, collect, find_garbage
from videomoments_dagster.core.model_calls import (
    StoredAnswers,
    StoredCallRecords,
    forget_old_answers,
    model_calls_folder,
    remove_old_records,
)
from videomoments_dagster.core.objects.addresses import object_store_at
from videomoments_dagster.core.objects.served import ServedObjects
from videomoments_dagster.core.objects.store import ObjectStore
from videomoments_dagster.core.partition import Partition
from videomoments_dagster.core.runs import PARTITION_TAG, systems_of
from videomoments_dagster.core.scratch import scratch_folder
from videomoments_dagster.core.settings import load_settings
from videomoments_dagster.core.storage import AssetStorage, StoredResult
from videomoments_dagster.core.systems import all_systems, system_named
from videomoments_dagster.language_models.model_registry import (
    LanguageModel,
    key_of,
    load_models,
    model_named,
)
from videomoments_dagster.language_models.questions import Interviewer
from videomoments_dagster.speech.engine import TranscriptionEngine, TranscriptionOptions
from videomoments_dagster.speech.engines import engine_named

if TYPE_CHECKING:
    # Seconds of imports that a local folder does not need.
    from google.cloud.storage import Client

Value = TypeVar("Value")


class DatabaseResource(dg.ConfigurableResource[Any]):
    """PostgreSQL: 'DATABASE_URL', or the embedded server where that is unset.

    Reads and writes the rows of all assets, one transaction each. If it fails, the server is away,
    refuses the account, or has an older schema: 'videomoments doctor' says which, and steps are
    tried again by themselves where waiting helps.
    """

    url: str = ""
    """Another URL than the environment's; for tests. It would be shown in the UI."""

    _database: Database | None = PrivateAttr(default=None)

    @property
    def database(self) -> Database:
        """The pool for this process; opened at first use."""
        if self._database is None:
            self._database = (
                open_database(self.url) if self.url else ready_database(load_settings())
            )
        return self._database

    def transaction(self) -> AbstractContextManager[Session]:
        """One short transaction: committed at the end, rolled back on an exception."""
        return self.database.transaction()

    def read(self) -> AbstractContextManager[Session]:
        """A session for reading."""
        return self.database.read()


@cache
def google_client(project: str) -> "Client":
    """A client of Google Cloud Storage, through `dagster_gcp`.

    Imported at first use: `dagster_gcp` brings BigQuery and pandas, seconds that a local folder
    does not need.
    """
    from dagster_gcp import GCSResource  # noqa: PLC0415

    return GCSResource(project=project or None).get_client()


class ObjectStoreResource(dg.ConfigurableResource[Any]):
    """Where files are kept: 'gs://bucket[/prefix]', or a local folder.

    Reads and writes the files of all assets, and records of model calls; never overwrites an
    object. If it fails, the bucket or folder is missing or forbidden, or away for now: the message
    names the right or command that mends it.
    """

    root: str
    gcp_project: str = ""
    wait_seconds: float = 180.0
    """How long a bucket that does not answer is waited for, over all attempts."""
    ui_url: str = ""
    """Where people open the UI, whose webserver has the files too."""

    @property
    def store(self) -> ObjectStore:
        """The store at `root`."""
        return _store(self.root, self.gcp_project, self.wait_seconds)

    @property
    def served(self) -> ServedObjects:
        """Where people open the files."""
        return ServedObjects(self.store.root_url, self.ui_url)

    def client(self) -> "Client":
        """A client of Google Cloud Storage, for sources at `gs://`."""
        return google_client(self.gcp_project)


@cache
def _store(root: str, project: str, wait_seconds: float) -> ObjectStore:
    return object_store_at(
        root, gcs_client=lambda: google_client(project), wait_seconds=wait_seconds
    )


class ScratchResource(dg.ConfigurableResource[Any]):
    """The run's folder for temporary files.

    Reads and writes only there, in the folder VIDEOMOMENTS_SCRATCH; what is in it is gone after the
    run, also after a failure. If it fails, the disk is full or the folder not writable: make room,
    or set another folder.
    """

    root: str

    _folder: Path | None = PrivateAttr(default=None)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator["ScratchResource"]:
        """Give the run its folder, and remove it when the run ends."""
        name = context.run.run_id if context.run else "no-run"
        with ExitStack() as removal:
            with failures_reported(None, step="start"):
                self._folder = removal.enter_context(scratch_folder(Path(self.root), name=name))
            yield self

    @property
    def folder(self) -> Path:
        """The run's folder; it exists."""
        if self._folder is None:
            raise dg.DagsterInvariantViolationError("Scratch is there only while a run executes.")
        return self._folder

    def subfolder(self, name: str) -> Path:
        """A folder of that name in the run's folder, made if need be."""
        path = self.folder / name
        path.mkdir(parents=True, exist_ok=True)
        return path


class RunClaimResource(dg.ConfigurableResource[Any]):
    """Held from a run's first step to its last; two runs of one partition take turns."""

    database: dg.ResourceDependency[DatabaseResource]
    wait_minutes: float = 10.0
    """How long a run waits for another one of its partition, before it fails."""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator["RunClaimResource"]:
        """Take the claim, and let go of it when the run ends."""
        run, log = context.run, context.log
        key = run.tags.get(PARTITION_TAG) if run is not None else None
        if run is None or key is None:
            yield self
            return
        with ExitStack() as claims:
            for system in systems_of(run):
                partition = system.any_partition(key)
                with failures_reported(partition, step="start"):
                    claim = RunClaim(
                        self.database.database.url,
                        run_id=run.run_id,
                        system=partition.system,
                        partition=partition.key,
                        noun=partition.noun,
                    )
                    claim.take(
                        wait_seconds=self.wait_minutes * 60,
                        log=lambda sentence: log.info(sentence) if log is not None else None,
                    )
                claims.callback(claim.release)
            yield self


class StoredResultsResource(dg.ConfigurableResource[Any]):
    """What is already stored, so that nothing is made again that still stands.

    Reads rows, and asks the object store whether objects are there; writes nothing. It also holds
    the run's claim on its partition: two runs of one partition take turns. If it fails, the
    database or the object store is away; the message says which.
    """

    database: dg.ResourceDependency[DatabaseResource]
    object_store: dg.ResourceDependency[ObjectStoreResource]
    claim: dg.ResourceDependency[RunClaimResource]
    """Not asked anything: whoever reads results to work on them has the partition for itself."""

    def of(
        self,
        partition: Partition,
        storage: AssetStorage[Any, Value],
    ) -> StoredResult[Value]:
        """What is stored of an asset in a partition."""
        return StoredResult(self.database.database, self.object_store.store, partition, storage)


class TranscriptionResource(dg.ConfigurableResource[Any]):
    """The transcription engines, with the installation's settings.

    Reads models from the folder 'models' in VIDEOMOMENTS_HOME, or the one that comes as a package;
    writes nothing, and downloads nothing. If it fails, an engine or its model is missing: the
    message says where to put it.
    """

    default_engine: str = "faster-whisper"
    models_folder: str
    whisper_model: str = ""
    """Empty for the default: 'small' where it was placed, else the model of the wheel."""
    device: str = "auto"
    compute_type: str = "auto"
    vad: bool = True
    batch_size: int = 0
    threads: int = 0
    language: str | None = None

    def engine(
        self, name: str | None = None, *, language: str | None = None
    ) -> TranscriptionEngine:
        """The engine of that name, or the default one.

        Raises:
            SettingsRejected: If there is no engine of that name.
        """
        options = TranscriptionOptions(
            whisper_model=self.whisper_model,
            models_folder=Path(self.models_folder),
            device=self.device,
            compute_type=self.compute_type,
            vad=self.vad,
            batch_size=self.batch_size,
            cpu_threads=self.threads,
            language=language or self.language,
        )
        return engine_named(name or self.default_engine, options)


class LanguageModelsResource(dg.ConfigurableResource[Any]):
    """Language models, by their names in the file of models.

    Reads the file VIDEOMOMENTS_MODELS and keys from the environment, and asks models' servers;
    writes kept answers to the database and a record of each call to the object store. If it fails,
    the message names the entry of the file, or the variable with the key; 'videomoments doctor'
    tries all.
    """

    database: dg.ResourceDependency[DatabaseResource]
    object_store: dg.ResourceDependency[ObjectStoreResource]
    scratch: dg.ResourceDependency[ScratchResource]
    path: str = ""
    """The file of models; empty for the one that the project ships."""
    log_days: float = 30.0
    """Days after which records of calls are removed."""

    def check_names(self, names: Iterable[str]) -> None:
        """Make sure that every name is an engine's or a model's, and that its key is there.

        Raises:
            SettingsRejected: If one is not, or the file of models is invalid.
        """
        for model in self._models(names):
            key_of(model, os.environ)

    def check_servers(self, names: Iterable[str]) -> None:
        """Make sure, within seconds, that the server of each of these models answers.

        Raises:
            SettingsRejected: As `check_names`.
            LanguageModelRefused: If nobody answers, or the key is refused.
        """
        # The openai package takes half a second, which only those runs need that ask a model.
        from videomoments_dagster.language_models import chat_client  # noqa: PLC0415

        for model in self._models(names):
            chat_client.check_reachable(model, key=key_of(model, os.environ))

    def interview(
        self,
        name: str,
        *,
        partition: Partition,
        run_id: str,
        answers_since: datetime | None,
        said: Callable[[str], None],
    ) -> Interviewer:
        """Questions to the model that the file of models calls `name`.

        Args:
            name: The model's name.
            partition: What it is asked about.
            run_id: Dagster's id of the run.
            answers_since: Kept answers that are older are asked for again; UTC without zone.
                None takes them whatever their age.
            said: Takes sentences about progress.

        Raises:
            SettingsRejected: If there is no such model, or its key is missing.
        """
        from videomoments_dagster.language_models import interview  # noqa: PLC0415 - openai

        model = model_named(name, self._registry())
        return interview.Interview(
            model=model,
            key=key_of(model, os.environ),
            kept=StoredAnswers(self.database.database, partition, since=answers_since),
            log=StoredCallRecords(
                self.object_store.store, partition, scratch=self.scratch.folder, run_id=run_id
            ),
            said=said,
        )

    def remove_old_records(self, partition: Partition | None = None) -> int:
        """Remove records of calls that are older than `log_days`; how many.

        Args:
            partition: Only this partition's; None for all.
        """
        folders = (
            [model_calls_folder(system.name) for system in all_systems()]
            if partition is None
            else [f"{model_calls_folder(partition.system)}/{partition.key}"]
        )
        before = datetime.now(UTC) - timedelta(days=self.log_days)
        store = self.object_store.store
        return sum(remove_old_records(store, folder, before=before) for folder in folders)

    def forget_old_answers(self) -> int:
        """Delete answers that were kept longer than `log_days` ago; how many."""
        before = datetime.now(UTC) - timedelta(days=self.log_days)
        return forget_old_answers(self.database.database, before=before)

    def _registry(self) -> dict[str, LanguageModel]:
        return load_models(Path(self.path) if self.path else None)

    def _models(self, names: Iterable[str]) -> list[LanguageModel]:
        wanted = sorted(set(names))
        registry = self._registry() if wanted else {}
        return [model_named(name, registry) for name in wanted]


class GarbageResource(dg.ConfigurableResource[Any]):
    """Collects objects that no row refers to, once they are old enough.

    Reads rows and lists objects; writes nothing, and removes only what no row names and no running
    partition may need. If it fails, the object store is away or refuses; run 'housekeeping' again
    later.
    """

    database: dg.ResourceDependency[DatabaseResource]
    object_store: dg.ResourceDependency[ObjectStoreResource]
    systems: list[str]
    """Names of the systems whose objects are looked at."""
    grace_hours: float = 24.0

    def found(self) -> Garbage:
        """What could be removed now."""
        return find_garbage(
            self.database.database,
            self.object_store.store,
            [system_named(name) for name in self.systems],
            grace=timedelta(hours=self.grace_hours),
            now=datetime.now(UTC),
        )

    def removed(self, garbage: Garbage, *, in_flight: Callable[[Partition], bool]) -> Collected:
        """Remove what was found, and what writes left behind that were killed.

        Args:
            garbage: What was found.
            in_flight: Whether a run of a partition is waiting or under way.
        """
        collected = collect(
            garbage, self.database.database, self.object_store.store, in_flight=in_flight
        )
        unfinished = self.object_store.store.remove_unfinished(
            before=datetime.now(UTC) - timedelta(hours=self.grace_hours)
        )
        return replace(collected, unfinished=unfinished)
