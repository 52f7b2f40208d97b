"""What the seven assets store: rows in a real PostgreSQL, files in a local object store."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import text
from stored_records import STORAGES

from db.session import Database
from videomoments_dagster.base.failures import ResultMissing, SourceUnavailable
from videomoments_dagster.base.files import content_hash
from videomoments_dagster.core.asset import Unchanged
from videomoments_dagster.core.io_manager import PartitionIOManager
from videomoments_dagster.core.resources import DatabaseResource, ObjectStoreResource
from videomoments_dagster.core.storage import Computed
from videomoments_dagster.media.facts import AudioStream, MediaFacts, SubtitleStream, VideoStream
from videomoments_dagster.moments.identity import moment_identifier
from videomoments_dagster.moments.records import (
    Clip,
    ClipFile,
    CutClips,
    FetchedVideo,
    GenerationConfig,
    MadeThumbnails,
    Moment,
    Moments,
    Prompt,
    ScoringConfig,
    SelectedConfigs,
    Thumbnail,
    ThumbnailFile,
)
from videomoments_dagster.moments.system import MOMENTS
from videomoments_dagster.speech.transcripts import Segment, Transcript, Word

FACTS = MediaFacts(
    container="mov,mp4,m4a,3gp,3g2,mj2",
    duration_seconds=0.1 + 0.2,
    size_bytes=1025,
    video=VideoStream(
        index=0,
        codec="h264",
        width=1080,
        height=1920,
        rotation=90,
        frame_rate=30000 / 1001,
        start_seconds=0.08333333333333333,
        time_base=12800,
    ),
    audio=AudioStream(index=1, codec="aac", sample_rate=48000, channels=2, start_seconds=0.0),
    subtitles=(SubtitleStream(index=2, codec="mov_text", language=None),),
    ignore_edit_list=True,
)
TRANSCRIPT = Transcript(
    full_text="Grüß Gott 👋 \u202ecba “quoted” \\ %s",
    words=(Word(text="Grüß", start=0.1, end=1 / 3), Word(text="👋", start=1 / 3, end=1e-9 + 1)),
    segments=(Segment(text="Grüß Gott 👋", start=0.1, end=1.0000000001),),
    language="de",
    transcription_service="faster-whisper:small",
    processing_time_seconds=12.345678901234567,
)
EMPTY_TRANSCRIPT = Transcript(
    full_text="",
    words=(),
    segments=(),
    language="en",
    transcription_service="captions",
    processing_time_seconds=0.0,
)
CONFIGS = SelectedConfigs(
    profile="default",
    generation=GenerationConfig(
        prompt=Prompt(user_prompt="find ☃", system_prompt="you find"),
        model="extractive",
        operation_type="generation",
        temperature=0.7,
        min_moment_length=6,
        max_moments=4,
    ),
    refinement=GenerationConfig(
        prompt=Prompt(user_prompt="mend", system_prompt="you mend"),
        model="extractive",
        operation_type="refinement",
    ),
    scoring=ScoringConfig(
        prompt=Prompt(user_prompt="judge", system_prompt="you judge"), model="extractive"
    ),
    max_shift_seconds=2.5,
)
TABLES = (
    "videos",
    "transcripts",
    "prompts",
    "generation_configs",
    "moments",
    "clips",
    "thumbnails",
    "pipeline.selected_configs",
    "pipeline.object_origins",
    "pipeline.video_files",
    "pipeline.sources",
)


def root(start: float, *, video: str = "vid1", title: str = "A title", score: int = 7) -> Moment:
    return Moment(
        identifier=moment_identifier(
            video=video, config=CONFIGS.generation, start_time=start, end_time=start + 10
        ),
        start_time=start,
        end_time=start + 10,
        title=title,
        generation_model="extractive",
        score=score,
        scoring_model="rules",
        scored_at=datetime(2026, 1, 2, 3, 4, 5, 678901),  # noqa: DTZ001  the column has no zone
    )


def refined(parent: Moment, *, video: str = "vid1") -> Moment:
    start, end = parent.start_time + 0.1, parent.end_time - 0.1
    return replace(
        parent,
        identifier=moment_identifier(
            video=video,
            config=CONFIGS.refinement,
            start_time=start,
            end_time=end,
            parent=parent.identifier,
        ),
        start_time=start,
        end_time=end,
        parent_identifier=parent.identifier,
    )


@dataclass
class Storage:
    """The IO manager as Dagster calls it, and the rows behind it."""

    manager: PartitionIOManager
    database: Database
    folder: Path

    def write(self, asset: str, value: Any, *, video: str = "vid1") -> None:
        computed = Computed(value=value, fingerprint="made from", data_version="version")
        self.give(asset, computed, video=video)

    def give(self, asset: str, output: object, *, video: str = "vid1") -> None:
        context = dg.build_output_context(asset_key=dg.AssetKey(asset), partition_key=video)
        self.manager.handle_output(context, output)

    def load(self, asset: str, *, video: str = "vid1") -> Any:
        context = dg.build_input_context(asset_key=dg.AssetKey(asset), partition_key=video)
        return self.manager.load_input(context)

    def rows(self, query: str) -> list[Any]:
        with self.database.engine.begin() as connection:
            result = connection.execute(text(query))
            return [tuple(row) for row in result] if result.returns_rows else []

    def everything(self) -> dict[str, list[Any]]:
        return {
            table: self.rows(f"SELECT row_to_json(t)::text AS r FROM {table} t ORDER BY r")  # noqa: S608
            for table in TABLES
        }

    def objects(self) -> dict[str, int]:
        stored = self.folder / "objects"
        return {
            str(path.relative_to(stored)): path.stat().st_mtime_ns
            for path in sorted(stored.rglob("*"))
            if path.is_file()
        }

    def file(self, name: str, content: str = "") -> Path:
        path = self.folder / name
        path.write_text(content or name)
        return path

    def fetched(self, *, video: str = "vid1", **changes: Any) -> FetchedVideo:
        path = self.file(f"{video}.mp4")
        made = FetchedVideo(
            identifier=video,
            source_url=f"/videos/{video} ☃.mp4",
            path=path,
            content_hash=content_hash(path),
            facts=FACTS,
            title="Ein Gespräch",
        )
        return replace(made, **changes)

    def cut(self, *moments: Moment, take: str = "") -> CutClips:
        return CutClips(
            kept=(),
            cut=tuple(
                ClipFile(
                    moment_identifier=moment.identifier,
                    path=self.file(f"{moment.identifier}{take}.mp4"),
                    start_time=moment.start_time - 0.7,
                    end_time=moment.end_time + 1 / 3,
                    padding_left=0.7,
                    padding_right=1 / 3,
                    method="copy",
                    facts=FACTS,
                    fingerprint=hashlib.sha256(take.encode()).hexdigest(),
                )
                for moment in moments
            ),
        )

    def pictures(self, *moments: Moment, own: bool = True) -> MadeThumbnails:
        of = [None] * own + [moment.identifier for moment in moments]
        return MadeThumbnails(
            kept=(),
            made=tuple(
                ThumbnailFile(
                    clip_of_moment=identifier,
                    path=self.file(f"{identifier}.jpg"),
                    fingerprint="f" * 64,
                    time_seconds=1.5,
                )
                for identifier in of
            ),
        )

    def write_all(self, *roots: Moment, video: str = "vid1") -> None:
        self.write("video", self.fetched(video=video), video=video)
        self.write("transcript", TRANSCRIPT, video=video)
        self.write("generation_config", CONFIGS, video=video)
        self.write("moments", Moments(moments=roots), video=video)
        children = tuple(refined(moment, video=video) for moment in roots)
        self.write("refined_moments", Moments(moments=children), video=video)
        self.write("clips", self.cut(*roots), video=video)
        self.write("thumbnails", self.pictures(*roots), video=video)


@pytest.fixture
def storage(database_url: str, tmp_path: Path) -> Iterator[Storage]:
    database = DatabaseResource(url=database_url)
    manager = PartitionIOManager(
        database=database, object_store=ObjectStoreResource(root=f"file://{tmp_path}/objects")
    )
    (tmp_path / "objects").mkdir()
    yield Storage(manager=manager, database=database.database, folder=tmp_path)
    database.database.dispose()


def test_storing_everything_twice_leaves_the_same_rows_ids_and_objects(storage: Storage) -> None:
    storage.write_all(root(0), root(20))
    rows, objects = storage.everything(), storage.objects()
    assert all(rows.values())

    storage.write_all(root(0), root(20))
    assert storage.everything() == rows
    assert storage.objects() == objects


def test_what_is_read_back_equals_what_was_stored(storage: Storage) -> None:
    roots = (root(0, title="Grüße 👋"), root(20))
    children = tuple(refined(moment) for moment in roots)
    storage.write_all(*roots)

    stored = storage.load("video")
    fetched = storage.fetched()
    assert (stored.facts, stored.title, stored.source_url, stored.content_hash) == (
        FACTS,
        fetched.title,
        fetched.source_url,
        fetched.content_hash,
    )
    assert Path(stored.cloud_url.removeprefix("file://")).read_text() == "vid1.mp4"
    assert storage.load("transcript") == TRANSCRIPT
    assert storage.load("generation_config") == CONFIGS
    assert storage.load("moments").moments == roots
    assert storage.load("refined_moments").moments == children
    clips = storage.load("clips").clips
    assert [clip.moment_identifier for clip in clips] == [one.identifier for one in roots]
    for clip, made in zip(clips, storage.cut(*roots).cut, strict=True):
        assert clip == Clip(
            moment_identifier=made.moment_identifier,
            cloud_url=clip.cloud_url,
            start_time=made.start_time,
            end_time=made.end_time,
            padding_left=made.padding_left,
            padding_right=made.padding_right,
            file_size_kb=2,
            format="mp4",
            video_codec="h264",
            audio_codec="aac",
            resolution="1080x1920",
            fingerprint=made.fingerprint,
            method="copy",
        )
        assert content_hash(Path(clip.cloud_url.removeprefix("file://"))) == content_hash(made.path)
    pictures = storage.load("thumbnails").thumbnails
    assert [one.clip_of_moment for one in pictures] == [None, *(one.identifier for one in roots)]
    assert pictures[0] == Thumbnail(
        clip_of_moment=None,
        cloud_url=pictures[0].cloud_url,
        file_size_kb=1,
        fingerprint="f" * 64,
    )


def test_an_empty_transcript_and_no_moments_are_results(storage: Storage) -> None:
    storage.write("video", storage.fetched())
    storage.write("transcript", EMPTY_TRANSCRIPT)
    storage.write("generation_config", CONFIGS)
    nothing = Moments(moments=(), why_fewer="There is no speech.")
    context = Computed(
        value=nothing,
        fingerprint="f",
        data_version="v",
        details={"why_fewer": nothing.why_fewer},
    )
    storage.give("moments", context)

    assert storage.load("transcript") == EMPTY_TRANSCRIPT
    assert storage.load("moments") == nothing
    assert storage.rows(
        "SELECT full_text, word_timestamps::text, segment_timestamps::text FROM transcripts"
    ) == [("", "[]", "[]")]


def test_other_moments_are_written_as_a_difference(storage: Storage) -> None:
    kept, gone, new = root(0), root(20), root(40)
    storage.write_all(kept, gone)
    of_kept = (
        "SELECT m.id, m.created_at, c.id, t.id FROM moments m JOIN clips c ON c.moment_id = m.id "
        "JOIN thumbnails t ON t.clip_id = c.id WHERE m.start_time = 0"
    )
    before = storage.rows(of_kept)

    storage.write("moments", Moments(moments=(replace(kept, title="Renamed"), new)))
    assert storage.rows(of_kept) == before
    assert [moment.title for moment in storage.load("moments").moments] == ["Renamed", new.title]
    assert storage.load("refined_moments").moments == (refined(kept),)
    assert [one.moment_identifier for one in storage.load("clips").clips] == [kept.identifier]
    assert len(storage.load("thumbnails").thumbnails) == 2
    assert storage.rows("SELECT 1 FROM moments WHERE is_refined AND parent_id IS NULL") == []


def test_a_refined_moment_whose_root_is_gone_is_refused(storage: Storage) -> None:
    storage.write_all(root(0))
    rows = storage.everything()

    with pytest.raises(dg.Failure, match="'moments' has no stored result"):
        storage.write("refined_moments", Moments(moments=(refined(root(0)), refined(root(60)))))
    assert storage.everything() == rows


def test_a_clip_or_picture_of_something_that_is_gone_is_refused(storage: Storage) -> None:
    storage.write_all(root(0))
    with pytest.raises(dg.Failure, match="'moments' has no stored result"):
        storage.write("clips", storage.cut(root(60)))
    with pytest.raises(dg.Failure, match="'clips' has no stored result"):
        storage.write("thumbnails", storage.pictures(root(60), own=False))


def test_another_transcript_takes_the_place_of_the_old_and_its_configs_follow(
    storage: Storage,
) -> None:
    storage.write_all(root(0))
    [(old,)] = storage.rows("SELECT id FROM transcripts")
    storage.write("transcript", EMPTY_TRANSCRIPT)

    [(new,)] = storage.rows("SELECT id FROM transcripts")
    assert new != old
    assert storage.rows("SELECT DISTINCT transcript_id FROM generation_configs") == [(new,)]
    assert storage.load("moments").moments == (root(0),)


def test_a_transcript_that_cannot_be_stored_leaves_the_old_one(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.write_all(root(0))
    rows = storage.everything()
    monkeypatch.setattr(STORAGES["transcript"], "version", _fails)

    with pytest.raises(ResultMissing):
        STORAGES["transcript"].version(TRANSCRIPT)
    with pytest.raises(dg.Failure, match="on purpose"):
        storage.write("transcript", EMPTY_TRANSCRIPT)
    assert storage.everything() == rows


def _fails(*_arguments: object, **_options: object) -> Any:
    raise ResultMissing("it failed on purpose")


def test_a_config_that_three_videos_share_survives_another_transcript_of_one(
    storage: Storage,
) -> None:
    for video in ("a", "b", "c"):
        storage.write_all(root(0, video=video), video=video)
    configs = storage.rows("SELECT id, config_hash FROM generation_configs ORDER BY id")
    assert len(configs) == 2

    for video in ("a", "b", "c"):
        storage.write("transcript", EMPTY_TRANSCRIPT, video=video)
        assert storage.rows("SELECT id, config_hash FROM generation_configs ORDER BY id") == configs
        for other in ("a", "b", "c"):
            assert storage.load("moments", video=other).moments == (root(0, video=other),)
            assert storage.load("generation_config", video=other) == CONFIGS
    assert storage.rows("SELECT count(*) FROM transcripts") == [(3,)]
    assert storage.rows("SELECT 1 FROM generation_configs WHERE transcript_id IS NULL") == []


def test_a_replaced_clip_takes_its_thumbnail_along(storage: Storage) -> None:
    storage.write_all(root(0), root(20))
    before = {one.moment_identifier: one for one in storage.load("clips").clips}

    storage.write("clips", storage.cut(root(0), take="again"))
    after = {one.moment_identifier: one for one in storage.load("clips").clips}
    assert after[root(0).identifier] != before[root(0).identifier]
    assert after[root(20).identifier] == before[root(20).identifier]
    assert [one.clip_of_moment for one in storage.load("thumbnails").thumbnails] == [
        None,
        root(20).identifier,
    ]


def test_a_failure_between_upload_and_row_leaves_an_object_and_no_row(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.write_all(root(0))
    rows, objects = storage.everything(), set(storage.objects())
    monkeypatch.setattr(STORAGES["clips"], "write", _fails)

    with pytest.raises(dg.Failure, match="on purpose"):
        storage.write("clips", storage.cut(root(0), take="again"))
    assert storage.everything() == rows
    [orphan] = set(storage.objects()) - objects
    assert orphan.startswith(f"clips/vid1/{root(0).identifier}-")


def test_a_failure_while_objects_are_stored_leaves_no_row(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(STORAGES["video"], "files", _fails)
    with pytest.raises(dg.Failure):
        storage.write("video", storage.fetched())
    assert not any(storage.everything().values())


@pytest.mark.parametrize("asset", list(STORAGES))
def test_a_partition_that_was_never_materialised_fails_for_good_and_says_what_to_do(
    storage: Storage, asset: str
) -> None:
    if asset != "video":
        storage.write("video", storage.fetched())
    with pytest.raises(dg.Failure) as failed:
        storage.load(asset)
    message = str(failed.value.description)
    assert "'vid1'" in message
    assert f"the asset '{asset}' has no stored result" in message
    assert f"Materialise '{asset}' for this partition" in message
    assert failed.value.allow_retries is False


@pytest.mark.parametrize("asset", ["transcript", "generation_config", "moments"])
def test_storing_something_of_a_video_that_is_not_stored_names_the_video(
    storage: Storage, asset: str
) -> None:
    values = {"transcript": TRANSCRIPT, "generation_config": CONFIGS, "moments": Moments(())}
    with pytest.raises(dg.Failure, match="the asset 'video' has no stored result") as failed:
        storage.write(asset, values[asset], video="ghost")
    assert failed.value.allow_retries is False
    assert not any(storage.everything().values())


def test_an_object_that_is_gone_fails_and_names_the_asset_to_materialise(storage: Storage) -> None:
    storage.write_all(root(0))
    url = storage.load("clips").clips[0].cloud_url
    Path(url.removeprefix("file://")).unlink()
    with pytest.raises(dg.Failure, match="Materialise 'clips'") as failed:
        storage.load("clips")
    assert url in str(failed.value.description)
    assert failed.value.allow_retries is False


def test_videos_whose_identifiers_begin_alike_do_not_see_each_other(storage: Storage) -> None:
    storage.write_all(root(0, video="vid10"), video="vid10")
    rows = storage.everything()
    for asset in STORAGES:
        with pytest.raises(dg.Failure, match="has no stored result"):
            storage.load(asset, video="vid1")

    storage.write_all(root(0), root(20), video="vid1")
    storage.write("moments", Moments(moments=()), video="vid1")
    assert storage.load("moments", video="vid10").moments == (root(0, video="vid10"),)
    kept = {table: set(rows[table]) for table in ("moments", "clips", "thumbnails")}
    after = storage.everything()
    assert all(kept[table] <= set(after[table]) for table in kept)


def test_nothing_changed_writes_nothing(storage: Storage) -> None:
    storage.give("video", Unchanged())
    assert not any(storage.everything().values())
    assert storage.objects() == {}


def test_an_asset_must_say_whether_it_computed(storage: Storage) -> None:
    with pytest.raises(dg.DagsterInvariantViolationError, match="Computed or Unchanged"):
        storage.give("video", storage.fetched())


def test_eight_threads_that_store_moments_of_one_video_leave_the_set_of_one_of_them(
    storage: Storage,
) -> None:
    # Nothing stored: deleting one and the same row would make them wait for each other.
    storage.write_all()
    sets = [tuple(root(10.0 * k) for k in range(n, n + 4)) for n in range(8)]
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
            target=job, args=(lambda mine=mine: storage.write("moments", Moments(mine)),)
        )
        for mine in sets
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert problems == []
    assert storage.load("moments").moments in sets


def test_a_second_writer_of_one_video_waits_and_sees_what_the_first_wrote(
    storage: Storage,
) -> None:
    storage.write_all()
    writer = threading.Thread(
        target=storage.write, args=("moments", Moments(moments=(root(0),))), daemon=True
    )
    with storage.database.transaction() as other:
        first = Moments(moments=(root(20),))
        STORAGES["moments"].write(other, MOMENTS.partition("vid1"), first, {})
        writer.start()
        writer.join(0.5)
        assert writer.is_alive()
        assert storage.load("moments").moments == ()
    writer.join(30)
    assert storage.load("moments").moments == (root(0),)


def test_eight_threads_that_store_one_config_for_eight_videos_share_its_rows(
    storage: Storage,
) -> None:
    videos = [f"v{n}" for n in range(8)]
    for video in videos:
        storage.write("video", storage.fetched(video=video), video=video)
    problems: list[BaseException] = []

    def job(video: str) -> None:
        try:
            storage.write("generation_config", CONFIGS, video=video)
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
    storage.write_all()
    storage.write("video", storage.fetched(title="ü" * 501))
    storage.write("moments", Moments(moments=(root(0, title="ü" * 900),)))
    for title in (storage.load("video").title, storage.load("moments").moments[0].title):
        assert len(title) == 500
        assert title.startswith("ü" * 499)


def test_a_title_with_a_nul_character_is_stored(storage: Storage) -> None:
    storage.write("video", storage.fetched(title="a\0b"))
    assert storage.load("video").title == "a\N{REPLACEMENT CHARACTER}b"


def test_a_codec_name_is_cut_to_its_column(storage: Storage) -> None:
    assert FACTS.audio is not None
    facts = replace(FACTS, audio=replace(FACTS.audio, codec="x" * 60))
    storage.write("video", storage.fetched(facts=facts))
    assert storage.rows("SELECT length(audio_codec) FROM videos") == [(50,)]
    assert storage.load("video").facts == facts


@pytest.mark.parametrize("length", [2_000, 2_001, 2_720, 60_000])
def test_a_source_url_of_any_length_is_stored_and_read_back_whole(
    storage: Storage, length: int
) -> None:
    # Random characters: repetitive text is compressed below the limit of the index.
    noise = "".join(hashlib.sha256(b"%d" % n).hexdigest() for n in range(length // 64 + 1))
    url = f"https://example.com/{noise}"[:length]
    storage.write("video", storage.fetched(source_url=url))

    assert storage.load("video").source_url == url
    assert storage.rows("SELECT location FROM pipeline.sources") == [(url,)]
    [(kept,)] = storage.rows("SELECT source_url FROM videos")
    assert (kept == url) == (length <= 2_000)
    assert len(kept.encode()) < 2_100


def test_long_source_urls_with_the_same_beginning_stay_different(storage: Storage) -> None:
    for n in range(2):
        url = f"https://example.com/{'x' * 3_000}{n}"
        storage.write("video", storage.fetched(video=f"v{n}", source_url=url), video=f"v{n}")
    assert len(storage.rows("SELECT DISTINCT source_url FROM videos")) == 2


def test_a_source_from_run_config_is_registered_and_one_that_is_registered_stays(
    storage: Storage,
) -> None:
    storage.write("video", storage.fetched(source_url="/first.mp4", title="First"))
    storage.write("video", storage.fetched(source_url="/second.mp4", title="Second"))
    assert storage.rows("SELECT identifier, location, title FROM pipeline.sources") == [
        ("vid1", "/first.mp4", "First")
    ]
    assert storage.load("video").source_url == "/second.mp4"


def test_a_source_that_changed_since_it_was_hashed_is_not_stored_under_the_old_hash(
    storage: Storage,
) -> None:
    fetched = storage.fetched()
    fetched.path.write_text("other bytes")
    with pytest.raises(dg.Failure) as failed:
        storage.write("video", fetched)
    assert failed.value.allow_retries is SourceUnavailable.retryable
    assert storage.objects() == {}
    assert not any(storage.everything().values())
