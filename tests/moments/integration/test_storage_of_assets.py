"""What the seven assets store: rows in a real PostgreSQL, files in a local object store."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from stored_records import FACTS, SILENCE, STORAGES, TRANSCRIPT, Storage, configs, moment, refined

from videomoments_dagster.base.failures import ResultMissing, SourceUnavailable
from videomoments_dagster.base.files import content_hash
from videomoments_dagster.core.asset import Unchanged
from videomoments_dagster.media.facts import SubtitleStream
from videomoments_dagster.moments.records import Clip, CutClips, MadeThumbnails, Moments, Thumbnail
from videomoments_dagster.moments.system import MOMENTS
from videomoments_dagster.speech.transcripts import Segment, Word


def test_storing_everything_twice_leaves_the_same_rows_ids_and_objects(storage: Storage) -> None:
    storage.store_everything("talk", 0, 20)
    rows, objects = storage.asset_rows(), storage.objects()
    assert all(rows.values())

    storage.store_everything("talk", 0, 20)
    assert storage.asset_rows() == rows
    assert storage.objects() == objects


def test_what_is_read_back_equals_what_was_stored(storage: Storage) -> None:
    assert FACTS.video is not None
    assert FACTS.audio is not None
    facts = replace(
        FACTS,
        duration_seconds=0.1 + 0.2,
        video=replace(FACTS.video, start_seconds=1 / 12),
        audio=replace(FACTS.audio, start_seconds=0.0),
        subtitles=(SubtitleStream(index=2, codec="mov_text", language=None),),
    )
    fetched = storage.video(
        "talk", facts=facts, source_url="/films/talk ☃.mp4", title="Ein Gespräch"
    )
    transcript = replace(
        TRANSCRIPT,
        full_text="Grüß Gott 👋 \u202ecba “quoted” \\ %s",
        words=(Word(text="Grüß", start=0.1, end=1 / 3), Word(text="👋", start=1 / 3, end=1e-9 + 1)),
        segments=(Segment(text="Grüß Gott 👋", start=0.1, end=1.0000000001),),
        transcription_service="faster-whisper:small",
        processing_time_seconds=12.345678901234567,
    )
    chosen = configs()
    chosen = replace(
        chosen,
        generation=replace(
            chosen.generation,
            prompt=replace(chosen.generation.prompt, user_prompt="find ☃"),
            temperature=0.7,
        ),
        scoring=replace(chosen.scoring, temperature=None, top_k=None),
    )
    roots = (moment("talk", 0, 10, title="Grüße 👋"), moment("talk", 20, 30))
    children = tuple(replace(refined("talk", root, shift=0.1), title=root.title) for root in roots)
    cut = tuple(
        replace(
            storage.cut(root),
            start_time=root.start_time - 0.7,
            end_time=root.end_time + 1 / 3,
            padding_left=0.7,
            padding_right=1 / 3,
        )
        for root in roots
    )
    made = tuple(storage.picture(owner) for owner in (None, *roots))
    storage.store("video", "talk", fetched)
    storage.store("transcript", "talk", transcript)
    storage.store("generation_config", "talk", chosen)
    storage.store("moments", "talk", Moments(roots))
    storage.store("refined_moments", "talk", Moments(children))
    storage.store("clips", "talk", CutClips(kept=(), cut=cut))
    storage.store("thumbnails", "talk", MadeThumbnails(kept=(), made=made))

    stored = storage.load("video", "talk")
    assert (stored.facts, stored.title, stored.source_url, stored.content_hash) == (
        facts,
        fetched.title,
        fetched.source_url,
        fetched.content_hash,
    )
    assert Path(stored.cloud_url.removeprefix("file://")).read_text() == "bytes of talk"
    assert storage.load("transcript", "talk") == transcript
    assert storage.load("generation_config", "talk") == chosen
    assert storage.load("moments", "talk").moments == roots
    assert storage.load("refined_moments", "talk").moments == children
    clips = storage.load("clips", "talk").clips
    assert [clip.moment_identifier for clip in clips] == [one.identifier for one in roots]
    for clip, file in zip(clips, cut, strict=True):
        assert clip == Clip(
            moment_identifier=file.moment_identifier,
            cloud_url=clip.cloud_url,
            start_time=file.start_time,
            end_time=file.end_time,
            padding_left=file.padding_left,
            padding_right=file.padding_right,
            file_size_kb=2,
            format="mp4",
            video_codec="h264",
            audio_codec="aac",
            resolution="1080x1920",
            fingerprint=file.fingerprint,
            method="copy",
        )
        assert content_hash(Path(clip.cloud_url.removeprefix("file://"))) == content_hash(file.path)
    pictures = storage.load("thumbnails", "talk").thumbnails
    assert [one.clip_of_moment for one in pictures] == [None, *(one.identifier for one in roots)]
    assert pictures[0] == Thumbnail(
        clip_of_moment=None,
        cloud_url=pictures[0].cloud_url,
        file_size_kb=1,
        fingerprint=made[0].fingerprint,
    )


def test_an_empty_transcript_and_no_moments_are_results(storage: Storage) -> None:
    storage.store("video", "talk", storage.video("talk"))
    storage.store("transcript", "talk", SILENCE)
    storage.store("generation_config", "talk", configs())
    nothing = Moments(moments=(), why_fewer="There is no speech.")
    storage.store("moments", "talk", nothing)

    assert storage.load("transcript", "talk") == SILENCE
    assert storage.load("moments", "talk") == nothing
    assert storage.rows(
        "SELECT full_text, word_timestamps::text, segment_timestamps::text FROM transcripts"
    ) == [("", "[]", "[]")]


def test_other_moments_are_written_as_a_difference(storage: Storage) -> None:
    kept, _ = storage.store_everything("talk", 0, 20)
    new = moment("talk", 40, 50)
    of_kept = (
        "SELECT m.id, m.created_at, c.id, t.id FROM moments m JOIN clips c ON c.moment_id = m.id "
        "JOIN thumbnails t ON t.clip_id = c.id WHERE m.start_time = 0"
    )
    before = storage.rows(of_kept)

    storage.store("moments", "talk", Moments(moments=(replace(kept, title="Renamed"), new)))
    assert storage.rows(of_kept) == before
    titles = [one.title for one in storage.load("moments", "talk").moments]
    assert titles == ["Renamed", new.title]
    assert storage.load("refined_moments", "talk").moments == (refined("talk", kept),)
    assert [one.moment_identifier for one in storage.load("clips", "talk").clips] == [
        kept.identifier
    ]
    assert len(storage.load("thumbnails", "talk").thumbnails) == 2
    assert storage.rows("SELECT 1 FROM moments WHERE is_refined AND parent_id IS NULL") == []


def test_a_refined_moment_whose_root_is_gone_is_refused(storage: Storage) -> None:
    [kept] = storage.store_everything("talk", 0)
    children = (refined("talk", kept), refined("talk", moment("talk", 60, 70)))
    rows = storage.asset_rows()

    with pytest.raises(dg.Failure, match="'moments' has no stored result"):
        storage.store("refined_moments", "talk", Moments(children))
    assert storage.asset_rows() == rows


def test_a_clip_or_picture_of_something_that_is_gone_is_refused(storage: Storage) -> None:
    storage.store_everything("talk", 0)
    gone = moment("talk", 60, 70)
    with pytest.raises(dg.Failure, match="'moments' has no stored result"):
        storage.store("clips", "talk", CutClips(kept=(), cut=(storage.cut(gone),)))
    with pytest.raises(dg.Failure, match="'clips' has no stored result"):
        storage.store("thumbnails", "talk", MadeThumbnails(kept=(), made=(storage.picture(gone),)))


def test_another_transcript_takes_the_place_of_the_old_and_its_configs_follow(
    storage: Storage,
) -> None:
    moments = storage.store_everything("talk", 0)
    [(old,)] = storage.rows("SELECT id FROM transcripts")
    storage.store("transcript", "talk", SILENCE)

    [(new,)] = storage.rows("SELECT id FROM transcripts")
    assert new != old
    assert storage.rows("SELECT DISTINCT transcript_id FROM generation_configs") == [(new,)]
    assert storage.load("moments", "talk").moments == moments


def test_a_transcript_that_cannot_be_stored_leaves_the_old_one(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.store_everything("talk", 0)
    rows = storage.asset_rows()
    monkeypatch.setattr(STORAGES["transcript"], "version", _fails)

    with pytest.raises(ResultMissing):
        STORAGES["transcript"].version(TRANSCRIPT)
    with pytest.raises(dg.Failure, match="on purpose"):
        storage.store("transcript", "talk", SILENCE)
    assert storage.asset_rows() == rows


def _fails(*_arguments: object, **_options: object) -> Any:
    raise ResultMissing("it failed on purpose")


def test_a_config_that_three_videos_share_survives_another_transcript_of_one(
    storage: Storage,
) -> None:
    moments = {video: storage.store_everything(video, 0) for video in ("a", "b", "c")}
    rows = storage.rows("SELECT id, config_hash FROM generation_configs ORDER BY id")
    assert len(rows) == 2

    for video in moments:
        storage.store("transcript", video, SILENCE)
        assert storage.rows("SELECT id, config_hash FROM generation_configs ORDER BY id") == rows
        for other, stored in moments.items():
            assert storage.load("moments", other).moments == stored
            assert storage.load("generation_config", other) == configs()
    assert storage.rows("SELECT count(*) FROM transcripts") == [(3,)]
    assert storage.rows("SELECT 1 FROM generation_configs WHERE transcript_id IS NULL") == []


def test_a_replaced_clip_takes_its_thumbnail_along(storage: Storage) -> None:
    first, second = storage.store_everything("talk", 0, 20)
    before = {one.moment_identifier: one for one in storage.load("clips", "talk").clips}

    again = CutClips(kept=(), cut=(storage.cut(first, content="again"),))
    storage.store("clips", "talk", again)
    after = {one.moment_identifier: one for one in storage.load("clips", "talk").clips}
    assert after[first.identifier] != before[first.identifier]
    assert after[second.identifier] == before[second.identifier]
    assert [one.clip_of_moment for one in storage.load("thumbnails", "talk").thumbnails] == [
        None,
        second.identifier,
    ]


def test_a_failure_between_upload_and_row_leaves_an_object_and_no_row(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    [root] = storage.store_everything("talk", 0)
    again = CutClips(kept=(), cut=(storage.cut(root, content="again"),))
    rows, objects = storage.asset_rows(), set(storage.objects())
    monkeypatch.setattr(STORAGES["clips"], "write", _fails)

    with pytest.raises(dg.Failure, match="on purpose"):
        storage.store("clips", "talk", again)
    assert storage.asset_rows() == rows
    [orphan] = set(storage.objects()) - objects
    assert orphan.startswith(f"clips/talk/{root.identifier}-")


def test_a_failure_while_objects_are_stored_leaves_no_row(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(STORAGES["video"], "files", _fails)
    with pytest.raises(dg.Failure):
        storage.store("video", "talk", storage.video("talk"))
    assert not any(storage.asset_rows().values())


@pytest.mark.parametrize("asset", list(STORAGES))
def test_a_partition_that_was_never_materialised_fails_for_good_and_says_what_to_do(
    storage: Storage, asset: str
) -> None:
    if asset != "video":
        storage.store("video", "talk", storage.video("talk"))
    with pytest.raises(dg.Failure) as failed:
        storage.load(asset, "talk")
    message = str(failed.value.description)
    assert "'talk'" in message
    assert f"the asset '{asset}' has no stored result" in message
    assert f"Materialise '{asset}' for this partition" in message
    assert failed.value.allow_retries is False


@pytest.mark.parametrize("asset", ["transcript", "generation_config", "moments"])
def test_storing_something_of_a_video_that_is_not_stored_names_the_video(
    storage: Storage, asset: str
) -> None:
    values = {"transcript": TRANSCRIPT, "generation_config": configs(), "moments": Moments(())}
    with pytest.raises(dg.Failure, match="the asset 'video' has no stored result") as failed:
        storage.store(asset, "ghost", values[asset])
    assert failed.value.allow_retries is False
    assert not any(storage.asset_rows().values())


def test_an_object_that_is_gone_fails_and_names_the_asset_to_materialise(storage: Storage) -> None:
    storage.store_everything("talk", 0)
    url = storage.load("clips", "talk").clips[0].cloud_url
    Path(url.removeprefix("file://")).unlink()
    with pytest.raises(dg.Failure, match="Materialise 'clips'") as failed:
        storage.load("clips", "talk")
    assert url in str(failed.value.description)
    assert failed.value.allow_retries is False


def test_videos_whose_identifiers_begin_alike_do_not_see_each_other(storage: Storage) -> None:
    moments = storage.store_everything("vid10", 0)
    rows = storage.asset_rows()
    for asset in STORAGES:
        with pytest.raises(dg.Failure, match="has no stored result"):
            storage.load(asset, "vid1")

    storage.store_everything("vid1", 0, 20)
    storage.store("moments", "vid1", Moments(moments=()))
    assert storage.load("moments", "vid10").moments == moments
    kept = {table: set(rows[table]) for table in ("moments", "clips", "thumbnails")}
    after = storage.asset_rows()
    assert all(kept[table] <= set(after[table]) for table in kept)


def test_nothing_changed_writes_nothing(storage: Storage) -> None:
    storage.give("video", "talk", Unchanged())
    assert not any(storage.asset_rows().values())
    assert storage.objects() == {}


def test_an_asset_must_say_whether_it_computed(storage: Storage) -> None:
    with pytest.raises(dg.DagsterInvariantViolationError, match="Computed or Unchanged"):
        storage.give("video", "talk", storage.video("talk"))


def test_eight_threads_that_store_moments_of_one_video_leave_the_set_of_one_of_them(
    storage: Storage,
) -> None:
    # Nothing stored: deleting one and the same row would make them wait for each other.
    storage.store_everything("talk")
    sets = [
        tuple(moment("talk", 10.0 * k, 10.0 * k + 10) for k in range(n, n + 4)) for n in range(8)
    ]
    problems: list[BaseException] = []
    barrier = threading.Barrier(len(sets), timeout=30)

    def job(work: Callable[[], None]) -> None:
        try:
            barrier.wait()
            work()
        except BaseException as problem:  # noqa: BLE001  reported by the assertion below
            problems.append(problem)

    threads = [
        threading.Thread(
            target=job, args=(lambda mine=mine: storage.store("moments", "talk", Moments(mine)),)
        )
        for mine in sets
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert problems == []
    assert storage.load("moments", "talk").moments in sets


def test_a_second_writer_of_one_video_waits_and_sees_what_the_first_wrote(
    storage: Storage,
) -> None:
    storage.store_everything("talk")
    second = Moments(moments=(moment("talk", 0, 10),))
    writer = threading.Thread(target=storage.store, args=("moments", "talk", second), daemon=True)
    with storage.database.transaction() as other:
        first = Moments(moments=(moment("talk", 20, 30),))
        STORAGES["moments"].write(other, MOMENTS.partition("talk"), first, {})
        writer.start()
        writer.join(0.5)
        assert writer.is_alive()
        assert storage.load("moments", "talk").moments == ()
    writer.join(30)
    assert storage.load("moments", "talk") == second


def test_eight_threads_that_store_one_config_for_eight_videos_share_its_rows(
    storage: Storage,
) -> None:
    videos = [f"v{n}" for n in range(8)]
    for video in videos:
        storage.store("video", video, storage.video(video))
    problems: list[BaseException] = []

    def job(video: str) -> None:
        try:
            storage.store("generation_config", video, configs())
        except BaseException as problem:  # noqa: BLE001  reported by the assertion below
            problems.append(problem)

    threads = [threading.Thread(target=job, args=(video,)) for video in videos]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert problems == []
    assert storage.rows("SELECT count(*) FROM generation_configs") == [(2,)]
    assert storage.rows("SELECT count(*) FROM prompts") == [(2,)]
    assert len(storage.rows("SELECT 1 FROM pipeline.selected_configs")) == len(videos)


def test_titles_are_cut_to_500_characters_and_stay_a_result_that_stands(storage: Storage) -> None:
    storage.store_everything("talk")
    storage.store("video", "talk", storage.video("talk", title="ü" * 501))
    storage.store("moments", "talk", Moments(moments=(moment("talk", 0, 10, title="ü" * 900),)))
    for title in (
        storage.load("video", "talk").title,
        storage.load("moments", "talk").moments[0].title,
    ):
        assert len(title) == 500
        assert title.startswith("ü" * 499)


def test_a_title_with_a_nul_character_is_stored(storage: Storage) -> None:
    storage.store("video", "talk", storage.video("talk", title="a\0b"))
    assert storage.load("video", "talk").title == "a\N{REPLACEMENT CHARACTER}b"


def test_a_codec_name_is_cut_to_its_column(storage: Storage) -> None:
    assert FACTS.audio is not None
    facts = replace(FACTS, audio=replace(FACTS.audio, codec="x" * 60))
    storage.store("video", "talk", storage.video("talk", facts=facts))
    assert storage.rows("SELECT length(audio_codec) FROM videos") == [(50,)]
    assert storage.load("video", "talk").facts == facts


@pytest.mark.parametrize("length", [2_000, 2_001, 2_720, 60_000])
def test_a_source_url_of_any_length_is_stored_and_read_back_whole(
    storage: Storage, length: int
) -> None:
    # Random characters: repetitive text is compressed below the limit of the index.
    noise = "".join(hashlib.sha256(b"%d" % n).hexdigest() for n in range(length // 64 + 1))
    url = f"https://example.com/{noise}"[:length]
    storage.store("video", "talk", storage.video("talk", source_url=url))

    assert storage.load("video", "talk").source_url == url
    assert storage.rows("SELECT location FROM pipeline.sources") == [(url,)]
    [(kept,)] = storage.rows("SELECT source_url FROM videos")
    assert (kept == url) == (length <= 2_000)
    assert len(kept.encode()) < 2_100


def test_long_source_urls_with_the_same_beginning_stay_different(storage: Storage) -> None:
    for n in range(2):
        url = f"https://example.com/{'x' * 3_000}{n}"
        storage.store("video", f"v{n}", storage.video(f"v{n}", source_url=url))
    assert len(storage.rows("SELECT DISTINCT source_url FROM videos")) == 2


def test_a_source_from_run_config_is_registered_and_one_that_is_registered_stays(
    storage: Storage,
) -> None:
    storage.store("video", "talk", storage.video("talk", source_url="/first.mp4", title="First"))
    storage.store("video", "talk", storage.video("talk", source_url="/second.mp4", title="Second"))
    assert storage.rows("SELECT identifier, location, title FROM pipeline.sources") == [
        ("talk", "/first.mp4", "First")
    ]
    assert storage.load("video", "talk").source_url == "/second.mp4"


def test_a_source_that_changed_since_it_was_hashed_is_not_stored_under_the_old_hash(
    storage: Storage,
) -> None:
    fetched = storage.video("talk")
    fetched.path.write_text("other bytes")
    with pytest.raises(dg.Failure) as failed:
        storage.store("video", "talk", fetched)
    assert failed.value.allow_retries is SourceUnavailable.retryable
    assert storage.objects() == {}
    assert not any(storage.asset_rows().values())
