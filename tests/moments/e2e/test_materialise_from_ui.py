"""Runs launched from the UI of a real `videomoments dev`, and the history that follows them.

The source is a local HTTP server that can be told to answer late, which keeps a run going for as
long as the test wants to look at it.
"""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from dev_process import asked, dev, free_port, until, until_up
from pipeline import ASSETS, PROFILES, talk_captions
from postgres import fresh_database, rows_of

from videomoments_dagster.cli.tied_process import marked


class SlowServer(http.server.ThreadingHTTPServer):
    """Serves one file; `wait` seconds pass before each answer."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self.wait = 0.0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(handler) -> None:  # noqa: N805
                time.sleep(self.wait)
                body = self.path.read_bytes()
                try:
                    handler.send_response(200)
                    handler.send_header("Content-Length", str(len(body)))
                    handler.end_headers()
                    handler.wfile.write(body)
                except OSError:
                    pass  # The cancelled run hung up.

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture
def slow_server(talk_video: Path) -> Iterator[SlowServer]:
    with SlowServer(talk_video) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()


class Ui:
    """What a person does in the UI, through the interface that the UI uses."""

    def __init__(self, port: int) -> None:
        self._port = port

    def materialise(self, *assets: str, partition: str, config: dict[str, Any]) -> str:
        selection = ", ".join(f'{{path: ["{asset}"]}}' for asset in assets)
        selector = (
            'repositoryLocationName: "videomoments", repositoryName: "__repository__", '
            f'pipelineName: "__ASSET_JOB", assetSelection: [{selection}]'
        )
        launched = asked(
            self._port,
            "mutation { launchPipelineExecution(executionParams: {"
            f"selector: {{{selector}}}, runConfigData: {json.dumps(json.dumps(config))}, "
            f'mode: "default", executionMetadata: {{tags: [{{key: "dagster/partition", '
            f'value: "{partition}"}}]}}}}) '
            "{ __typename ... on LaunchRunSuccess { run { runId } } } }",
        )["launchPipelineExecution"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def status(self, run: str) -> str:
        found = asked(self._port, f'{{ runOrError(runId: "{run}") {{ ... on Run {{ status }} }} }}')
        return str(found["runOrError"]["status"])

    def cancel(self, run: str) -> None:
        asked(
            self._port,
            f'mutation {{ terminateRun(runId: "{run}", terminatePolicy: SAFE_TERMINATE) '
            "{ __typename } }",
        )


@pytest.mark.timeout(420)
def test_runs_from_the_ui_work_and_the_history_follows_each_to_its_end(
    dev_home: Path,
    tmp_path: Path,
    database_url: str,
    slow_server: SlowServer,
    postgres_server: str,
) -> None:
    import yaml

    profiles, captions = tmp_path / "profiles.yaml", tmp_path / "talk.srt"
    profiles.write_text(yaml.safe_dump(PROFILES))
    captions.write_text(talk_captions())
    source = f"http://127.0.0.1:{slow_server.server_address[1]}/talk.mp4"
    port = free_port()
    with fresh_database(postgres_server) as dagster_url, rows_of(database_url) as rows:
        environment = {
            "DATABASE_URL": database_url,
            "VIDEOMOMENTS_DAGSTER_DATABASE_URL": dagster_url,
            "VIDEOMOMENTS_PROFILES": str(profiles),
            "VIDEOMOMENTS_TRANSCRIPTION_ENGINE": "captions",
            "VIDEOMOMENTS_ALLOWED_NETWORKS": "127.0.0.0/8",
        }
        assert rows(
            "INSERT INTO pipeline.sources (identifier, location, captions) "
            "VALUES (%s, %s, %s) RETURNING 1",
            "talk",
            source,
            str(captions),
        )
        with dev(dev_home, port=port, **environment) as process:
            until_up(port, process=process, home=dev_home)
            ui = Ui(port)
            asked(
                port,
                'mutation { addDynamicPartition(partitionsDefName: "videos", partitionKey: "talk",'
                ' repositorySelector: {repositoryLocationName: "videomoments", '
                'repositoryName: "__repository__"}) { __typename } }',
            )

            def becomes(condition: Callable[[], bool], seconds: float = 120) -> None:
                until(condition, seconds=seconds, process=process, home=dev_home)

            def history() -> list[tuple[str, str]]:
                return rows("SELECT pipeline_type, status FROM pipeline_history ORDER BY id")

            first = ui.materialise(*ASSETS, partition="talk", config={})
            becomes(lambda: ui.status(first) in ("SUCCESS", "FAILURE"))
            assert ui.status(first) == "SUCCESS"
            becomes(lambda: history() == [("full", "completed")], 60)
            assert rows("SELECT count(*) >= 3 FROM clips") == [(True,)]

            force = {"ops": {"video": {"config": {"force": True}}}}
            slow_server.wait = 12
            second = ui.materialise("video", partition="talk", config=force)
            becomes(lambda: history()[1:] == [("video_only", "running")])
            becomes(lambda: history()[1:] == [("video_only", "completed")])
            assert ui.status(second) == "SUCCESS"

            slow_server.wait = 90
            third = ui.materialise("video", partition="talk", config=force)
            becomes(lambda: history()[2:] == [("video_only", "running")])
            becomes(lambda: ui.status(third) == "STARTED")
            asked_at = time.monotonic()
            ui.cancel(third)
            becomes(lambda: ui.status(third) not in ("STARTED", "CANCELING"), 30)
            took = time.monotonic() - asked_at
            assert ui.status(third) == "CANCELED"
            becomes(lambda: history()[2:] == [("video_only", "failed")], 60)
            assert rows("SELECT error_message FROM pipeline_history ORDER BY id DESC LIMIT 1") == [
                ("The run was cancelled.",)
            ]
            assert took < 15, f"cancelling took {took:.1f} s"
            scratch = dev_home / "scratch"
            assert not [folder for folder in scratch.iterdir() if folder.is_dir()]

            # ffmpeg is held, so that it is still at work when it is cancelled, and deaf to a
            # polite request to end.
            encode = {"ops": {"clips": {"config": {"force": True, "method": "encode"}}}}
            fourth = ui.materialise("clips", partition="talk", config=encode)
            held = stopped_ffmpeg(dev_home)
            asked_at = time.monotonic()
            ui.cancel(fourth)
            _, alive = psutil.wait_procs([held], timeout=5)
            assert not alive, "ffmpeg was still there 5 s after the run was cancelled"
            becomes(lambda: history()[3:] == [("clips_only", "failed")], 60)
            assert not [folder for folder in scratch.iterdir() if folder.is_dir()]


def stopped_ffmpeg(home: Path) -> psutil.Process:
    """The first ffmpeg of a run, held still."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for process in marked(str(home / "dev")):
            try:
                # Not the one that only says its version.
                if "ffmpeg" in process.name() and "-nostdin" in process.cmdline():
                    process.suspend()
                    return process
            except psutil.NoSuchProcess:
                continue
    pytest.fail("no ffmpeg was seen")
