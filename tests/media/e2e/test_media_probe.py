import os
import threading
import time
from pathlib import Path

import ffmpeg
import pytest

from videomoments_dagster.base.failures import EngineUnavailable, MediaFailed, SourceRejected
from videomoments_dagster.media import ffmpeg as media_ffmpeg
from videomoments_dagster.media.probe import probe

pytest_plugins = ["media_samples"]


def test_a_plain_video_is_described_as_it_is_shown(media_samples):
    facts = probe(media_samples.path("h264_gop2.mp4"))
    assert facts.container == "mov,mp4,m4a,3gp,3g2,mj2"
    assert facts.duration_seconds == pytest.approx(12.0, abs=0.001)
    assert facts.video.codec == "h264"
    assert facts.video.resolution == "320x180"
    assert facts.video.frame_rate == pytest.approx(25.0)
    assert facts.video.start_seconds == 0.0
    assert (facts.audio.codec, facts.audio.sample_rate, facts.audio.channels) == ("aac", 48000, 1)
    assert facts.audio.start_seconds == pytest.approx(0.0, abs=0.001)
    assert facts.size_bytes == media_samples.path("h264_gop2.mp4").stat().st_size


def test_rotation_is_applied_to_the_resolution(media_samples):
    facts = probe(media_samples.path("rotated.mp4"))
    assert facts.video.resolution == "180x320"
    assert facts.video.rotation == 270


def test_the_presented_timeline_starts_with_sound_that_is_earlier(media_samples):
    facts = probe(media_samples.path("delayed_start.mp4"))
    assert facts.video.start_seconds == pytest.approx(0.52, abs=0.002)
    assert facts.audio.start_seconds == pytest.approx(0.0, abs=0.002)
    assert facts.origin_seconds == facts.audio.start_seconds
    assert facts.duration_seconds == pytest.approx(12.0, abs=0.05)


@pytest.mark.parametrize("name", ["sound.m4a", "sound.mp3", "sound.flac", "with_cover.mp3"])
def test_sound_without_moving_pictures_is_accepted(media_samples, name):
    facts = probe(media_samples.path(name))
    assert facts.video is None
    assert facts.audio.sample_rate == 48000
    assert facts.duration_seconds == pytest.approx(12.0, abs=0.06)


def test_text_subtitles_are_listed_with_their_language(media_samples):
    facts = probe(media_samples.path("with_captions.mkv"))
    assert [(s.index, s.codec, s.language) for s in facts.subtitles] == [(2, "subrip", "eng")]


def test_a_duration_that_the_header_does_not_give_is_measured(media_samples, tmp_path):
    live = tmp_path / "live.webm"
    source = ffmpeg.input(str(media_samples.path("vp9.webm")))
    media_ffmpeg.run_ffmpeg(
        ffmpeg.output(source, str(live), c="copy", live=1), timeout_seconds=30, task="remuxing"
    )
    assert probe(live).duration_seconds == pytest.approx(6.0, abs=0.05)


def test_a_duration_that_the_header_exaggerates_is_measured(media_samples, tmp_path):
    data = bytearray(media_samples.path("h264_gop2.mp4").read_bytes())
    for header, timescale_at in ((b"mvhd", 12), (b"mdhd", 12), (b"tkhd", None)):
        at = data.find(header)
        while at >= 0:
            body = at + 4
            duration_at = body + (20 if timescale_at is None else 16)
            scale = (
                1000
                if timescale_at is None
                else int.from_bytes(data[body + timescale_at : body + timescale_at + 4], "big")
            )
            data[duration_at : duration_at + 4] = (4900 * scale).to_bytes(4, "big")
            at = data.find(header, at + 1)
    at = data.find(b"elst")
    while at >= 0:
        data[at + 12 : at + 16] = (4_900_000).to_bytes(4, "big")
        at = data.find(b"elst", at + 1)
    exaggerating = tmp_path / "exaggerating.mp4"
    exaggerating.write_bytes(data)
    facts = probe(exaggerating)
    assert facts.duration_seconds == pytest.approx(12.0, abs=0.1)
    assert facts.claimed_seconds == pytest.approx(4900, rel=0.01)
    assert probe(media_samples.path("h264_gop2.mp4")).claimed_seconds is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty (0 bytes)"),
        (b"just some words\n" * 20, "a text file"),
        (b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n", "a playlist"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "a list of other files"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'></svg>", "an image (SVG)"),
        (b"<!DOCTYPE html><html></html>", "a web page"),
        (b"WEBVTT\n\n00:00.000 --> 00:01.000\nHello\n", "a caption file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "an image (PNG)"),
        (bytes(range(256)) * 64, "corrupt or in a format that is not supported"),
        (bytes(5000), "corrupt or in a format that is not supported"),
    ],
)
def test_what_is_no_media_is_refused_by_name(tmp_path, content, reason):
    file = tmp_path / "talk.mp4"
    file.write_bytes(content)
    with pytest.raises(SourceRejected) as refused:
        probe(file)
    assert reason in str(refused.value)
    assert "talk.mp4" in refused.value.reason
    assert not refused.value.retryable


def test_a_missing_file_and_a_directory_are_refused(tmp_path):
    with pytest.raises(SourceRejected, match="does not exist"):
        probe(tmp_path / "nothing.mp4")
    with pytest.raises(SourceRejected, match="is a directory"):
        probe(tmp_path)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("h264_gop2.mp4", 0.6),  # the index is at the end and gone
        ("h264_fragmented.mp4", 0.6),
        ("h264.mkv", 0.6),
        ("two_edits.mp4", 0.9),
    ],
)
def test_a_truncated_file_is_refused(media_samples, tmp_path, name, kept):
    data = media_samples.path(name).read_bytes()
    cut = tmp_path / f"cut{Path(name).suffix}"
    cut.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(SourceRejected, match="truncated"):
        probe(cut)


def test_a_file_whose_index_reaches_past_its_end_is_refused(media_samples, tmp_path):
    whole = tmp_path / "front.mp4"
    source = ffmpeg.input(str(media_samples.path("h264_gop2.mp4")))
    media_ffmpeg.run_ffmpeg(
        ffmpeg.output(source, str(whole), c="copy", movflags="+faststart"),
        timeout_seconds=30,
        task="remuxing",
    )
    probe(whole)
    data = whole.read_bytes()
    whole.write_bytes(data[: len(data) // 2])
    with pytest.raises(SourceRejected, match=r"index reaches .* bytes past its end"):
        probe(whole)


def test_a_file_of_which_only_the_frame_data_is_garbage_is_refused(media_samples, tmp_path):
    data = bytearray(media_samples.path("h264_no_sound.mp4").read_bytes())
    start = data.find(b"mdat") + 4
    end = data.find(b"moov") - 4
    data[start:end] = os.urandom(end - start)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(data)
    with pytest.raises(SourceRejected, match="corrupt"):
        probe(broken)


def test_a_name_that_begins_with_a_dash_is_a_name(media_samples, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("-i 100%d:x.mp4").write_bytes(media_samples.path("h264_no_sound.mp4").read_bytes())
    assert probe(Path("-i 100%d:x.mp4")).duration_seconds == pytest.approx(6.0, abs=0.01)


def test_ffmpeg_is_killed_at_its_time_limit():
    endless = ffmpeg.output(
        ffmpeg.input("testsrc2", format="lavfi", re=None), "pipe:", format="null"
    )
    begun = time.monotonic()
    with pytest.raises(MediaFailed, match=r"did not finish waiting within 0.5 s"):
        media_ffmpeg.run_ffmpeg(endless, timeout_seconds=0.5, task="waiting")
    assert time.monotonic() - begun < 10


def test_ffmpeg_is_killed_when_cancelled():
    endless = ffmpeg.output(
        ffmpeg.input("testsrc2", format="lavfi", re=None), "pipe:", format="null"
    )
    cancelled = threading.Event()
    threading.Timer(0.3, cancelled.set).start()
    with pytest.raises(MediaFailed, match="cancelled"):
        media_ffmpeg.run_ffmpeg(endless, timeout_seconds=30, task="waiting", cancelled=cancelled)


def test_ffmpegs_own_words_are_in_the_failure(tmp_path):
    nothing = ffmpeg.output(ffmpeg.input(str(tmp_path / "no.mp4")), "pipe:", format="null")
    with pytest.raises(MediaFailed, match=r"ffmpeg failed at reading: .*No such file"):
        media_ffmpeg.run_ffmpeg(nothing, timeout_seconds=30, task="reading")


@pytest.fixture
def searched_anew(monkeypatch):
    media_ffmpeg.ffmpeg_executable.cache_clear()
    yield monkeypatch
    media_ffmpeg.ffmpeg_executable.cache_clear()


def ffmpeg_that_says(folder, *lines):
    program = folder / "ffmpeg"
    program.write_text("#!/bin/sh\ncat <<'END'\n" + "\n".join(lines) + "\nEND\n")
    program.chmod(0o755)
    return program


DEBIANS = "ffmpeg version 5.1.8-0+deb12u1 Copyright (c) 2000-2025 the FFmpeg developers"
SNAPSHOT = "ffmpeg version N-120000-gdeadbeef Copyright (c) 2000-2026 the FFmpeg developers"


def test_a_configured_ffmpeg_that_is_not_there_is_named(searched_anew):
    searched_anew.setenv("VIDEOMOMENTS_FFMPEG", "/nowhere/ffmpeg")
    with pytest.raises(EngineUnavailable, match="/nowhere/ffmpeg"):
        media_ffmpeg.ffmpeg_executable()


def test_an_ffmpeg_that_the_machine_happens_to_have_is_left_alone(searched_anew, tmp_path):
    ffmpeg_that_says(tmp_path, SNAPSHOT, "libavformat    63.  7.100 / 63.  7.100")
    searched_anew.delenv("VIDEOMOMENTS_FFMPEG", raising=False)
    searched_anew.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert "imageio_ffmpeg" in media_ffmpeg.ffmpeg_executable()


@pytest.mark.parametrize("library", ["libavformat    59. 27.100 / 59. 27.100", ""])
def test_an_older_ffmpeg_than_clips_are_exact_with_is_refused(searched_anew, tmp_path, library):
    searched_anew.setenv("VIDEOMOMENTS_FFMPEG", str(ffmpeg_that_says(tmp_path, DEBIANS, library)))
    with pytest.raises(EngineUnavailable, match=r"ffmpeg version 5\.1\.8-0.* older than") as caught:
        media_ffmpeg.ffmpeg_executable()
    assert "VIDEOMOMENTS_FFMPEG" in caught.value.remedy


def test_a_build_between_two_releases_is_told_by_its_library(searched_anew, tmp_path):
    program = ffmpeg_that_says(tmp_path, SNAPSHOT, "libavformat    63.  7.100 / 63.  7.100")
    searched_anew.setenv("VIDEOMOMENTS_FFMPEG", str(program))
    assert media_ffmpeg.ffmpeg_executable() == str(program)


def test_a_program_that_does_not_run_is_no_ffmpeg(searched_anew, tmp_path):
    program = tmp_path / "ffmpeg"
    program.write_text("no program")
    program.chmod(0o755)
    searched_anew.setenv("VIDEOMOMENTS_FFMPEG", str(program))
    with pytest.raises(EngineUnavailable, match="does not run"):
        media_ffmpeg.ffmpeg_executable()
