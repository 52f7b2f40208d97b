"""What `make demo` does, with the real command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import av
import pytest
from whisper_wheels import needs_the_shipped_model

COMMAND = (sys.executable, "-P", "-c", "from videomoments_dagster.cli.main import main; main()")


@needs_the_shipped_model
@pytest.mark.timeout(300)
def test_the_demo_shows_moments_whose_clips_play_and_changes_nothing_the_second_time(
    tmp_path: Path, database_url: str, postgres_server: str
) -> None:
    from postgres import fresh_database

    with fresh_database(postgres_server) as dagster_url:
        environment = {
            **os.environ,
            "DATABASE_URL": database_url,
            "VIDEOMOMENTS_DAGSTER_DATABASE_URL": dagster_url,
            "VIDEOMOMENTS_HOME": str(tmp_path / "home"),
        }

        def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            done = subprocess.run(
                [*COMMAND, *arguments],
                env=environment,
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=250,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            return done

        first = run("demo")
        shown = run("show", "demo", "--json").stdout
        document = json.loads(shown)
        began = time.monotonic()
        second = run("demo")
        took = time.monotonic() - began
        shown_again = run("show", "demo", "--json").stdout

    assert "transcribes with faster-whisper:tiny.en" in first.stdout
    assert document["transcript"]["transcription_service"] == "faster-whisper:tiny.en"
    assert "ctranslate2" not in first.stdout + first.stderr
    assert "http://127.0.0.1:3000" in first.stdout
    assert len(document["moments"]) >= 3
    for moment in document["moments"]:
        clip = moment["clip"]
        path = Path(unquote(urlsplit(clip["cloud_url"]).path))
        assert str(path) in first.stdout
        with av.open(str(path)) as container:
            frames = sum(1 for _ in container.decode(video=0))
        assert frames == pytest.approx((clip["end_time"] - clip["start_time"]) * 15, abs=2)
    assert shown_again == shown
    assert took < 30
    assert "nothing is left to do" in second.stdout
