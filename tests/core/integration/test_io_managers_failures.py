"""What is missing, interrupted, shared or done twice at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy.orm import Session
from stored_records import SILENCE, STORAGES, TRANSCRIPT, Storage, configs, moment, refined

from db import models
from videomoments_dagster.base.failures import ObjectStoreUnavailable, SourceRejected
from videomoments_dagster.core import storage as stored_asset
from videomoments_dagster.core.objects.local_folder import LocalFolderStore
from videomoments_dagster.moments.records import CutClips, MadeThumbnails, Moments, Prompt, Source
from videomoments_dagster.moments.registration import register
from videomoments_dagster.moments.storage.moment_rows import config_id, prompt_id
from videomoments_dagster.moments.storage.video_rows import locked_video
from videomoments_dagster.moments.system import MOMENTS

THREADS = 8


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Make the calls in threads that begin together."""
    gate = threading.Barrier(len(calls))

    def begun_together(call: Callable[[], Any]) -> Any:
        gate.wait(timeout=10)
        return call()

    with ThreadPoolExecutor(max_workers=len(calls)) as pool:
        return list(pool.map(begun_together, calls))


# --- reading what is not there


@pytest.mark.parametrize("asset", sorted(STORAGES))
def test_a_partition_that_was_never_materialised_fails_for_good_and_says_what_to_do(
    storage: Storage, asset: str
) -> None:
    with pytest.raises(dg.Failure) as failed:
        storage.load(asset, "ghost")
    assert failed.value.allow_retries is False
    assert failed.value.description == (
        f"video 'ghost', step {asset}: the asset '{asset}' has no stored result. "
        f"Materialise '{asset}' for this partition first, or all of it: `videomoments run ghost`."
    )


def test_assets_of_a_stored_video_that_were_never_materialised_fail_too(storage: Storage) -> None:
    storage.store("video", "talk", storage.video("talk"))
    for asset in set(STORAGES) - {"video"}:
        with pytest.raises(dg.Failure, match=f"Materialise '{asset}'"):
            storage.load(asset, "talk")


@pytest.mark.parametrize("asset", ["video", "clips", "thumbnails"])
def test_a_missing_object_fails_for_good_and_names_it(storage: Storage, asset: str) -> None:
    storage.store_everything("talk", 5, 25)
    table = "videos" if asset == "video" else asset
    [url] = storage.rows(f"SELECT cloud_url FROM {table} ORDER BY id DESC LIMIT 1")[0]  # noqa: S608
    Path(url.removeprefix("file://")).unlink()

    with pytest.raises(dg.Failure) as failed:
        storage.load(asset, "talk")
    assert failed.value.allow_retries is False
    assert "video 'talk'" in str(failed.value.description)
    assert url in str(failed.value.description)
    assert f"Materialise '{asset}'" in str(failed.value.description)


@pytest.mark.parametrize("asset", sorted(set(STORAGES) - {"video"}))
def test_nothing_is_written_for_a_video_that_is_not_stored(storage: Storage, asset: str) -> None:
    made: dict[str, Any] = {
        "transcript": SILENCE,
        "generation_config": configs(),
        "moments": Moments(()),
        "refined_moments": Moments(()),
        "clips": CutClips((), ()),
        "thumbnails": MadeThumbnails((), ()),
    }
    with pytest.raises(dg.Failure, match="Materialise 'video'"):
        storage.store(asset, "ghost", made[asset])
    assert not any(storage.asset_rows().values())


def test_refined_moments_clips_and_thumbnails_of_moments_that_went_are_refused(
    storage: Storage,
) -> None:
    [root] = storage.store_everything("talk", 5)
    gone = moment("talk", 45, 55)
    before = storage.asset_rows()
    for asset, made, needed in (
        ("refined_moments", Moments((refined("talk", root), refined("talk", gone))), "moments"),
        ("clips", CutClips((), (storage.cut(root, content="new"), storage.cut(gone))), "moments"),
        ("thumbnails", MadeThumbnails((), (storage.picture(gone),)), "clips"),
    ):
        with pytest.raises(dg.Failure, match=f"Materialise '{needed}'"):
            storage.store(asset, "talk", made)
    assert storage.asset_rows() == before


def test_moments_without_a_config_are_refused(storage: Storage) -> None:
    storage.store("video", "talk", storage.video("talk"))
    with pytest.raises(dg.Failure, match="Materialise 'generation_config'"):
        storage.store("moments", "talk", Moments((moment("talk", 5, 15),)))


def test_a_file_name_that_is_no_text_is_refused_when_it_is_registered(storage: Storage) -> None:
    with (
        pytest.raises(SourceRejected, match="not valid UTF-8"),
        storage.database.transaction() as session,
    ):
        register(session, Source(identifier="talk", location="/films/\udcff.mp4"))


# --- interrupted between object and row


def test_a_failure_between_upload_and_rows_leaves_an_object_and_no_row(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    [root] = storage.store_until_moments("talk", 5)
    before, objects = storage.asset_rows(), set(storage.objects())

    def cut_off(*_: object, **__: object) -> None:
        raise ConnectionError("the power went")

    with monkeypatch.context() as patched:
        patched.setattr(STORAGES["clips"], "write", cut_off)
        with pytest.raises(ConnectionError):
            storage.store("clips", "talk", CutClips((), (storage.cut(root),)))
    assert storage.asset_rows() == before
    [orphan] = set(storage.objects()) - objects

    storage.store("clips", "talk", CutClips((), (storage.cut(root),)))
    [clip] = storage.load("clips", "talk").clips
    assert clip.cloud_url.endswith(orphan)


def test_a_failed_upload_writes_no_row_and_is_tried_again(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = storage.store_until_moments("talk", 5, 25)
    before = storage.asset_rows()
    real = LocalFolderStore.put_file
    calls: list[Path] = []

    def fails_at_the_second(self: LocalFolderStore, path: Path, **options: Any) -> Any:
        calls.append(path)
        if len(calls) == 2:
            raise ObjectStoreUnavailable("the store is away")
        return real(self, path, **options)

    monkeypatch.setattr(LocalFolderStore, "put_file", fails_at_the_second)
    with pytest.raises(dg.Failure, match="the store is away") as failed:
        storage.store("clips", "talk", CutClips((), (storage.cut(first), storage.cut(second))))
    assert failed.value.allow_retries is True
    assert storage.asset_rows() == before


@pytest.mark.parametrize("asset", sorted(STORAGES))
def test_a_failure_at_the_end_of_the_transaction_changes_no_row(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, asset: str
) -> None:
    [root] = storage.store_everything("talk", 5)
    new = moment("talk", 45, 55)
    made: dict[str, Any] = {
        "video": storage.video("talk", title="New"),
        "transcript": SILENCE,
        "generation_config": configs("other", model="other"),
        "moments": Moments((new,)),
        "refined_moments": Moments((refined("talk", root, shift=1.0),)),
        "clips": CutClips((), (storage.cut(root, content="new"),)),
        "thumbnails": MadeThumbnails((), (storage.picture(root, content="new"),)),
    }
    before = storage.asset_rows()

    remember = stored_asset.remember

    def cut_off(session: Session, *arguments: Any) -> None:
        remember(session, *arguments)
        session.flush()
        raise ConnectionError("the power went")

    with monkeypatch.context() as patched:
        patched.setattr("videomoments_dagster.core.storage.remember", cut_off)
        with pytest.raises(ConnectionError):
            storage.store(asset, "talk", made[asset])
    assert storage.asset_rows() == before
    storage.store(asset, "talk", made[asset])
    assert storage.asset_rows() != before


# --- transcripts and the configs that videos share


def _transcript_of_config(storage: Storage) -> set[Any]:
    return set(
        storage.rows(
            "SELECT v.identifier FROM generation_configs c "
            "LEFT JOIN transcripts t ON t.id = c.transcript_id "
            "LEFT JOIN videos v ON v.id = t.video_id"
        )
    )


def test_another_transcript_replaces_the_row_and_keeps_the_moments(storage: Storage) -> None:
    moments = storage.store_everything("talk", 5)
    old = storage.one("SELECT id FROM transcripts")
    storage.store("transcript", "talk", replace(TRANSCRIPT, transcription_service="other"))

    assert storage.one("SELECT id FROM transcripts") != old
    assert storage.load("transcript", "talk").transcription_service == "other"
    assert storage.load("moments", "talk").moments == moments
    assert len(storage.load("clips", "talk").clips) == 1
    assert _transcript_of_config(storage) == {("talk",)}


def test_a_transcript_is_never_seen_to_be_missing_while_it_is_replaced(storage: Storage) -> None:
    storage.store("video", "talk", storage.video("talk"))
    storage.store("transcript", "talk", TRANSCRIPT)
    done = threading.Event()

    def replace_it() -> None:
        for number in range(20):
            made = replace(TRANSCRIPT, transcription_service=f"engine {number}")
            storage.store("transcript", "talk", made)
        done.set()

    def watch() -> int:
        looks = 0
        while not done.is_set():
            storage.load("transcript", "talk")
            looks += 1
        return looks

    _, looks = at_once(replace_it, watch)
    assert looks > 0
    assert storage.one("SELECT count(*) FROM transcripts") == 1


def test_a_config_shared_by_three_videos_survives_whatever_happens_to_their_transcripts(
    storage: Storage,
) -> None:
    for video in ("one", "two", "three"):
        storage.store_everything(video, 5)
    everything = {
        table: storage.one(f"SELECT count(*) FROM {table}")  # noqa: S608
        for table in ("generation_configs", "moments", "clips", "thumbnails")
    }
    assert everything == {"generation_configs": 2, "moments": 6, "clips": 3, "thumbnails": 6}
    assert _transcript_of_config(storage) == {("one",)}

    storage.store("transcript", "one", SILENCE)
    assert _transcript_of_config(storage) == {("two",)}
    storage.rows(
        "DELETE FROM transcripts WHERE video_id = (SELECT id FROM videos WHERE identifier = 'two')"
    )
    assert _transcript_of_config(storage) == {("three",)}
    storage.rows("DELETE FROM transcripts")
    assert _transcript_of_config(storage) == {(None,)}
    assert {
        table: storage.one(f"SELECT count(*) FROM {table}")  # noqa: S608
        for table in everything
    } == everything

    storage.store("transcript", "three", TRANSCRIPT)
    assert _transcript_of_config(storage) == {("three",)}
    storage.rows("DELETE FROM videos WHERE identifier = 'three'")
    assert storage.load("moments", "one").moments
    assert storage.load("generation_config", "two") == configs()


def test_choosing_another_config_leaves_the_shared_one_to_the_others(storage: Storage) -> None:
    storage.store_everything("one", 5)
    storage.store_everything("two", 5)
    storage.store("generation_config", "one", configs("other", model="other"))
    assert storage.load("generation_config", "one").generation.model == "other"
    assert storage.load("generation_config", "two") == configs()
    assert len(storage.load("moments", "two").moments) == 1


# --- at once


def test_prompts_and_configs_are_made_once_however_many_want_them_at_once(
    storage: Storage,
) -> None:
    def get_or_create() -> tuple[int, int]:
        with storage.database.transaction() as session:
            return (
                prompt_id(session, Prompt("a", "b")),
                config_id(session, configs().generation, transcript_id=None),
            )

    assert len(set(at_once(*[get_or_create] * THREADS))) == 1
    assert storage.one("SELECT count(*) FROM prompts") == 2
    assert storage.one("SELECT count(*) FROM generation_configs") == 1


def test_videos_that_choose_crossed_configs_at_once_do_not_block_each_other(
    storage: Storage,
) -> None:
    for video in ("one", "two"):
        storage.store("video", video, storage.video(video))
    for number in range(10):
        straight = configs(model=f"model {number}")
        straight = replace(
            straight,
            generation=replace(straight.generation, prompt=Prompt(f"a{number}", "")),
            refinement=replace(straight.refinement, prompt=Prompt(f"b{number}", "")),
        )
        crossed = replace(
            straight,
            generation=replace(straight.generation, prompt=straight.refinement.prompt),
            refinement=replace(straight.refinement, prompt=straight.generation.prompt),
        )
        at_once(
            lambda made=straight: storage.store("generation_config", "one", made),  # type: ignore[misc]
            lambda made=crossed: storage.store("generation_config", "two", made),  # type: ignore[misc]
        )
        assert storage.load("generation_config", "one") == straight
        assert storage.load("generation_config", "two") == crossed


def test_two_runs_of_one_video_at_once_leave_one_of_their_results_whole(storage: Storage) -> None:
    roots = storage.store_until_moments("talk", 5, 25)
    odd = (roots[0], moment("talk", 45, 55))
    clips = CutClips((), (storage.cut(roots[0]),))
    pictures = MadeThumbnails((), (storage.picture(None), storage.picture(roots[0])))
    for _ in range(20):
        at_once(
            lambda: storage.store("moments", "talk", Moments(roots)),
            lambda: storage.store("moments", "talk", Moments(odd)),
        )
        assert storage.load("moments", "talk").moments in (roots, odd)
        at_once(*[lambda: storage.store("clips", "talk", clips)] * 2)
        at_once(*[lambda: storage.store("thumbnails", "talk", pictures)] * 2)
    assert len(storage.load("clips", "talk").clips) == 1
    assert len(storage.load("thumbnails", "talk").thumbnails) == 2


def test_a_video_stored_twice_at_once_is_one_row(storage: Storage) -> None:
    fetched = storage.video("talk")
    at_once(*[lambda: storage.store("video", "talk", fetched)] * 4)
    assert storage.one("SELECT count(*) FROM videos") == 1
    assert storage.one("SELECT count(*) FROM pipeline.sources") == 1


def test_history_is_written_while_a_video_is_being_written(storage: Storage) -> None:
    storage.store_until_moments("talk", 5)
    with storage.database.transaction() as session:
        locked_video(session, MOMENTS.partition("talk"), step="moments")
        with storage.database.transaction() as other:
            other.connection().exec_driver_sql("SET LOCAL lock_timeout = '200ms'")
            video = other.query(models.Video).one()
            config = other.query(models.GenerationConfig.id).first()
            assert config is not None
            other.add(
                models.PipelineHistory(
                    identifier="pipeline:talk:1",
                    video_id=video.id,
                    generation_config_id=config[0],
                    pipeline_type="full",
                    status="running",
                    started_at=video.created_at,
                )
            )
