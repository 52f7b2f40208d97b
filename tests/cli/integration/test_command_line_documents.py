"""`list`, `show` and `search` on a real database: what the documents hold, and how they look."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from db import models
from db.session import Database
from videomoments_dagster.base.failures import IdentifierRejected, ResultMissing
from videomoments_dagster.cli import printing
from videomoments_dagster.cli.video_commands import list_document, search_document, show_document
from videomoments_dagster.core.objects.served import ServedObjects
from videomoments_dagster.media.facts import AudioStream, MediaFacts, VideoStream
from videomoments_dagster.moments.exports.json_document import json_text

NOW = datetime(2026, 2, 6, 10, 0, 0, 123456)  # noqa: DTZ001 - as the tables hold it
FACTS = MediaFacts(
    container="mov",
    duration_seconds=3725.5,
    size_bytes=2048 * 1024,
    video=VideoStream(0, "h264", 1280, 720, 0, 29.97, 0.0, 90000),
    audio=AudioStream(1, "aac", 48000, 2, 0.0),
)
SERVED = ServedObjects("file:///objects", "https://ui.example.org/dagster/")
NASTY = "[red]not markup[/red] \x1b[31mnot colour\x07 \u202eturned\nnext line"


def config(digest: str, prompt: models.Prompt, **values: Any) -> models.GenerationConfig:
    return models.GenerationConfig(
        **{
            "prompt": prompt,
            "model": "extractive",
            "operation_type": "generation",
            "config_hash": digest * 64,
            "max_moments": 20,
            **values,
        }
    )


def store_video(
    database: Database, identifier: str, *, moments: int = 2, title: str = "A talk"
) -> None:
    """A video with everything: roots, a refined child each, clips, thumbnails, two runs."""
    with database.transaction() as session:
        video = models.Video(
            identifier=identifier,
            source_url=f"/talks/{identifier}.mp4",
            cloud_url=f"file:///objects/videos/{identifier}/a%20b.mp4",
            title=title,
            duration_seconds=3725.5,
            file_size_kb=2048,
            video_codec="h264",
            audio_codec="aac",
            resolution="1280x720",
            frame_rate=29.97,
            created_at=NOW,
        )
        session.add(video)
        session.flush()
        session.add(models.VideoFile(video_id=video.id, content_hash="0" * 64, facts=asdict(FACTS)))
        transcript = models.Transcript(
            video_id=video.id,
            full_text="Bread needs time. " * 50,
            word_timestamps=[{"word": "Bread", "start": 75.2, "end": 75.3}] * 150,
            segment_timestamps=[{"text": "Bread needs time.", "start": 75.2, "end": 78.0}],
            language="en",
            number_of_words=150,
            number_of_segments=50,
            transcription_service="captions",
            created_at=NOW,
        )
        prompt = models.Prompt(
            user_prompt=identifier, system_prompt="", prompt_hash=identifier.ljust(64, "0")[:64]
        )
        mark = identifier[-1]
        generation = config(mark, prompt)
        refinement = config(mark.upper(), prompt, operation_type="refinement")
        session.add_all([transcript, generation, refinement])
        session.flush()
        session.add(
            models.SelectedConfig(
                video_id=video.id,
                generation_config_id=generation.id,
                refinement_config_id=refinement.id,
                profile="default",
                max_shift_seconds=5.0,
            )
        )
        session.add(
            models.Thumbnail(video_id=video.id, cloud_url="file:///objects/own.jpg", created_at=NOW)
        )
        # Stored against the order of time, which the document must not show.
        for number in reversed(range(moments)):
            start = 100.0 * number + 0.1
            root = models.Moment(
                identifier=f"{identifier[:8]}{number:08x}",
                video_id=video.id,
                start_time=start,
                end_time=start + 40,
                title=f"Moment {number}",
                is_refined=False,
                generation_model="extractive",
                generation_config_id=generation.id,
                score=number % 11,
                created_at=NOW,
            )
            session.add(root)
            session.flush()
            clip = models.Clip(
                moment_id=root.id,
                video_id=video.id,
                cloud_url=f"file:///objects/clips/{number}.mp4",
                start_time=max(0.0, start - 15),
                end_time=start + 70,
                padding_left=15.0,
                padding_right=30.0,
                format="mp4",
                created_at=NOW,
            )
            child = models.Moment(
                identifier=f"{identifier[:8]}r{number:07x}",
                video_id=video.id,
                start_time=start + 1,
                end_time=start + 39,
                title=f"Moment {number}",
                is_refined=True,
                parent_id=root.id,
                generation_config_id=refinement.id,
                created_at=NOW,
            )
            session.add_all([clip, child])
            session.flush()
            session.add(
                models.Thumbnail(
                    clip_id=clip.id, cloud_url=f"file:///objects/{number}.jpg", created_at=NOW
                )
            )
        for number, status in enumerate(("completed", "failed")):
            session.add(
                models.PipelineHistory(
                    identifier=f"pipeline:{identifier}:{number}",
                    video_id=video.id,
                    generation_config_id=generation.id,
                    pipeline_type="full",
                    status=status,
                    started_at=NOW.replace(minute=number),
                    error_stage="clips" if status == "failed" else None,
                    error_message=NASTY if status == "failed" else None,
                )
            )


def register_source(database: Database, identifier: str) -> None:
    with database.transaction() as session:
        session.add(
            models.Source(identifier=identifier, location=f"/in/{identifier}.mp4", title="Soon")
        )


@pytest.fixture
def database(migrated_database: Database) -> Iterator[Database]:
    store_video(migrated_database, "talk_a")
    return migrated_database


def queries_of(database: Database, read: Any) -> int:
    statements: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        read()
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
    return len(statements)


def test_the_document_holds_the_video_and_all_that_hangs_on_it(database: Database) -> None:
    document = show_document(database, "talk_a")

    assert document["state"] == "materialised"
    assert document["duration_seconds"] == 3725.5
    assert document["created_at"] == "2026-02-06T10:00:00.123Z"
    assert document["transcript"]["number_of_words"] == 150
    assert len(document["transcript"]["text_begins"]) == 200
    assert document["generation_config"]["profile"] == "default"
    assert document["generation_config"]["config_hash"] == "a" * 64
    assert document["generation_config"]["refinement"]["max_shift_seconds"] == 5.0
    first, second = document["moments"]
    assert (first["start_time"], second["start_time"]) == (0.1, 100.1)
    assert first["refined"]["parent"] == first["identifier"]
    assert first["clip"]["cloud_url"] == "file:///objects/clips/0.mp4"
    assert first["clip"]["thumbnail_url"] == "file:///objects/0.jpg"
    assert document["refined_moments"][0] == first["refined"]
    assert [clip["moment"] for clip in document["clips"]] == [
        first["identifier"],
        second["identifier"],
    ]
    assert [one["clip_of_moment"] for one in document["thumbnails"]] == [
        None,
        first["identifier"],
        second["identifier"],
    ]
    assert [run["status"] for run in document["history"]] == ["failed", "completed"]


def test_nothing_of_another_video_is_in_the_document(database: Database) -> None:
    before = json_text(show_document(database, "talk_a"))
    store_video(database, "talk_b", moments=5)

    assert json_text(show_document(database, "talk_a")) == before
    assert len(show_document(database, "talk_b")["moments"]) == 5


def test_the_same_rows_give_the_same_bytes_and_valid_json(database: Database) -> None:
    first = json_text(show_document(database, "talk_a"))

    assert json_text(show_document(database, "talk_a")) == first
    assert json.loads(first)["history"][0]["error_message"] == NASTY
    assert not any(character in first for character in "\x1b\x07\u202e")


def test_the_number_of_queries_does_not_grow_with_what_is_stored(database: Database) -> None:
    store_video(database, "talk_b", moments=30)

    few = queries_of(database, lambda: show_document(database, "talk_a"))
    many = queries_of(database, lambda: show_document(database, "talk_b"))

    assert few == many
    assert many <= 16


def test_a_registered_video_is_shown_with_its_source_and_nothing_else(database: Database) -> None:
    register_source(database, "later")

    document = show_document(database, "later")

    assert document["state"] == "registered"
    assert document["source"]["location"] == "/in/later.mp4"
    assert document["title"] == "Soon"
    assert document["cloud_url"] is None
    assert document["moments"] == document["thumbnails"] == document["history"] == []
    assert document.keys() == show_document(database, "talk_a").keys()


def test_an_unknown_video_fails_and_names_the_list(database: Database) -> None:
    with pytest.raises(ResultMissing, match=r"'nobody'.*videomoments list"):
        show_document(database, "nobody")
    with pytest.raises(IdentifierRejected):
        show_document(database, "../talk_a")


def test_the_list_counts_roots_and_clips_and_tells_the_last_run(database: Database) -> None:
    register_source(database, "later")
    store_video(database, "talk_b", moments=0)

    lines = {line["identifier"]: line for line in list_document(database)}

    assert (lines["talk_a"]["moments"], lines["talk_a"]["clips"]) == (2, 2)
    assert lines["talk_a"]["last_status"] == "failed"
    assert (lines["talk_b"]["moments"], lines["talk_b"]["clips"]) == (0, 0)
    assert lines["later"]["state"] == "registered"
    assert lines["later"]["last_status"] is None
    assert len(list_document(database, limit=2)) == 2
    assert queries_of(database, lambda: list_document(database)) <= 4


def test_search_finds_the_sentence_and_survives_what_postgresql_refuses(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    hits = search_document(database, "bread")
    printing.print_hits(hits)
    shown = capsys.readouterr().out

    assert [(hit["video"], hit["start_seconds"]) for hit in hits] == [("talk_a", 75.2)]
    assert "talk_a" in shown
    assert "1:15" in shown
    assert "Bread needs time." in shown
    assert search_document(database, "a\0b \udce4") == []


def test_show_escapes_what_comes_from_outside_and_cuts_nothing_off(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    long_title = "word " * 80
    store_video(database, "talk_b", title=f"{NASTY}{long_title}")

    printing.print_video(show_document(database, "talk_b"), SERVED)
    shown = capsys.readouterr().out

    assert "[red]not markup[/red]" in shown
    assert not any(character in shown for character in "\x1b\x07\u202e")
    assert long_title.strip() in shown
    assert "/objects/videos/talk_b/a b.mp4" in shown
    assert "/objects/clips/0.mp4" in shown
    assert "file://" not in shown
    # What a browser can open.
    at = "https://ui.example.org/dagster/objects"
    for name in ("videos/talk_b/a%20b.mp4", "clips/0.mp4", "own.jpg", "0.jpg"):
        assert shown.split().count(f"{at}/{name}") == 1, name
    assert "1:02:05" in shown
    assert "Moment 1" in shown


def test_list_and_show_tell_that_a_video_is_only_registered(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    register_source(database, "later")

    printing.print_list(list_document(database), is_all=True)
    printing.print_video(show_document(database, "later"), SERVED)
    shown = capsys.readouterr().out

    assert "not yet run" in shown
    assert "more than these" not in shown
    assert "Registered, and not yet materialised." in shown
    assert "videomoments run later" in shown


def test_a_list_that_is_cut_short_says_so(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    register_source(database, "one")
    printing.print_list(list_document(database, limit=1), is_all=False)
    assert "There are more than these 1: --limit shows more." in capsys.readouterr().out


@given(st.text())
def test_whatever_the_text_is_one_harmless_line_is_printed(text: str) -> None:
    shown = printing.printable(text)

    assert len(shown.splitlines()) <= 1
    assert "\x1b" not in shown
    assert len(shown) == len(text)
    shown.encode("utf-8")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("file:///a/b%20c%25.mp4", "/a/b c%.mp4"),
        ("gs://bucket/a%20b.mp4", "gs://bucket/a%20b.mp4"),
        ("/plain/path", "/plain/path"),
    ],
)
def test_a_file_url_is_shown_as_a_path(url: str, shown: str) -> None:
    assert printing.place(url) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(None, "-"), (0, "0:00"), (75.9, "1:15"), (3725.5, "1:02:05")]
)
def test_times_are_minutes_and_seconds(seconds: float | None, shown: str) -> None:
    assert printing.clock(seconds) == shown
