"""What calls to language models leave behind: answers that are kept, and a record of each call."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile

from sqlalchemy import delete, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from db.models import KeptAnswer
from db.session import Database
from videomoments_dagster.base.files import scratch_errors
from videomoments_dagster.core.objects.keys import checked_segment, key_in, short_hash
from videomoments_dagster.core.objects.store import ObjectStore
from videomoments_dagster.core.partition import Partition
from videomoments_dagster.core.systems import system_named
from videomoments_dagster.core.text_columns import storable_json
from videomoments_dagster.language_models.questions import CallRecord

MODEL_CALLS = "model-calls"
"""Kind of objects that are records of calls, in every system."""

_TIME_IN_KEY = "%Y%m%dT%H%M%S.%fZ"
_FORGOTTEN_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class StoredAnswers:
    """Answers to the questions about one partition, in `pipeline.kept_answers`.

    Attributes:
        database: Our database.
        partition: Whose answers.
        since: Only answers from then on count, UTC without zone; None for all.
    """

    database: Database
    partition: Partition
    since: datetime | None

    def recall(self, keys: Sequence[str]) -> Mapping[str, str]:
        """The answers (JSON) that are kept under some of these keys."""
        wanted = select(KeptAnswer.key, KeptAnswer.answer).where(
            KeptAnswer.system == self.partition.system,
            KeptAnswer.partition_key == self.partition.key,
            KeptAnswer.key.in_(keys),
        )
        if self.since is not None:
            wanted = wanted.where(KeptAnswer.created_at >= self.since)
        with self.database.read() as session:
            return {key: json.dumps(answer) for key, answer in session.execute(wanted)}

    def keep(self, key: str, answer: str) -> None:
        """Keep an answer in place of one that is there; of what is gone, nothing is kept."""
        values = {
            "answer": storable_json(json.loads(answer)),
            "created_at": datetime.now(UTC).replace(tzinfo=None),
        }
        partition = self.partition
        anchor = system_named(partition.system).anchor
        with self.database.transaction() as session:
            # Locked, so that whoever deletes the partition deletes this answer too.
            if anchor is not None and not session.scalar(
                select(anchor)
                .where(anchor == partition.key)
                .with_for_update(read=True, key_share=True)
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
    key = tuple_(KeptAnswer.system, KeptAnswer.partition_key, KeptAnswer.key)
    old = (
        select(KeptAnswer.system, KeptAnswer.partition_key, KeptAnswer.key)
        .where(KeptAnswer.created_at < before.astimezone(UTC).replace(tzinfo=None))
        .order_by(KeptAnswer.created_at)
        .limit(_FORGOTTEN_AT_ONCE)
    )
    forgotten = 0
    while True:
        with database.transaction() as session:
            count = session.connection().execute(delete(KeptAnswer).where(key.in_(old))).rowcount
        forgotten += count
        if not count:
            return forgotten


@dataclass(frozen=True, slots=True)
class StoredCallRecords:
    """Records of one run's calls, a JSON object each, under the partition and the run.

    Attributes:
        store: Where records go.
        partition: What the calls are about.
        scratch: Folder for files on their way there.
        run_id: Dagster's id of the run.
    """

    store: ObjectStore
    partition: Partition
    scratch: Path
    run_id: str

    def record(self, call: CallRecord) -> None:
        """Store one record, as `<folder>/<partition>/<run>/<UTC time>-<purpose>-<hash>.json`.

        The time is in the name since not every store tells when an object was made.

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
        partition = checked_segment(self.partition.key, f"{self.partition.noun} identifier")
        stamp = call.started_at.astimezone(UTC).strftime(_TIME_IN_KEY)
        key = key_in(
            f"{model_calls_folder(self.partition.system)}/{partition}",
            self.run_id,
            f"{stamp}-{call.purpose}-{short_hash(hashlib.sha256(body).hexdigest())}.json",
        )
        with (
            scratch_errors(self.scratch / "model-call"),
            NamedTemporaryFile(dir=self.scratch, prefix="model-call-") as file,
        ):
            file.write(body)
            file.flush()
            self.store.put_file(Path(file.name), key=key, content_type="application/json")


def model_calls_folder(system: str) -> str:
    """The folder of the object store with the records of a system's calls."""
    return system_named(system).folder(MODEL_CALLS)


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
        if (sent_at := model_call_time(found.key)) and sent_at < before:
            store.delete(found.url)
            removed += 1
    return removed
