"""Credentials and tokens of sources, and the database's password, are used and never shown."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from counting_server import CountingServer, counting_server
from dagster import DagsterInstance
from dagster._serdes import serialize_value
from pipeline import Pipeline, talk_captions

from db.urls import normalised, rendered
from videomoments_dagster.cli.main import main

SECRETS = ("pa55w0rd", "t0ken-of-video", "t0ken-of-captions", "h1dden-of-database")
# Where a source's own location is kept, which fetching needs whole.
LOCATIONS = {("videos", "source_url"), ("sources", "location"), ("sources", "captions")}
MAYBE_EMPTY = ("standard output", "standard error", "names of objects")


@pytest.fixture
def server(talk_video: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CountingServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("VIDEOMOMENTS_ALLOWED_NETWORKS", "127.0.0.1/32")
    with counting_server() as server:
        server.files = {
            "/talk.mp4": talk_video.read_bytes(),
            "/talk.srt": talk_captions().encode(),
            "/page.mp4": b"<!doctype html><title>no video</title>",
        }
        yield server


@pytest.fixture
def with_password(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """The installation, with a password for its database, whose server asks for none."""
    url = normalised(pipeline.database.url).set(password="h1dden-of-database")
    monkeypatch.setenv("DATABASE_URL", rendered(url))
    return pipeline


def secret_url(server: CountingServer, path: str, token: str) -> str:
    return f"http://someone:pa55w0rd@127.0.0.1:{server.port}{path}?sig={token}&{token}"


def add(pipeline: Pipeline, server: CountingServer, path: str, **options: Any) -> str:
    captions = options.pop("captions", "/talk.srt")
    return pipeline.add(
        secret_url(server, path, "t0ken-of-video"),
        captions=secret_url(server, captions, "t0ken-of-captions"),
        **options,
    )


def events(instance: DagsterInstance) -> str:
    """Everything that Dagster keeps of all runs: runs, events with their metadata, and errors."""
    return "\n".join(
        serialize_value(entry)
        for run in instance.get_runs()
        for entry in (run, *instance.all_logs(run.run_id))
    )


def rows(pipeline: Pipeline) -> str:
    """Every row of every table, without the sources' own locations."""
    tables = pipeline.rows(
        "SELECT table_schema, table_name FROM information_schema.tables "
        "WHERE table_schema IN ('public', 'pipeline') AND table_type = 'BASE TABLE'"
    )
    assert {("public", "videos"), ("pipeline", "sources")} <= set(tables)
    found = []
    for schema, table in tables:
        for [row] in pipeline.rows(f'SELECT row_to_json(t) FROM "{schema}"."{table}" t'):  # noqa: S608
            kept = {name: row[name] for name in row if (table, name) not in LOCATIONS}
            found.append(f"{table}: {kept}")
    return "\n".join(found)


def printed(identifier: str) -> str:
    """What the commands say that show a video."""
    said = ""
    for arguments in (
        ["list"],
        ["list", "--json"],
        ["show", identifier],
        ["show", identifier, "--json"],
        ["history", identifier],
        ["history", identifier, "--json"],
        ["export", identifier, "--format", "json"],
        ["doctor"],
    ):
        result = CliRunner().invoke(main, arguments)
        assert result.output, arguments
        assert arguments[0] in ("doctor", "export") or result.exit_code == 0, result.output
        said += result.output
    return said


def assert_nothing_is_told(
    pipeline: Pipeline, identifier: str, capfd: pytest.CaptureFixture[str]
) -> None:
    terminal = capfd.readouterr()
    last = pipeline.last
    places = {
        "Dagster's records": events(pipeline.instance),
        "rows": rows(pipeline),
        "standard output": terminal.out,
        "standard error": terminal.err,
        "the reporter": f"{last.said} {last.failures}",
        "the commands": printed(identifier),
        "names of objects": " ".join(pipeline.objects()),
    }
    for place, text in places.items():
        assert text or place in MAYBE_EMPTY, place
        for secret in SECRETS:
            at = text.find(secret)
            assert at < 0, f"{place}: ...{text[max(at - 300, 0) : at + 60]}..."


def test_a_run_that_succeeds_tells_no_secret(
    with_password: Pipeline, server: CountingServer, capfd: pytest.CaptureFixture[str]
) -> None:
    talk = add(with_password, server, "/talk.mp4")
    assert with_password.run(talk).row.status == "completed"
    login = f"Basic {base64.b64encode(b'someone:pa55w0rd').decode()}"
    assert set(server.credentials) == {login}
    assert any("t0ken-of-video" in path for path in server.paths)
    assert with_password.run(talk).row.status == "completed"
    assert_nothing_is_told(with_password, talk, capfd)


@pytest.mark.parametrize(
    ("video", "captions", "step", "reason"),
    [
        ("/nowhere.mp4", "/talk.srt", "video", "HTTP 404"),
        ("/page.mp4", "/talk.srt", "video", "a web page"),
        ("/talk.mp4", "/nowhere.srt", "transcript", "HTTP 404"),
        ("/talk.mp4", "/page.mp4", "transcript", "not an SRT or WebVTT file"),
    ],
)
def test_a_run_that_fails_at_its_sources_tells_no_secret(
    with_password: Pipeline,
    server: CountingServer,
    capfd: pytest.CaptureFixture[str],
    video: str,
    captions: str,
    step: str,
    reason: str,
) -> None:
    talk = add(with_password, server, video, captions=captions)
    assert with_password.run(talk).row.status == "failed"
    assert reason in with_password.last.failures[step]
    assert_nothing_is_told(with_password, talk, capfd)


def test_a_source_in_a_network_that_is_not_allowed_fails_and_tells_no_secret(
    with_password: Pipeline,
    server: CountingServer,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("VIDEOMOMENTS_ALLOWED_NETWORKS")
    talk = add(with_password, server, "/talk.mp4")
    assert with_password.run(talk).row.status == "failed"
    assert "not on the public internet" in with_password.last.failures["video"]
    assert server.connections == 0
    assert_nothing_is_told(with_password, talk, capfd)


def test_captions_in_a_network_that_is_not_allowed_are_not_fetched(
    with_password: Pipeline,
    server: CountingServer,
    talk_video: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("VIDEOMOMENTS_ALLOWED_NETWORKS")
    captions = secret_url(server, "/talk.srt", "t0ken-of-captions")
    talk = with_password.add(talk_video, captions=captions)
    assert with_password.run(talk).row.status == "failed"
    assert "not on the public internet" in with_password.last.failures["transcript"]
    assert server.connections == 0
    assert_nothing_is_told(with_password, talk, capfd)


def test_a_database_that_is_lost_tells_no_password(
    with_password: Pipeline,
    server: CountingServer,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    talk = add(with_password, server, "/talk.mp4")
    with monkeypatch.context() as lost:
        lost.setenv("DATABASE_URL", "postgresql://someone:h1dden-of-database@127.0.0.1:1/talks")
        failed = with_password.run(talk).row
    assert failed.status == "failed"
    assert "127.0.0.1:1" in (failed.error_message or "")
    assert_nothing_is_told(with_password, talk, capfd)


def test_a_statement_that_the_database_refuses_tells_none_of_its_values(
    with_password: Pipeline, server: CountingServer, capfd: pytest.CaptureFixture[str]
) -> None:
    talk = add(with_password, server, "/talk.mp4")
    with_password.rows("ALTER TABLE videos ALTER COLUMN source_url TYPE varchar(3)")
    assert with_password.run(talk).row.status == "failed"
    assert "character varying(3)" in with_password.last.failures["video"]
    assert_nothing_is_told(with_password, talk, capfd)


def test_an_identifier_that_is_taken_tells_no_secret_of_its_source(
    with_password: Pipeline, server: CountingServer
) -> None:
    from videomoments_dagster.base.failures import IdentifierRejected

    add(with_password, server, "/talk.mp4", identifier="talk")
    with pytest.raises(IdentifierRejected, match="belongs to another source") as rejected:
        add(with_password, server, "/page.mp4", identifier="talk")
    assert not any(secret in str(rejected.value) for secret in SECRETS)
    assert "/talk.mp4?sig=..." in rejected.value.reason
