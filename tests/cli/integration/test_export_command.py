"""`videomoments export` on a real database: files, pipes, and what is said when it cannot be."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pysubs2
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select
from stored_records import Storage

from db import models
from videomoments_dagster.cli.main import main
from videomoments_dagster.moments.records import Source
from videomoments_dagster.moments.registration import register

Export = Callable[..., Result]


@pytest.fixture
def export(
    storage: Storage, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Export:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("VIDEOMOMENTS_HOME", str(tmp_path / "home"))

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(main, ["export", *map(str, arguments)])

    return run


def test_every_format_is_written_for_the_tool_it_is_for(
    storage: Storage, export: Export, tmp_path: Path
) -> None:
    [first, *_] = storage.store_everything("talk", 0.25, 20, 40)

    stored = json.loads(export("talk", "--format", "json").stdout)
    assert stored["videomoments_export"] == 1
    assert stored["transcript"]["words"][0] == {"word": "Grüße", "start": 0.1, "end": 0.3 + 4e-17}
    assert stored["transcript"]["segments"][0]["text"] == "Grüße & <b>多</b> 🎬."
    assert stored["moments_made"]["why_fewer"] is None
    assert len(stored["moments"]) == len(stored["clips"]) == 3

    table = tmp_path / "talk.csv"
    said = export("talk", "--format", "csv", "--output", table)
    assert (said.exit_code, said.stdout, said.stderr) == (0, "", f"Wrote {table}.\n")
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["moment"] == first.identifier
    assert rows[0]["refined_start_seconds"] == "0.75"
    assert [path.name for path in tmp_path.iterdir() if "talk.csv" in path.name] == ["talk.csv"]

    timeline = json.loads(export("talk", "--format", "otio", "--what", "moments").stdout)
    shown = timeline["tracks"]["children"][0]["children"][0]["source_range"]
    assert shown["start_time"]["value"] == 7
    assert shown["duration"]["rate"] == pytest.approx(29.97, abs=1e-3)

    edl = export("talk", "--format", "edl", "--media", "/footage/talk.mov").stdout
    assert "FCM: DROP FRAME" in edl
    assert edl.count("* FROM CLIP NAME: talk.mov") == 3

    for form in ("vtt", "srt"):
        text = export("talk", "--format", form).stdout
        [cue] = pysubs2.SSAFile.from_string(text, form)
        assert (cue.start, cue.end) == (100, 1100)

    assert export("talk", "--format", "chapters").stdout.startswith("0:00 From 0.25 to")


def without_places_and_times(written: str, folder: Path) -> str:
    """The text without the folder of this test, and times and hashes that are others each time."""
    written = written.replace(str(folder), "/folder")
    written = re.sub(r"[0-9a-f]{16}\.html", "hash.html", written)
    return re.sub(r'("created_at"|"at"): "[^"]*Z"', r'\1: "now"', written)


def test_the_json_of_export_and_show_is_this_to_the_letter(
    storage: Storage, export: Export, tmp_path: Path
) -> None:
    storage.store_everything("talk", 0.25, 20)
    with storage.database.transaction() as session:
        session.add(
            models.PipelineHistory(
                identifier="pipeline:talk:1",
                video_id=session.scalars(select(models.Video.id)).one(),
                generation_config_id=session.scalars(
                    select(models.SelectedConfig.generation_config_id)
                ).one(),
                pipeline_type="full",
                status="partial",
                started_at=datetime(2026, 2, 6, 10, 0, 0, 123456),  # noqa: DTZ001  as stored
                duration_seconds=1.5,
                error_stage="clips",
                error_message="why",
            )
        )
    expected = Path(__file__).with_name("exported_talk.json").read_text()

    exported = export("talk", "--format", "json").stdout
    shown = CliRunner().invoke(main, ["show", "talk", "--json"]).stdout

    assert without_places_and_times(exported, tmp_path) == expected
    whole = json.loads(expected)
    del whole["videomoments_export"], whole["moments_made"]
    for name in ("full_text", "segments", "words"):
        del whole["transcript"][name]
    brief = json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
    assert without_places_and_times(shown, tmp_path) == brief


def test_the_json_of_a_registered_video_is_this_to_the_letter(
    storage: Storage, export: Export
) -> None:
    with storage.database.transaction() as session:
        register(session, Source("later", "https://me:hunter2@h/later.mp4", title="Soon"))

    shown = json.loads(CliRunner().invoke(main, ["show", "later", "--json"]).stdout)

    assert shown.pop("source").pop("created_at").endswith("Z")
    assert list(shown.items()) == [
        ("identifier", "later"),
        ("state", "registered"),
        ("source_url", "https://***@h/later.mp4"),
        ("cloud_url", None),
        ("title", "Soon"),
        ("duration_seconds", None),
        ("file_size_kb", None),
        ("video_codec", None),
        ("audio_codec", None),
        ("resolution", None),
        ("frame_rate", None),
        ("created_at", None),
        ("page_url", None),
        ("transcript", None),
        ("generation_config", None),
        ("moments", []),
        ("refined_moments", []),
        ("clips", []),
        ("thumbnails", []),
        ("history", []),
    ]


def test_credentials_stay_inside(storage: Storage, export: Export) -> None:
    storage.store(
        "video", "talk", storage.video("talk", source_url="https://me:hunter2@example.org/a.mp4")
    )

    said = export("talk", "--format", "json")

    assert "example.org" in said.stdout
    assert "hunter2" not in said.stdout


def test_what_is_not_there_yet_is_said_with_what_to_do(storage: Storage, export: Export) -> None:
    storage.store("video", "talk", storage.video("talk"))
    with storage.database.transaction() as session:
        register(session, Source(identifier="later", location="/in/later.mp4"))

    for arguments, sentence in {
        ("nobody", "json"): "there is no video 'nobody'. See `videomoments list`",
        ("later", "json"): "nothing is stored of it yet. Run `videomoments run later`",
        ("talk", "srt"): "there is no transcript of 'talk' yet. Run `videomoments run talk`",
        ("talk", "edl"): "there are no moments of 'talk' yet. Run `videomoments run talk`",
        ("../talk", "json"): "videomoments: ",
    }.items():
        said = export(arguments[0], "--format", arguments[1])
        assert (said.exit_code, said.stdout) == (1, "")
        assert sentence in said.stderr
        assert "Traceback" not in said.stderr


def test_too_few_moments_for_chapters_are_refused_and_leave_no_file(
    storage: Storage, export: Export, tmp_path: Path
) -> None:
    storage.store_until_moments("talk", 20)

    said = export("talk", "--format", "chapters", "--output", tmp_path / "chapters.txt")

    assert said.exit_code == 1
    assert "give only 2 chapters" in said.stderr
    assert not (tmp_path / "chapters.txt").exists()


def test_a_file_that_cannot_be_written_keeps_what_it_had(
    storage: Storage, export: Export, tmp_path: Path
) -> None:
    storage.store_until_moments("talk", 20)

    said = export("talk", "--format", "csv", "--output", tmp_path / "none" / "a.csv")

    assert said.exit_code == 1
    assert "cannot be written: No such file" in said.stderr


@pytest.mark.parametrize(
    ("form", "option"),
    [("srt", ("--what", "clips")), ("csv", ("--media", "a")), ("chapters", ("--frame-rate", "25"))],
)
def test_an_option_that_says_nothing_for_a_format_is_refused(
    storage: Storage, export: Export, form: str, option: tuple[str, str]
) -> None:
    said = export("talk", "--format", form, *option)

    assert said.exit_code == 2
    assert f"{option[0]} says nothing for the format {form}" in said.stderr
