"""What `doctor` finds, on a real PostgreSQL and on things that are broken."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from poolers import pooled
from postgres import on_server
from whisper_model import make_whisper_model

from db.urls import normalised
from videomoments_dagster.cli import upkeep_commands
from videomoments_dagster.cli.main import main
from videomoments_dagster.cli.upkeep_commands import Finding, diagnose, print_findings
from videomoments_dagster.core.settings import Settings
from videomoments_dagster.definitions import resources_for
from videomoments_dagster.media.ffmpeg import ffmpeg_executable


@pytest.fixture
def environment(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pytest.MonkeyPatch]:
    monkeypatch.setenv("VIDEOMOMENTS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VIDEOMOMENTS_TRANSCRIPTION_ENGINE", "captions")
    monkeypatch.setenv("VIDEOMOMENTS_DAGSTER_DATABASE_URL", "")
    monkeypatch.setenv("DATABASE_URL", database_url)
    ffmpeg_executable.cache_clear()
    yield monkeypatch
    ffmpeg_executable.cache_clear()


def found() -> dict[str, Finding]:
    settings = Settings()
    findings = diagnose(settings, resources_for(settings))
    return {finding.name: finding for finding in findings}


def test_a_whole_installation_has_no_problem(environment: pytest.MonkeyPatch) -> None:
    findings = found()

    assert [one for one in findings.values() if one.level == "problem"] == []
    assert findings["database"].detail.startswith("PostgreSQL 1")
    assert findings["migrations"].level == "ok"
    assert findings["captions"].detail.startswith("default engine")
    assert "H.264" in findings["ffmpeg"].detail
    assert "default" in findings["profiles"].detail
    assert "one release" in findings["dagster"].detail


def test_definitions_that_do_not_load_are_a_problem_and_no_traceback(
    environment: pytest.MonkeyPatch,
) -> None:
    def broken(_settings: Settings) -> None:
        raise ImportError("no module named talks")

    environment.setattr("videomoments_dagster.definitions.resources_for", broken)
    shown = CliRunner().invoke(main, ["doctor", "--json"])
    assert shown.exit_code == 1
    [finding] = json.loads(shown.output)
    assert (finding["name"], finding["level"]) == ("definitions", "problem")
    assert "no module named talks" in finding["detail"]


def test_a_missing_model_is_a_problem_only_for_the_default_engine(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("VIDEOMOMENTS_WHISPER_MODEL", "/nowhere/model")

    assert found()["faster-whisper"].level == "optional"
    environment.setenv("VIDEOMOMENTS_TRANSCRIPTION_ENGINE", "faster-whisper")
    finding = found()["faster-whisper"]

    assert finding.level == "problem"
    assert finding.remedy


def test_a_truncated_model_is_a_problem(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model = make_whisper_model(tmp_path / "model")
    environment.setenv("VIDEOMOMENTS_TRANSCRIPTION_ENGINE", "faster-whisper")
    environment.setenv("VIDEOMOMENTS_WHISPER_MODEL", str(model))
    assert found()["faster-whisper"].level == "ok"

    weights = (model / "model.bin").read_bytes()
    (model / "model.bin").write_bytes(weights[: len(weights) - 100])
    finding = found()["faster-whisper"]

    assert finding.level == "problem"
    assert "truncated" in finding.detail
    assert finding.remedy


def test_an_engine_that_is_gone_is_a_problem_with_what_takes_its_place(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("VIDEOMOMENTS_TRANSCRIPTION_ENGINE", "pocketsphinx")
    finding = found()["pocketsphinx"]
    assert finding.level == "problem"
    assert "faster-whisper" in finding.remedy


def test_an_empty_database_is_a_problem_with_the_command_that_mends_it(
    environment: pytest.MonkeyPatch, empty_database_url: str
) -> None:
    environment.setenv("DATABASE_URL", empty_database_url)

    findings = found()

    assert findings["database"].level == "ok"
    assert findings["migrations"].level == "problem"
    assert "videomoments db upgrade" in findings["migrations"].remedy


def test_a_pooler_in_transaction_mode_is_a_problem(
    environment: pytest.MonkeyPatch, database_url: str
) -> None:
    with pooled(database_url, "transaction") as url:
        environment.setenv("DATABASE_URL", url)
        finding = found()["database"]
    assert finding.level == "problem"
    assert "transaction mode" in finding.detail
    assert "pool_mode = session" in finding.remedy


def test_a_database_that_takes_no_writes_is_a_problem(
    environment: pytest.MonkeyPatch, database_url: str
) -> None:
    with on_server(database_url) as cursor:
        name = normalised(database_url).database
        cursor.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    finding = found()["database"]
    assert finding.level == "problem"
    assert "takes no writes" in finding.detail
    assert "DATABASE_URL" in finding.remedy


def test_a_database_host_that_swallows_everything_costs_its_time_limit_and_no_other_finding(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setattr(upkeep_commands, "_LOOK_SECONDS", 6.0)
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        port = mute.getsockname()[1]
        environment.setenv("DATABASE_URL", f"postgresql://user:secret@127.0.0.1:{port}/videos")
        begun = time.monotonic()
        findings = found()
        took = time.monotonic() - begun

    assert took < 9
    assert findings["database"].level == "problem"
    assert "within 6 s" in findings["database"].detail
    assert findings["object store"].level == "ok"
    assert "secret" not in str(findings)


def test_what_is_broken_is_named_with_a_remedy_and_never_a_traceback(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    broken = tmp_path / "profiles.yaml"
    broken.write_text(
        "default: {generation: {model: m, user_prompt: u, system_prompt: s, temperature: 3}}"
    )
    environment.setenv("DATABASE_URL", "postgresql://user:secret@127.0.0.1:1/videos")
    environment.setenv("VIDEOMOMENTS_OBJECT_STORE", str(tmp_path / "file" / "objects"))
    environment.setenv("VIDEOMOMENTS_SCRATCH", str(tmp_path / "file" / "scratch"))
    environment.setenv("VIDEOMOMENTS_FFMPEG", "/nowhere/ffmpeg")
    environment.setenv("VIDEOMOMENTS_PROFILES", str(broken))
    environment.setenv("VIDEOMOMENTS_TRANSCRIPTION_ENGINE", "telepathy")

    findings = found()

    for name in ("database", "object store", "scratch", "ffmpeg", "profiles", "telepathy"):
        assert findings[name].level == "problem", name
        assert findings[name].remedy, name
        assert "\n" not in findings[name].detail, name
    assert "temperature" in findings["profiles"].detail
    assert "secret" not in str(findings)


def test_mixed_releases_of_dagster_are_a_problem(environment: pytest.MonkeyPatch) -> None:
    real = upkeep_commands.version
    environment.setattr(
        upkeep_commands,
        "version",
        lambda name: "1.13.28" if name == "dagster-webserver" else real(name),
    )

    finding = found()["dagster"]

    assert finding.level == "problem"
    assert "dagster-webserver 1.13.28" in finding.detail


def test_findings_are_printed_for_people_and_for_programs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    findings = [
        Finding("database", "ok", "PostgreSQL 18"),
        Finding("ffmpeg", "problem", "not [found]", "Install it"),
    ]

    print_findings(findings, as_json=True)
    document = json.loads(capsys.readouterr().out)
    print_findings(findings, as_json=False)
    shown = capsys.readouterr().out

    assert document[1] == {
        "name": "ffmpeg",
        "level": "problem",
        "detail": "not [found]",
        "remedy": "Install it",
    }
    assert "not [found]" in shown
    assert "Install it" in shown
