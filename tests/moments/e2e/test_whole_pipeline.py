"""Whole runs on real media, with a real database and a real object store."""

from __future__ import annotations

import itertools
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from media_samples import MediaSamples
from pipeline import ASSETS, SENTENCES, TALK_SECONDS, Pipeline, talk_captions

from videomoments_dagster.base.failures import IdentifierRejected, MediaFailed, SourceRejected
from videomoments_dagster.media import clip_cutting
from videomoments_dagster.media.clip_plan import ClipRequest
from videomoments_dagster.moments.assets import thumbnails
from videomoments_dagster.moments.history.recording import CONFIG_TAG
from videomoments_dagster.speech.engine import TranscriptionRequest, transcript_from
from videomoments_dagster.speech.engines import PocketsphinxEngine
from videomoments_dagster.speech.transcripts import Segment, Transcript

ALL_ASSETS = set(ASSETS)


def test_a_talk_becomes_moments_clips_and_thumbnails(pipeline: Pipeline, talk: str) -> None:
    outcome = pipeline.run(talk)

    assert outcome.row.status == "completed", outcome.row.error_message
    [(duration, resolution, video_codec, audio_codec)] = pipeline.rows(
        "SELECT duration_seconds, resolution, video_codec, audio_codec FROM videos"
    )
    assert duration == pytest.approx(TALK_SECONDS, abs=0.1)
    assert (resolution, video_codec, audio_codec) == ("320x180", "h264", "aac")
    [(service, words)] = pipeline.rows(
        "SELECT transcription_service, number_of_words FROM transcripts"
    )
    assert service == "captions"
    assert words > 200
    roots = pipeline.rows(
        "SELECT start_time, end_time, score, identifier FROM moments WHERE NOT is_refined "
        "ORDER BY start_time"
    )
    assert 3 <= len(roots) <= 4
    for (start, end, score, _), (following, *_) in itertools.pairwise(roots):
        assert 6 <= end - start <= 15
        assert end <= following
        assert 0 <= score <= 10
    refined = pipeline.rows(
        "SELECT r.start_time - m.start_time, r.end_time - m.end_time, c.operation_type "
        "FROM moments r JOIN moments m ON m.id = r.parent_id "
        "JOIN generation_configs c ON c.id = r.generation_config_id WHERE r.is_refined"
    )
    assert len(refined) == len(roots)
    assert all(max(abs(left), abs(right)) <= 5 for left, right, _ in refined)
    assert {kind for *_, kind in refined} == {"refinement"}
    clips = pipeline.rows(
        "SELECT c.start_time, c.end_time, m.start_time - c.padding_left, "
        "m.end_time + c.padding_right, c.cloud_url FROM clips c "
        "JOIN moments m ON m.id = c.moment_id"
    )
    assert len(clips) == len(roots)
    for start, end, padded_start, padded_end, url in clips:
        assert (start, end) == pytest.approx((padded_start, padded_end))
        assert Path(url.removeprefix("file://")).is_file()
    assert len(pipeline.rows("SELECT 1 FROM thumbnails WHERE video_id IS NOT NULL")) == 1
    assert len(pipeline.rows("SELECT 1 FROM thumbnails WHERE clip_id IS NOT NULL")) == len(roots)
    [history] = pipeline.rows(
        "SELECT identifier, pipeline_type, status, total_moments_generated, total_clips_created, "
        "error_stage FROM pipeline_history"
    )
    assert history == (outcome.row.identifier, "full", "completed", len(roots), len(roots), None)
    assert pipeline.scratch_is_empty()


def test_running_everything_again_changes_no_row_and_writes_no_object(
    pipeline: Pipeline, talk: str
) -> None:
    pipeline.run(talk)
    rows, objects = pipeline.asset_rows(), pipeline.objects()

    for job in ("full", "moments_only", "clips_only"):
        assert pipeline.run(talk, job).row.status == "completed"
        assert all(pipeline.last.unchanged.values()), job
    assert pipeline.asset_rows() == rows
    assert pipeline.objects() == objects


def test_forcing_a_run_leaves_the_same_moments_clips_and_objects(
    pipeline: Pipeline, talk: str
) -> None:
    pipeline.run(talk)
    query = "SELECT id, identifier, title, score FROM moments ORDER BY id"
    moments, objects = pipeline.rows(query), set(pipeline.objects())

    assert pipeline.run(talk, force=True).row.status == "completed"
    assert not any(pipeline.last.unchanged.values())
    assert pipeline.rows(query) == moments
    assert set(pipeline.objects()) == objects


def test_a_deleted_clip_is_cut_again_and_no_other(pipeline: Pipeline, talk: str) -> None:
    pipeline.run(talk)
    [(gone, _url), *others] = pipeline.rows("SELECT moment_id, cloud_url FROM clips ORDER BY id")
    ids = dict(pipeline.rows("SELECT moment_id, id FROM clips"))
    pipeline.rows("DELETE FROM clips WHERE moment_id = :moment", moment=gone)

    assert pipeline.run(talk, "clips_only").row.status == "completed"
    after = dict(pipeline.rows("SELECT moment_id, id FROM clips"))
    assert set(after) == set(ids)
    assert {moment for moment in ids if after[moment] != ids[moment]} == {gone}
    assert "Cut 1 of 1 clips" in "\n".join(pipeline.last.said)
    assert len(pipeline.rows("SELECT 1 FROM thumbnails")) == len(others) + 2


def test_a_clip_whose_object_is_gone_is_cut_again(pipeline: Pipeline, talk: str) -> None:
    pipeline.run(talk)
    [(url,), *_] = pipeline.rows("SELECT cloud_url FROM clips ORDER BY id")
    Path(url.removeprefix("file://")).unlink()

    assert pipeline.run(talk, "clips_only").row.status == "completed"
    assert "Cut 1 of 1 clips" in "\n".join(pipeline.last.said)
    assert Path(url.removeprefix("file://")).is_file()


def test_another_profile_replaces_the_moments_and_their_clips(
    pipeline: Pipeline, talk: str
) -> None:
    pipeline.run(talk)
    before = set(pipeline.rows("SELECT identifier FROM moments"))

    assert pipeline.run(talk, "moments_only", profile="short").row.status == "completed"
    after = pipeline.rows("SELECT identifier, end_time - start_time FROM moments")
    assert not before & {(identifier,) for identifier, _ in after}
    assert all(length <= 9 for _, length in after)
    assert pipeline.rows("SELECT 1 FROM clips") == []
    assert pipeline.run(talk, "clips_only").row.status == "completed"
    assert len(pipeline.rows("SELECT 1 FROM clips")) == len(after) / 2


def test_one_clip_that_cannot_be_cut_makes_the_run_partial_and_the_next_cuts_only_it(
    pipeline: Pipeline, talk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = clip_cutting.cut_clip
    calls: list[float] = []

    def fails_once(request: ClipRequest, **options: object) -> object:
        calls.append(request.start_time)
        if len(calls) == 1:
            raise clip_cutting.MediaFailed("the disk said no")
        return real(request, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(clip_cutting, "cut_clip", fails_once)
    outcome = pipeline.run(talk)
    assert outcome.row.status == "partial"
    assert "the disk said no" in "\n".join(pipeline.last.said)
    [(status, stage)] = pipeline.rows("SELECT status, error_stage FROM pipeline_history")
    assert (status, stage) == ("partial", "clips")
    stored = len(pipeline.rows("SELECT 1 FROM clips"))
    assert stored == len(calls) - 1
    assert stored == len(pipeline.rows("SELECT 1 FROM thumbnails WHERE clip_id IS NOT NULL"))

    calls.append(0)
    assert pipeline.run(talk, "clips_only").row.status == "completed"
    assert len(pipeline.rows("SELECT 1 FROM clips")) == stored + 1


def test_one_thumbnail_that_cannot_be_made_makes_the_run_partial_and_the_next_makes_only_it(
    pipeline: Pipeline, talk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = thumbnails.make_thumbnail
    made: list[Path] = []

    def fails_for_the_first_clip(media: Path, *given: Any, **options: Any) -> object:
        made.append(media)
        if "clips" in media.parts and sum("clips" in one.parts for one in made) == 1:
            raise MediaFailed("no frame of it decodes")
        return real(media, *given, **options)

    monkeypatch.setattr(thumbnails, "make_thumbnail", fails_for_the_first_clip)
    monkeypatch.setattr(thumbnails, "available_cores", lambda: 1)
    outcome = pipeline.run(talk)
    assert outcome.row.status == "partial"
    assert re.search(
        r"no thumbnail of the clip of the moment \w+: no frame of it decodes",
        "\n".join(pipeline.last.said),
    )
    assert pipeline.rows("SELECT error_stage FROM pipeline_history") == [("thumbnails",)]
    assert len(pipeline.rows("SELECT 1 FROM thumbnails")) == len(made) - 1

    count = len(made)
    assert pipeline.run(talk, "clips_only").row.status == "completed"
    assert len(made) == count + 1
    assert len(pipeline.rows("SELECT 1 FROM thumbnails")) == count


def test_a_source_that_is_gone_after_it_was_stored_changes_nothing(
    pipeline: Pipeline, talk_video: Path, tmp_path: Path
) -> None:
    source, captions = tmp_path / "mine.mp4", tmp_path / "mine.srt"
    shutil.copy(talk_video, source)
    captions.write_text(talk_captions())
    video = pipeline.add(source)
    assert pipeline.run(video).row.status == "completed"
    source.unlink()
    captions.unlink()

    assert pipeline.run(video).row.status == "completed"
    assert pipeline.last.unchanged["video"]


def test_the_same_source_is_the_same_video_and_another_of_its_name_gets_a_suffix(
    pipeline: Pipeline, talk_video: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = shutil.copy(talk_video, tmp_path / "other" / talk_video.name)

    assert pipeline.add(talk_video) == pipeline.add(talk_video) == "talk"
    assert pipeline.add(other).startswith("talk-")
    with pytest.raises(IdentifierRejected, match="belongs to another source"):
        pipeline.add(other, identifier="talk")
    assert pipeline.instance.has_dynamic_partition("videos", "talk")


def test_sound_without_speech_is_green_and_says_why_there_is_nothing(
    pipeline: Pipeline, media_samples: MediaSamples, tmp_path: Path
) -> None:
    captions = tmp_path / "none.vtt"
    captions.write_text("WEBVTT\n")
    video = pipeline.add(media_samples.path("h264_gop2.mp4"), captions=str(captions))

    outcome = pipeline.run(video)
    assert outcome.row.status == "completed", outcome.row.error_message
    assert (outcome.row.total_moments_generated, outcome.row.total_clips_created) == (0, 0)
    [(full_text, words, segments)] = pipeline.rows(
        "SELECT full_text, word_timestamps::text, segment_timestamps::text FROM transcripts"
    )
    assert (full_text, words, segments) == ("", "[]", "[]")
    assert "There is no speech" in "\n".join(pipeline.last.said)
    assert pipeline.run(video).row.status == "completed"
    assert all(pipeline.last.unchanged.values())


def test_a_file_without_a_picture_gives_audio_clips_and_no_thumbnails(
    pipeline: Pipeline, talk_video: Path, media_samples: MediaSamples, tmp_path: Path
) -> None:
    sound = tmp_path / "sound.m4a"
    media_samples._make(sound, ["-i", str(talk_video), "-vn", "-c", "copy"])
    captions = tmp_path / "sound.srt"
    captions.write_text(talk_captions())
    video = pipeline.add(sound, captions=str(captions))

    assert pipeline.run(video).row.status == "completed", pipeline.last.failures
    kinds = set(pipeline.rows("SELECT video_codec, audio_codec, format, resolution FROM clips"))
    assert kinds == {(None, "aac", "mp4", None)}
    assert pipeline.rows("SELECT 1 FROM thumbnails") == []
    assert "has no picture" in "\n".join(pipeline.last.said)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("text.mp4", b"This is only a text that somebody renamed.\n" * 50, "text.mp4"),
        ("empty.mp4", b"", "empty"),
        ("noise.mp4", bytes(range(256)) * 64, "noise.mp4"),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence_and_leaves_nothing(
    pipeline: Pipeline, tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    source = tmp_path / name
    source.write_bytes(content)

    with pytest.raises(SourceRejected, match=reason) as refused:
        pipeline.add(source)
    assert "\n" not in str(refused.value)
    assert pipeline.rows("SELECT 1 FROM pipeline.sources") == []
    assert not pipeline.instance.get_dynamic_partitions("videos")


def test_a_source_that_went_bad_fails_the_video_step_once_and_leaves_nothing(
    pipeline: Pipeline, talk_video: Path, tmp_path: Path
) -> None:
    source = tmp_path / "cut-off.mp4"
    shutil.copy(talk_video, source)
    video = pipeline.add(source)
    source.write_bytes(talk_video.read_bytes()[: talk_video.stat().st_size // 2])

    outcome = pipeline.run(video)
    assert outcome.row.status == "failed"
    assert outcome.row.error_stage == "video"
    message = pipeline.last.failures["video"]
    assert "cut-off.mp4" in message
    assert "Traceback" not in message
    assert pipeline.rows("SELECT 1 FROM videos") == []
    assert pipeline.objects() == {}
    assert pipeline.scratch_is_empty()


def test_a_partition_without_a_source_says_how_to_register_one(pipeline: Pipeline) -> None:
    pipeline.instance.add_dynamic_partitions("videos", ["ghost"])
    assert pipeline.run("ghost").row.status == "failed"
    assert "videomoments add SOURCE --identifier ghost" in pipeline.last.failures["video"]


def test_a_missing_transcript_names_the_asset_to_materialise(pipeline: Pipeline, talk: str) -> None:
    pipeline.run(talk)
    pipeline.rows("DELETE FROM transcripts")
    assert pipeline.run(talk, "moments_only").row.status == "failed"
    assert "Materialise 'transcript'" in pipeline.last.failures["moments"]


def test_an_unknown_profile_fails_with_those_that_there_are(pipeline: Pipeline, talk: str) -> None:
    pipeline.run(talk)
    outcome = pipeline.run(talk, "moments_only", profile="loud")
    assert outcome.row.status == "failed"
    assert "default, short" in str(outcome.row.error_message)


def test_what_an_engine_that_is_gone_transcribed_stays_and_the_run_says_what_takes_its_place(
    pipeline: Pipeline, talk: str
) -> None:
    pipeline.run(talk)
    pipeline.rows("UPDATE pipeline.sources SET transcription_engine = 'pocketsphinx'")
    pipeline.rows("UPDATE transcripts SET transcription_service = 'pocketsphinx:en-us'")
    stored = pipeline.rows("SELECT * FROM transcripts")

    outcome = pipeline.run(talk)

    assert outcome.row.status == "failed"
    assert "'pocketsphinx' is gone" in str(outcome.row.error_message)
    assert "videomoments add SOURCE --transcription faster-whisper" in str(
        outcome.row.error_message
    )
    assert pipeline.rows("SELECT * FROM transcripts") == stored


def test_what_an_engine_that_is_gone_transcribed_is_worked_with_as_before(
    pipeline: Pipeline, talk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.rows("UPDATE pipeline.sources SET transcription_engine = 'pocketsphinx'")
    with monkeypatch.context() as before:
        # As the earlier release had it.
        before.setattr(PocketsphinxEngine, "check", lambda _: None)
        before.setattr(PocketsphinxEngine, "transcribe", heard_by_an_engine_of_before)
        assert pipeline.run(talk).row.status == "completed"
    outcome = pipeline.run(talk, job="moments_only", profile="short")
    assert outcome.row.status == "completed"
    assert pipeline.run(talk).row.status == "completed"
    assert pipeline.last.unchanged["transcript"]


def heard_by_an_engine_of_before(
    engine: PocketsphinxEngine, request: TranscriptionRequest, **_: object
) -> Transcript:
    return transcript_from(
        [(Segment(text, 6.0 * at, 6.0 * at + 5), []) for at, text in enumerate(SENTENCES.values())],
        duration=request.facts.duration_seconds,
        language="en",
        service=engine.service,
        processing_time_seconds=1.0,
    )


def test_a_first_run_that_fails_in_transcript_has_its_history_row(
    pipeline: Pipeline, talk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOMOMENTS_WHISPER_MODEL", "nowhere")
    failed = pipeline.run(talk, transcription_engine="faster-whisper")
    assert failed.row.status == "failed"
    assert failed.row.error_stage == "transcript"
    assert pipeline.rows("SELECT status, error_stage FROM pipeline_history") == [
        ("failed", "transcript")
    ]

    pipeline.run(talk)
    [named] = pipeline.rows(
        "SELECT count(*) FROM generation_configs JOIN transcripts t ON t.id = transcript_id"
    )
    assert named == (2,)
    history = pipeline.rows("SELECT identifier, status FROM pipeline_history ORDER BY started_at")
    assert [status for _, status in history] == ["failed", "completed"]
    assert history[0][0] == failed.row.identifier


def test_the_run_is_tagged_with_its_history_row(pipeline: Pipeline, talk: str) -> None:
    outcome = pipeline.run(talk)
    run = pipeline.instance.get_run_by_id(outcome.run_id)
    assert run is not None
    assert run.tags["videomoments/pipeline"] == outcome.row.identifier
    [(hashed,)] = pipeline.rows(
        "SELECT c.config_hash FROM pipeline_history h "
        "JOIN generation_configs c ON c.id = h.generation_config_id"
    )
    assert run.tags[CONFIG_TAG] == hashed


def test_materialisations_carry_data_versions_and_say_whether_anything_changed(
    pipeline: Pipeline, talk: str
) -> None:
    pipeline.run(talk)
    pipeline.run(talk)
    for asset in ALL_ASSETS:
        from dagster import AssetKey

        records = pipeline.instance.fetch_materializations(AssetKey(asset), limit=2).records
        newest, first = (record.asset_materialization for record in records)
        assert newest is not None
        assert first is not None
        assert newest.tags is not None
        assert first.tags is not None
        version = "dagster/data_version"
        assert newest.tags[version] == first.tags[version], asset
        assert newest.metadata["unchanged"].value is True
        assert first.metadata["unchanged"].value is False
