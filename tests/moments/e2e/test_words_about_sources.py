"""Sources that are odd and taken all the same, and how those are called that are not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from counting_server import counting_server
from pipeline import Pipeline, talk_captions

from videomoments_dagster.base.failures import SourceRejected
from videomoments_dagster.media.ffmpeg import ffmpeg_executable


@pytest.fixture
def odd_talk(talk_video: Path, tmp_path: Path) -> Path:
    """The talk with sound in a codec that nobody knows, and a header that says 24 minutes."""
    path = tmp_path / "odd.mov"
    subprocess.run(
        [
            *(ffmpeg_executable(), "-nostdin", "-v", "error", "-i", str(talk_video)),
            *("-c:v", "copy", "-c:a", "pcm_s16le", str(path)),
        ],
        check=True,
        timeout=60,
    )
    content = bytearray(path.read_bytes().replace(b"sowt", b"zzzz"))
    header = content.find(b"mvhd") + 4
    ticks_per_second = int.from_bytes(content[header + 12 : header + 16], "big")
    content[header + 16 : header + 20] = (1450 * ticks_per_second).to_bytes(4, "big")
    path.write_bytes(content)
    return path


def test_pictures_with_captions_are_enough_and_what_is_odd_is_said(
    pipeline: Pipeline, odd_talk: Path, tmp_path: Path
) -> None:
    with pytest.raises(SourceRejected, match="its sound is in a codec that is not supported"):
        pipeline.add(odd_talk)
    captions = tmp_path / "odd.srt"
    captions.write_text(talk_captions())
    outcome = pipeline.run(pipeline.add(odd_talk, captions=str(captions)))
    assert outcome.row.status == "completed", pipeline.last.failures
    said = "\n".join(pipeline.last.said)
    assert "Its header says that it is 24:10 long, and it holds 1:00" in said
    assert "its clips are silent" in said
    clips = pipeline.rows("SELECT video_codec, audio_codec FROM clips")
    assert clips
    assert set(clips) == {("h264", None)}


def test_a_download_that_is_no_video_is_called_by_its_address(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("VIDEOMOMENTS_ALLOWED_NETWORKS", "127.0.0.0/8")
    with counting_server() as web:
        web.files["/talk.mp4"] = b"<!doctype html><html>Log in</html>"
        outcome = pipeline.run(pipeline.add(f"{web.url}/talk.mp4?token=s3cret"))
    assert outcome.row.status == "failed"
    assert "/talk.mp4?token=...' is a web page" in str(outcome.row.error_message)
    assert "scratch" not in str(outcome.row.error_message)
