"""What is kept of calls to language models: answers in PostgreSQL, records in the object store.

Belongs here: the two stores that an interview writes to, and removing what is old. Does not belong
here: the calls themselves (`videomoments_dagster.language_models`).

An answer is kept so that a run that died asks only for what is missing; a record so that somebody
can look up what was sent, what came back and what became of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile

from db.session import Database
from videomoments_dagster.base.failures import ScratchExhausted
from videomoments_dagster.core.kept_answers import forget_answers, keep_answer, kept_answers
from videomoments_dagster.core.objects.interface import ObjectStore
from videomoments_dagster.core.objects.keys import (
    model_call_key,
    model_call_time,
    model_calls_prefix,
)
from videomoments_dagster.core.text_columns import storable_json
from videomoments_dagster.language_models.questions import CallRecord


class StoredAnswers:
    """Answers of one video's questions, in `pipeline.kept_answers`."""

    def __init__(self, database: Database, *, video: str, since: datetime | None) -> None:
        """Look at one video's answers.

        Args:
            database: Our database.
            video: Identifier of the video.
            since: Only answers from then on count, UTC without zone; None for all.
        """
        self._database = database
        self._video = video
        self._since = since

    def recall(self, keys: Sequence[str]) -> Mapping[str, str]:
        """The answers (JSON) that are kept under some of these keys."""
        with self._database.read() as session:
            found = kept_answers(session, video=self._video, keys=keys, since=self._since)
        return {key: json.dumps(answer) for key, answer in found.items()}

    def keep(self, key: str, answer: str) -> None:
        """Keep an answer; one that is there already is replaced."""
        at = datetime.now(UTC).replace(tzinfo=None)
        with self._database.transaction() as session:
            keep_answer(
                session,
                video=self._video,
                key=key,
                answer=storable_json(json.loads(answer)),
                at=at,
            )


class StoredCallRecords:
    """Records of one run's calls, a JSON object each, under the video and the run."""

    def __init__(self, store: ObjectStore, *, scratch: Path, video: str, run_id: str) -> None:
        """Prepare to record.

        Args:
            store: Where records go.
            scratch: Folder for files on their way there.
            video: Identifier of the video.
            run_id: Dagster's id of the run.
        """
        self._store = store
        self._scratch = scratch
        self._video = video
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
        content_hash = hashlib.sha256(body).hexdigest()
        try:
            with NamedTemporaryFile(dir=self._scratch, prefix="model-call-") as file:
                file.write(body)
                file.flush()
                self._store.put_file(
                    Path(file.name),
                    key=model_call_key(
                        self._video,
                        run_id=self._run_id,
                        sent_at=call.started_at,
                        purpose=call.purpose,
                        content_hash=content_hash,
                    ),
                    content_type="application/json",
                )
        except OSError as error:
            raise ScratchExhausted(
                f"the record of a model call cannot be written to {self._scratch}: {error}",
                remedy="Make room there, or set VIDEOMOMENTS_SCRATCH to another folder",
            ) from error


def remove_old_records(
    store: ObjectStore, *, older_than: timedelta, now: datetime, video: str | None = None
) -> int:
    """Remove records of model calls that are older than an age.

    Args:
        store: Where they are.
        older_than: The age.
        now: The time, with zone.
        video: Only this video's; None for all.

    Returns:
        How many were removed.
    """
    removed = 0
    for found in store.list(model_calls_prefix(video)):
        sent_at = model_call_time(found.key)
        if sent_at is not None and sent_at < now - older_than:
            store.delete(found.url)
            removed += 1
    return removed


def forget_old_answers(database: Database, *, older_than: timedelta, now: datetime) -> int:
    """Delete kept answers that are older than an age, in short transactions.

    Returns:
        How many were deleted.
    """
    before = (now - older_than).astimezone(UTC).replace(tzinfo=None)
    forgotten = 0
    while True:
        with database.transaction() as session:
            gone = forget_answers(session, before=before)
        forgotten += gone
        if not gone:
            return forgotten
