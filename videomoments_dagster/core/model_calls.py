"""What calls to language models leave behind: answers that are kept, and a record of each call."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile

from sqlalchemy import delete, exists, func, literal, select
from sqlalchemy.dialects.postgresql import insert

from db.models import KeptAnswer
from db.session import Database
from videomoments_dagster.base.failures import ScratchExhausted
from videomoments_dagster.core.objects.keys import checked_segment, key_in
from videomoments_dagster.core.objects.store import ObjectStore
from videomoments_dagster.core.partition import Partition
from videomoments_dagster.core.systems import system_named
from videomoments_dagster.core.text_columns import storable_json
from videomoments_dagster.language_models.questions import CallRecord

MODEL_CALLS = "model-calls"
"""Kind of objects that are records of calls, in every system."""

_TIME_IN_KEY = "%Y%m%dT%H%M%S.%fZ"
_FORGOTTEN_AT_ONCE = 10_000


class StoredAnswers:
    """Answers to the questions about one partition, in `pipeline.kept_answers`."""

    def __init__(self, database: Database, partition: Partition, *, since: datetime | None) -> None:
        """Look at one partition's answers.

        Args:
            database: Our database.
            partition: Whose answers.
            since: Only answers from then on count, UTC without zone; None for all.
        """
        self._database = database
        self._partition = partition
        self._since = since

    def recall(self, keys: Sequence[str]) -> Mapping[str, str]:
        """The answers (JSON) that are kept under some of these keys."""
        wanted = select(KeptAnswer.key, KeptAnswer.answer).where(
            KeptAnswer.system == self._partition.system,
            KeptAnswer.partition_key == self._partition.key,
            KeptAnswer.key.in_(keys),
        )
        if self._since is not None:
            wanted = wanted.where(KeptAnswer.created_at >= self._since)
        with self._database.read() as session:
            return {key: json.dumps(answer) for key, answer in session.execute(wanted)}

    def keep(self, key: str, answer: str) -> None:
        """Keep an answer in place of one that is there; of what is gone, nothing is kept."""
        values = {
            "answer": storable_json(json.loads(answer)),
            "created_at": datetime.now(UTC).replace(tzinfo=None),
        }
        partition = self._partition
        anchor = system_named(partition.system).anchor
        with self._database.transaction() as session:
            if anchor is not None and not session.scalar(
                select(exists().where(anchor == partition.key))
            ):
                return
            session.execute(
                insert(KeptAnswer)
                .values(system=partition.system, partition_key=partition.key, key=key, **values)
                .on_conflict_do_update(
                    index_elements=["system", "partition_key", "key"], set_=values
                )
            )


def forget_old_answers(database: Database, *, before: datetime) -> int:
    """Delete answers that were kept before a time, in short transactions.

    Returns:
        How many were deleted.
    """
    old = (
        select(KeptAnswer.system, KeptAnswer.partition_key, KeptAnswer.key)
        .where(KeptAnswer.created_at < before.astimezone(UTC).replace(tzinfo=None))
        .order_by(KeptAnswer.created_at)
        .limit(_FORGOTTEN_AT_ONCE)
        .subquery()
    )
    gone = (
        delete(KeptAnswer)
        .where(
            KeptAnswer.system == old.c.system,
            KeptAnswer.partition_key == old.c.partition_key,
            KeptAnswer.key == old.c.key,
        )
        .returning(literal(1))
        .cte("gone")
    )
    forgotten = 0
    while True:
        with database.transaction() as session:
            count = session.scalar(select(func.count()).select_from(gone)) or 0
        forgotten += count
        if not count:
            return forgotten


class StoredCallRecords:
    """Records of one run's calls, a JSON object each, under the partition and the run."""

    def __init__(
        self, store: ObjectStore, partition: Partition, *, scratch: Path, run_id: str
    ) -> None:
        """Prepare to record.

        Args:
            store: Where records go.
            partition: What the calls are about.
            scratch: Folder for files on their way there.
            run_id: Dagster's id of the run.
        """
        self._store = store
        self._partition = partition
        self._scratch = scratch
        self._run_id = run_id

    def record(self, call: CallRecord) -> None:
        """Store one record.

        Raises:
            ScratchExhausted: If the scratch folder's disk is full or not writable.
            ObjectStoreUnavailable: If it could not be stored.
        """
        body = json.dumps(
            {**asdict(call), "started_at": call.started_at.isoformat()},
            ensure_ascii=False,
            indent=1,
            default=str,
        ).encode("utf-8", errors="replace")
        key = model_call_key(
            self._partition,
            run_id=self._run_id,
            sent_at=call.started_at,
            purpose=call.purpose,
            content_hash=hashlib.sha256(body).hexdigest(),
        )
        try:
            with NamedTemporaryFile(dir=self._scratch, prefix="model-call-") as file:
                file.write(body)
                file.flush()
                self._store.put_file(Path(file.name), key=key, content_type="application/json")
        except OSError as error:
            raise ScratchExhausted(
                f"the record of a model call cannot be written to {self._scratch}: {error}",
                remedy="Make room there, or set VIDEOMOMENTS_SCRATCH to another folder",
            ) from error


def model_calls_folder(system: str) -> str:
    """The folder of the object store with the records of a system's calls."""
    return system_named(system).folder(MODEL_CALLS)


def model_call_key(
    partition: Partition, *, run_id: str, sent_at: datetime, purpose: str, content_hash: str
) -> str:
    """The key of the record of one call.

    It is `<folder>/<partition>/<run>/<UTC time>-<purpose>-<16 characters of sha256>.json`. The
    time is in the name since not every store tells when an object was made.
    """
    stamp = sent_at.astimezone(UTC).strftime(_TIME_IN_KEY)
    key = checked_segment(partition.key, f"{partition.noun} identifier")
    folder = f"{model_calls_folder(partition.system)}/{key}"
    return key_in(folder, run_id, f"{stamp}-{purpose}-{content_hash[:16]}.json")


def model_call_time(key: str) -> datetime | None:
    """When the call of a record was sent, UTC; None for a key that is no such record's."""
    name = key.rpartition("/")[2]
    if f"/{MODEL_CALLS}/" not in f"/{key}" or not name.endswith(".json"):
        return None
    try:
        return datetime.strptime(name.partition("-")[0], _TIME_IN_KEY).replace(tzinfo=UTC)
    except ValueError:
        return None


def remove_old_records(store: ObjectStore, folder: str, *, before: datetime) -> int:
    """Remove records of calls that were sent before a time.

    Returns:
        How many were removed.
    """
    removed = 0
    for found in store.list(folder):
        sent_at = model_call_time(found.key)
        if sent_at is not None and sent_at < before:
            store.delete(found.url)
            removed += 1
    return removed
