"""Pictures that would take more memory than there may be are refused before one is decoded."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import ffmpeg
import pytest

from videomoments_dagster.base.failures import MediaFailed, SourceRejected
from videomoments_dagster.media.container import frames_of, open_media
from videomoments_dagster.media.ffmpeg import ended_with, run_ffmpeg
from videomoments_dagster.media.probe import probe

CODECS = {
    "mov": ["mjpeg"],
    "avi": ["mjpeg"],
    "mkv": ["png"],
    "webm": ["libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"],
    "mp4": ["libx264", "-preset", "ultrafast"],
    "ts": ["libx264", "-preset", "ultrafast"],
    "mpg": ["mpeg2video"],
}


def film(path: Path, *codec: str, size: str = "1600x1200", more: tuple[str, ...] = ()) -> Path:
    """A second of grey."""
    from videomoments_dagster.media.ffmpeg import ffmpeg_executable

    subprocess.run(
        [
            *(ffmpeg_executable(), "-nostdin", "-v", "error", "-y", "-f", "lavfi"),
            *("-i", f"color=gray:size={size}:rate=5:duration=1", "-threads", "1"),
            *(*more, "-c:v", *codec, str(path)),
        ],
        check=True,
        timeout=60,
    )
    return path


@pytest.mark.parametrize("container", sorted(CODECS))
def test_larger_pictures_than_the_limit_are_refused_with_their_size(
    container: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = film(tmp_path / f"large.{container}", *CODECS[container])
    assert probe(large).video is not None
    monkeypatch.setenv("VIDEOMOMENTS_MAX_PICTURE_MEGAPIXELS", "1.5")
    with pytest.raises(SourceRejected, match=r"pictures of 1600x1200, .* 1\.5 megapix") as refused:
        probe(large)
    assert "large." in refused.value.reason
    assert "VIDEOMOMENTS_MAX_PICTURE_MEGAPIXELS" in refused.value.remedy


def test_a_picture_of_144_megapixels_takes_no_memory_in_whoever_probes_it(tmp_path: Path) -> None:
    large = film(tmp_path / "large.mkv", "png", size="12000x12000", more=("-frames:v", "1"))
    program = (
        "import resource, sys; from pathlib import Path\n"
        "from videomoments_dagster.base.failures import SourceRejected\n"
        "from videomoments_dagster.media.probe import probe\n"
        "used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = used()\n"
        "try: probe(Path(sys.argv[1]))\n"
        "except SourceRejected as error: print(used() - before, error)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", program, str(large)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    kibibytes, _, sentence = said.partition(" ")
    assert "12000x12000" in sentence
    assert int(kibibytes) < 60_000


def test_a_stream_that_grows_past_the_limit_is_not_decoded_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOMOMENTS_MAX_PICTURE_MEGAPIXELS", "1")
    small = film(tmp_path / "small.ts", "libx264", size="320x180")
    large = film(tmp_path / "large.ts", "libx264")
    both = tmp_path / "both.ts"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    with open_media(both) as container:
        stream = container.streams.video[0]
        sizes = [(f.width, f.height) for p in container.demux(stream) for f in frames_of(p)]
    assert set(sizes) == {(320, 180)}


def test_a_large_cover_does_not_keep_sound_from_being_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cover = film(tmp_path / "cover.png", "png", more=("-frames:v", "1"))
    sound = tmp_path / "talk.mp3"
    tone = ffmpeg.input("sine=duration=2", f="lavfi")
    picture = ffmpeg.input(str(cover))
    run_ffmpeg(
        ffmpeg.output(
            tone.audio,
            picture.video,
            str(sound),
            vcodec="copy",
            **{"disposition:v": "attached_pic"},
        ),
        timeout_seconds=60,
        task="making sound with a cover",
    )
    monkeypatch.setenv("VIDEOMOMENTS_MAX_PICTURE_MEGAPIXELS", "1")
    facts = probe(sound)
    assert facts.audio is not None
    assert facts.video is None


def test_a_child_that_was_killed_is_said_to_have_run_out_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from videomoments_dagster.media import ffmpeg as media_ffmpeg

    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\nkill -9 $$\n")
    program.chmod(0o755)
    monkeypatch.setattr(media_ffmpeg, "ffmpeg_executable", lambda: str(program))
    source = ffmpeg.output(ffmpeg.input("a"), "b")
    with pytest.raises(MediaFailed, match=r"cutting a clip: it was killed, .* out of memory"):
        run_ffmpeg(source, timeout_seconds=10, task="cutting a clip")


def test_how_a_child_ended_is_said_in_words() -> None:
    assert "out of memory" in ended_with(-signal.SIGKILL)
    assert ended_with(-signal.SIGSEGV) == "it crashed (Segmentation fault)"
    assert ended_with(3) == "it ended with status 3 and no message"
