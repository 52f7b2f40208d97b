"""What is kept of calls to language models: found again, scoped to its video, and gone in time."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from stored_records import Storage

from videomoments_dagster.base.failures import ObjectStoreRefused, ScratchExhausted
from videomoments_dagster.core.model_calls import (
    StoredAnswers,
    StoredCallRecords,
    forget_old_answers,
    model_call_time,
    remove_old_records,
)
from videomoments_dagster.core.objects.local_folder import LocalFolderStore
from videomoments_dagster.core.partition import Partition
from videomoments_dagster.definitions import build_definitions
from videomoments_dagster.language_models.questions import CallRecord
from videomoments_dagster.moments.system import MOMENTS

KEY, OTHER_KEY = "a" * 64, "b" * 64
SENT = datetime(2026, 5, 4, 3, 2, 1, 987654, tzinfo=UTC)

CALL = CallRecord(
    purpose="find",
    label="window 3 of 60",
    model_name="local",
    served_model="tiny",
    attempt=1,
    request={"messages": [{"role": "user", "content": "1\tWörter ☃ \ud800"}]},
    status=200,
    response={"choices": []},
    error="",
    parsed={"moments": []},
    rejected="",
    notes={"grounding": ["exact"]},
    started_at=SENT,
    seconds=1.25,
    prompt_tokens=10,
    completion_tokens=3,
    cost=0.00025,
)

TALK = MOMENTS.partition("talk")


def answers(storage: Storage, video: str, **options: Any) -> StoredAnswers:
    return StoredAnswers(storage.database, MOMENTS.partition(video), **{"since": None, **options})


def test_an_answer_is_recalled_by_its_key_for_its_video_only(storage: Storage) -> None:
    storage.store("video", "talk", storage.video("talk"))
    storage.store("video", "other", storage.video("other"))
    kept = answers(storage, "talk")
    kept.keep(KEY, '{"moments": [{"title": "x"}]}')

    assert {key: json.loads(answer) for key, answer in kept.recall([KEY, OTHER_KEY]).items()} == {
        KEY: {"moments": [{"title": "x"}]}
    }
    assert answers(storage, "other").recall([KEY]) == {}
    assert kept.recall([]) == {}


def test_a_second_answer_takes_the_place_of_the_first(storage: Storage) -> None:
    storage.store("video", "talk", storage.video("talk"))
    kept = answers(storage, "talk")
    kept.keep(KEY, '{"a": 1}')
    kept.keep(KEY, '{"a": 2}')

    assert json.loads(kept.recall([KEY])[KEY]) == {"a": 2}


def test_text_that_postgresql_cannot_keep_does_not_lose_an_answer(storage: Storage) -> None:
    storage.store("video", "talk", storage.video("talk"))
    kept = answers(storage, "talk")
    kept.keep(KEY, json.dumps({"title": "a\0b\ud800"}))

    assert json.loads(kept.recall([KEY])[KEY]) == {"title": "a\ufffdb\ufffd"}


def test_answers_from_before_a_time_do_not_count_after_it(storage: Storage) -> None:
    storage.store("video", "talk", storage.video("talk"))
    answers(storage, "talk").keep(KEY, "{}")
    now = datetime.now(UTC).replace(tzinfo=None)

    assert answers(storage, "talk", since=now - timedelta(minutes=1)).recall([KEY])
    assert not answers(storage, "talk", since=now + timedelta(minutes=1)).recall([KEY])


def test_an_answer_of_a_video_that_is_gone_is_not_kept_and_nothing_fails(storage: Storage) -> None:
    answers(storage, "never-stored").keep(KEY, "{}")

    assert answers(storage, "never-stored").recall([KEY]) == {}


def test_an_answer_that_comes_while_its_video_is_deleted_is_not_kept(storage: Storage) -> None:
    storage.store("video", "talk", storage.video("talk"))
    with ThreadPoolExecutor() as pool:
        with storage.database.transaction() as session:
            session.execute(text("DELETE FROM videos WHERE identifier = 'talk'"))
            keeping = pool.submit(answers(storage, "talk").keep, KEY, "{}")
            with pytest.raises(TimeoutError):
                keeping.result(timeout=0.5)
        keeping.result(timeout=10)

    assert storage.rows("SELECT key FROM pipeline.kept_answers") == []


def test_deleting_a_video_deletes_its_answers_and_no_others(storage: Storage) -> None:
    for video in ("talk", "other"):
        storage.store("video", video, storage.video(video))
        answers(storage, video).keep(KEY, "{}")
    with storage.database.transaction() as session:
        session.execute(text("DELETE FROM videos WHERE identifier = 'talk'"))

    assert not answers(storage, "talk").recall([KEY])
    assert answers(storage, "other").recall([KEY])


def test_only_answers_that_are_old_enough_are_forgotten(storage: Storage) -> None:
    storage.store("video", "talk", storage.video("talk"))
    kept = answers(storage, "talk")
    kept.keep(KEY, "{}")
    kept.keep(OTHER_KEY, "{}")
    with storage.database.transaction() as session:
        session.execute(
            text(
                "UPDATE pipeline.kept_answers SET created_at = created_at - interval '31 days' "
                "WHERE key = :key"
            ),
            {"key": KEY},
        )

    now = datetime.now(UTC)
    assert forget_old_answers(storage.database, before=now - timedelta(days=30)) == 1
    assert set(kept.recall([KEY, OTHER_KEY])) == {OTHER_KEY}


def test_a_call_is_recorded_under_its_video_and_run(tmp_path: Path) -> None:
    store = LocalFolderStore(tmp_path / "objects")
    records = StoredCallRecords(store, TALK, scratch=tmp_path, run_id="run-1")
    records.record(CALL)
    records.record(replace(CALL, attempt=2))

    found = list(store.list("model-calls/talk"))
    assert len(found) == 2
    assert all(stat.key.startswith("model-calls/talk/run-1/") for stat in found)
    assert {model_call_time(stat.key) for stat in found} == {SENT}
    path = store.local_path(found[0].url)
    assert path is not None
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["label"] == "window 3 of 60"
    assert document["started_at"] == "2026-05-04T03:02:01.987654+00:00"
    assert document["notes"] == {"grounding": ["exact"]}
    assert document["cost"] == 0.00025
    assert not list(tmp_path.glob("model-call-*"))


def test_records_are_removed_by_age_and_of_one_video_where_that_is_asked(tmp_path: Path) -> None:
    store = LocalFolderStore(tmp_path / "objects")
    for video in ("talk", "talk-2"):
        records = StoredCallRecords(store, MOMENTS.partition(video), scratch=tmp_path, run_id="run")
        records.record(CALL)
        records.record(replace(CALL, started_at=SENT + timedelta(days=20)))
    before = SENT + timedelta(days=10)

    def left() -> list[str]:
        return [stat.key.split("/")[1] for stat in store.list("model-calls")]

    assert remove_old_records(store, "model-calls/talk", before=before) == 1
    assert sorted(left()) == ["talk", "talk-2", "talk-2"]
    assert remove_old_records(store, "model-calls", before=before) == 1
    assert sorted(left()) == ["talk", "talk-2"]


def test_an_object_of_another_kind_is_never_taken_for_a_record() -> None:
    assert model_call_time("clips/talk/20260504T030201.987654Z-x.json") is None
    assert model_call_time("model-calls/talk/run/notes.json") is None
    assert model_call_time("model-calls/talk/run/20260504T030201.987654Z-find-ab.json") == SENT


@pytest.mark.parametrize("video", ["../talk", "", "a/b"])
def test_a_record_never_leaves_its_prefix(tmp_path: Path, video: str) -> None:
    store = LocalFolderStore(tmp_path / "objects")
    records = StoredCallRecords(store, Partition("moments", video), scratch=tmp_path, run_id="run")
    with pytest.raises((ValueError, ObjectStoreRefused)):
        records.record(CALL)


def test_a_full_scratch_folder_is_a_sentence(tmp_path: Path) -> None:
    store = LocalFolderStore(tmp_path / "objects")
    records = StoredCallRecords(store, TALK, scratch=tmp_path / "absent", run_id="run")
    with pytest.raises(ScratchExhausted, match="VIDEOMOMENTS_SCRATCH"):
        records.record(CALL)


def test_housekeeping_is_a_job_with_a_schedule_that_is_off() -> None:
    schedule = build_definitions().resolve_schedule_def("nightly_housekeeping")
    assert schedule.job_name == "housekeeping"
    assert schedule.default_status.name == "STOPPED"
