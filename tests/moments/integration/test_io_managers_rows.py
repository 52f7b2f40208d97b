"""What assets hand over comes back as it was, and the same again changes nothing."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stored_records import FACTS, SILENCE, STORAGES, TRANSCRIPT, Storage, configs, moment, refined

from videomoments_dagster.moments.records import CutClips, MadeThumbnails, Moments, Video
from videomoments_dagster.moments.system import MOMENTS
from videomoments_dagster.speech.transcripts import Segment, Transcript, Word

SECONDS = st.floats(0, 100_000, allow_nan=False)
# Everything that PostgreSQL can keep.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)


def test_everything_reads_back_as_it_was_written(storage: Storage) -> None:
    fetched = storage.video("talk")
    moments = storage.store_everything("talk", 5, 25.25)

    assert storage.load("video", "talk") == Video(
        identifier="talk",
        source_url=fetched.source_url,
        cloud_url=f"file://{storage.folder}/objects/videos/talk/{fetched.content_hash}.mp4",
        content_hash=fetched.content_hash,
        facts=FACTS,
        title=fetched.title,
    )
    assert storage.load("transcript", "talk") == TRANSCRIPT
    assert storage.load("generation_config", "talk") == configs()
    assert storage.load("moments", "talk") == Moments(moments)
    assert storage.load("refined_moments", "talk") == Moments(
        tuple(refined("talk", root) for root in moments)
    )
    clips = storage.load("clips", "talk").clips
    for clip, shown in zip(clips, moments, strict=True):
        made = storage.cut(shown)
        assert (clip.moment_identifier, clip.fingerprint) == (shown.identifier, made.fingerprint)
        assert (clip.start_time, clip.end_time) == (made.start_time, made.end_time)
        assert (clip.padding_left, clip.padding_right) == (1.0, 1.0)
        assert (clip.file_size_kb, clip.format, clip.resolution) == (2, "mp4", "1080x1920")
        assert (clip.video_codec, clip.audio_codec) == ("h264", "aac")
    thumbnails = storage.load("thumbnails", "talk").thumbnails
    assert [thumbnail.clip_of_moment for thumbnail in thumbnails] == [
        None,
        *(shown.identifier for shown in moments),
    ]
    assert [t.fingerprint for t in thumbnails] == [storage.picture(None).fingerprint] * 3


def test_an_audio_file_has_no_picture_columns(storage: Storage) -> None:
    facts = replace(FACTS, video=None, subtitles=(), ignore_edit_list=False)
    storage.store("video", "song", storage.video("song", facts=facts, title=None))
    assert storage.load("video", "song").facts == facts
    assert storage.rows("SELECT title, video_codec, resolution, frame_rate FROM videos") == [
        (None, None, None, None)
    ]


def test_no_speech_reads_back_as_no_speech(storage: Storage) -> None:
    storage.store("video", "rain", storage.video("rain"))
    storage.store("transcript", "rain", SILENCE)
    storage.store("generation_config", "rain", configs())
    storage.store("moments", "rain", Moments((), why_fewer="There is no speech"))
    assert storage.load("transcript", "rain") == SILENCE
    assert storage.load("moments", "rain") == Moments((), why_fewer="There is no speech")


def test_writing_the_same_twice_leaves_every_row_and_object_as_it_was(storage: Storage) -> None:
    storage.store_everything("talk", 5, 25)
    rows, objects = storage.asset_rows(), storage.objects()
    assert all(rows[table] for table in rows)

    storage.store_everything("talk", 5, 25)
    assert storage.asset_rows() == rows
    assert storage.objects() == objects


def test_videos_whose_identifiers_begin_alike_do_not_see_each_other(storage: Storage) -> None:
    storage.store_everything("vid1", 5)
    storage.store_everything("vid10", 5, 25)
    rows, objects = storage.asset_rows(), storage.objects()

    storage.store("moments", "vid1", Moments(()))
    assert storage.load("clips", "vid1").clips == ()
    assert len(storage.load("thumbnails", "vid1").thumbnails) == 1
    assert len(storage.load("moments", "vid10").moments) == 2
    assert len(storage.load("clips", "vid10").clips) == 2
    assert len(storage.load("thumbnails", "vid10").thumbnails) == 3
    storage.store_everything("vid10", 5, 25)
    assert storage.objects() == objects
    assert set(storage.asset_rows()["moments"]) < set(rows["moments"])


def test_a_video_that_changed_keeps_its_row_and_what_hangs_on_it(storage: Storage) -> None:
    storage.store_everything("talk", 5)
    before = storage.rows("SELECT id, created_at FROM videos")
    path = storage.file("other bytes")
    content_hash = hashlib.sha256(path.read_bytes()).hexdigest()
    storage.store(
        "video", "talk", storage.video("talk", path=path, content_hash=content_hash, title="New")
    )

    assert storage.rows("SELECT id, created_at FROM videos") == before
    assert storage.load("video", "talk").content_hash == content_hash
    assert storage.load("video", "talk").title == "New"
    assert len(storage.load("moments", "talk").moments) == 1


# --- moments are written as a difference


def test_new_moments_are_inserted_the_same_stay_and_the_gone_are_deleted(storage: Storage) -> None:
    first, second = storage.store_everything("talk", 5, 25)
    kept = "SELECT row_to_json(t)::text FROM {} t WHERE {} = :id"
    moment_id = storage.one("SELECT id FROM moments WHERE identifier = :i", i=second.identifier)
    clip_id = storage.one("SELECT id FROM clips WHERE moment_id = :id", id=moment_id)
    queries = [
        (kept.format("moments", "id"), moment_id),
        (kept.format("moments", "parent_id"), moment_id),
        (kept.format("clips", "id"), clip_id),
        (kept.format("thumbnails", "clip_id"), clip_id),
    ]
    before = [storage.rows(query, id=identity) for query, identity in queries]
    assert all(before)

    third = moment("talk", 45, 55)
    storage.store("moments", "talk", Moments((second, third)))

    assert [storage.rows(query, id=identity) for query, identity in queries] == before
    assert storage.load("moments", "talk") == Moments((second, third))
    assert [m.parent_identifier for m in storage.load("refined_moments", "talk").moments] == [
        second.identifier
    ]
    assert [c.moment_identifier for c in storage.load("clips", "talk").clips] == [second.identifier]
    assert first.identifier not in str(storage.asset_rows()["moments"])


def test_a_better_title_or_score_changes_the_row_and_when_it_was_changed(storage: Storage) -> None:
    [root] = storage.store_until_moments("talk", 5)
    times = "SELECT id, created_at, updated_at FROM moments"
    [(identity, created, updated)] = storage.rows(times)
    later = replace(root, scored_at=root.scored_at.replace(year=2027))  # type: ignore[union-attr]

    storage.store("moments", "talk", Moments((root,)))
    assert storage.rows(times) == [(identity, created, updated)]
    storage.store("moments", "talk", Moments((later,)))
    assert storage.load("moments", "talk").moments == (later,)

    storage.store("moments", "talk", Moments((replace(later, score=3),)))
    [(same_id, same_creation, newer)] = storage.rows(times)
    assert (same_id, same_creation) == (identity, created)
    assert newer > updated
    assert storage.load("moments", "talk").moments == (replace(later, score=3),)

    storage.store("moments", "talk", Moments((replace(later, score=3, title="Better"),)))
    [(_, _, newest)] = storage.rows(times)
    assert newest > newer
    assert storage.one("SELECT title FROM moments") == "Better"


def test_a_refined_moment_finds_its_root_again_after_somebody_deleted_that(
    storage: Storage,
) -> None:
    [root] = storage.store_everything("talk", 5)
    storage.rows("DELETE FROM moments WHERE NOT is_refined")
    assert storage.load("refined_moments", "talk").moments[0].parent_identifier is None

    storage.store("moments", "talk", Moments((root,)))
    storage.store("refined_moments", "talk", Moments((refined("talk", root),)))
    assert storage.load("refined_moments", "talk").moments == (refined("talk", root),)


# --- clips and thumbnails


def test_a_clip_that_was_cut_otherwise_takes_its_thumbnail_with_it_and_no_other(
    storage: Storage,
) -> None:
    first, second = storage.store_everything("talk", 5, 25)
    clip_ids = dict(
        storage.rows("SELECT m.identifier, c.id FROM clips c JOIN moments m ON m.id = c.moment_id")
    )
    storage.store(
        "clips", "talk", CutClips(kept=(), cut=(storage.cut(first, content="again", padding=2.0),))
    )

    owners = [t.clip_of_moment for t in storage.load("thumbnails", "talk").thumbnails]
    assert owners == [None, second.identifier]
    after = dict(
        storage.rows("SELECT m.identifier, c.id FROM clips c JOIN moments m ON m.id = c.moment_id")
    )
    assert after[second.identifier] == clip_ids[second.identifier]
    assert after[first.identifier] != clip_ids[first.identifier]


def test_a_picture_made_again_replaces_only_its_own(storage: Storage) -> None:
    [root] = storage.store_everything("talk", 5)
    ids = dict(storage.rows("SELECT clip_id, id FROM thumbnails"))
    kept = storage.load("thumbnails", "talk").thumbnails[:1]
    new = storage.picture(root, content="sharper")
    storage.store("thumbnails", "talk", MadeThumbnails(kept=kept, made=(new,)))

    after = dict(storage.rows("SELECT clip_id, id FROM thumbnails"))
    assert after[None] == ids[None]
    assert after.keys() == ids.keys()
    assert after != ids


def test_a_source_that_lost_its_picture_loses_its_thumbnail(storage: Storage) -> None:
    storage.store_everything("talk", 5)
    storage.store("clips", "talk", CutClips(kept=(), cut=()))
    storage.rows("DELETE FROM clips")
    storage.store("thumbnails", "talk", MadeThumbnails(kept=(), made=()))
    assert storage.load("thumbnails", "talk").thumbnails == ()


# --- texts that are too long or cannot be kept


@pytest.mark.parametrize("location", ["https://films.example/talk.mp4?token=", "/films/ü/"])
def test_a_source_longer_than_an_index_entry_is_stored_and_read_back_whole(
    storage: Storage, location: str
) -> None:
    # Hexadecimal digits that do not repeat: PostgreSQL would compress anything that does.
    signature = "".join(hashlib.sha512(str(n).encode()).hexdigest() for n in range(60))
    other = location + signature[:-1] + "!"
    location += signature
    storage.store("video", "talk", storage.video("talk", source_url=location))
    storage.store("video", "other", storage.video("other", source_url=other))

    assert storage.load("video", "talk").source_url == location
    stored, of_other = (
        storage.one("SELECT source_url FROM videos WHERE identifier = :i", i=identifier)
        for identifier in ("talk", "other")
    )
    assert len(stored.encode()) < 2200
    assert location.startswith(stored.partition("…")[0])
    assert stored.endswith(f"…sha256:{hashlib.sha256(location.encode()).hexdigest()}")
    assert stored != of_other
    locations = "SELECT location FROM pipeline.sources WHERE identifier = 'talk'"
    assert storage.one(locations) == location


def test_titles_and_codec_names_are_cut_to_their_columns(storage: Storage) -> None:
    assert FACTS.video is not None
    facts = replace(FACTS, video=replace(FACTS.video, codec="x" * 80))
    storage.store("video", "talk", storage.video("talk", title="ü" * 900, facts=facts))
    assert storage.rows("SELECT title, video_codec FROM videos") == [
        ("ü" * 499 + "…", "x" * 49 + "…")
    ]
    storage.store("transcript", "talk", TRANSCRIPT)
    storage.store("generation_config", "talk", configs())
    storage.store("moments", "talk", Moments((moment("talk", 5, 15, title="多" * 501),)))
    assert storage.load("moments", "talk").moments[0].title == "多" * 499 + "…"


def test_text_that_postgresql_cannot_keep_is_replaced_and_the_rest_kept(storage: Storage) -> None:
    storage.store("video", "talk", storage.video("talk", title="a\0b\ud800c"))
    assert storage.load("video", "talk").title == "a\ufffdb\ufffdc"
    storage.store(
        "transcript",
        "talk",
        replace(
            TRANSCRIPT,
            full_text="a\0b",
            words=(Word("a\0b", 0, 1),),
            segments=(Segment("a\0b", 0, 1),),
        ),
    )
    read = storage.load("transcript", "talk")
    assert {read.full_text, read.words[0].text, read.segments[0].text} == {"a\ufffdb"}


# --- run config's source is registered


def test_a_source_from_run_config_is_registered_and_a_registered_one_is_left(
    storage: Storage,
) -> None:
    storage.store("video", "talk", storage.video("talk"))
    query = "SELECT location, title FROM pipeline.sources"
    assert storage.rows(query) == [("/films/talk.mp4", "Film “talk”")]
    storage.store("video", "talk", storage.video("talk", source_url="/elsewhere.mp4", title="B"))
    assert storage.rows(query) == [("/films/talk.mp4", "Film “talk”")]
    assert storage.load("video", "talk").source_url == "/elsewhere.mp4"


# --- whatever the values are


@st.composite
def transcripts(draw: Any) -> Transcript:
    times = sorted(draw(st.lists(SECONDS, min_size=0, max_size=12)))
    texts = draw(st.lists(TEXTS, min_size=len(times), max_size=len(times)))
    words = tuple(
        Word(text, start, end)
        for text, start, end in zip(texts, times[:-1], times[1:], strict=False)
    )
    return Transcript(
        full_text=" ".join(texts),
        words=words,
        segments=tuple(Segment(word.text, word.start, word.end) for word in words),
        language=draw(st.sampled_from(["en", "de", "zh-Hant", ""])),
        transcription_service=draw(TEXTS),
        processing_time_seconds=draw(SECONDS),
    )


@given(transcript=transcripts())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_transcript_reads_back(storage: Storage, transcript: Transcript) -> None:
    storage.store("video", "talk", storage.video("talk"))
    # One that says the same would stay, with the time that it took to make.
    storage.store("transcript", "talk", replace(transcript, language="another"))
    storage.store("transcript", "talk", transcript)
    assert storage.load("transcript", "talk") == transcript


@given(
    spans=st.lists(
        st.tuples(st.integers(0, 100_000_000), st.integers(1, 600_000)), unique=True, max_size=8
    ),
    title=TEXTS,
    score=st.none() | st.integers(0, 10),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_moments_read_back_and_replace_those_before(
    storage: Storage, spans: list[tuple[int, int]], title: str, score: int | None
) -> None:
    video = f"v{uuid.uuid4().hex[:4]}" if not spans else "talk"
    storage.store("video", video, storage.video(video))
    storage.store("transcript", video, SILENCE)
    storage.store("generation_config", video, configs())
    made = [
        moment(video, begin / 1000, (begin + length) / 1000, title=title, score=score)
        for begin, length in spans
    ]
    made.sort(key=lambda one: (one.start_time, one.end_time, one.identifier))
    storage.store("moments", video, Moments(tuple(made)))
    read = storage.load("moments", video).moments
    assert [(m.identifier, m.start_time, m.end_time, m.title, m.score) for m in read] == [
        (m.identifier, m.start_time, m.end_time, m.title, m.score) for m in made
    ]
    with storage.database.transaction() as session:
        partition = MOMENTS.partition(video)
        said = STORAGES["moments"].write(session, partition, Moments(tuple(reversed(made))), {})
    assert said == storage.load("moments", video)
