"""Files that cannot be worked on are called what they are."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from media_samples import MediaSamples

from videomoments_dagster.base.failures import MediaFailed, SourceRejected
from videomoments_dagster.base.files import spoken_name
from videomoments_dagster.media.ffmpeg import ffmpeg_executable, run_ffmpeg
from videomoments_dagster.media.probe import probe

pytest_plugins = ["media_samples"]


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], data[at : at + length]
        at += length


def with_entry(movie: bytes, old: bytes, new: bytes) -> bytes:
    """A movie whose track of one codec says that it has another."""
    at = movie.find(old, movie.find(b"stsd"))
    return movie[:at] + new + movie[at + 4 :]


@pytest.fixture
def movie(media_samples: MediaSamples) -> bytes:
    return media_samples.path("h264_gop2.mp4").read_bytes()


def refusal(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(SourceRejected) as refused:
        probe(path)
    sentence = str(refused.value)
    assert path.name in sentence
    assert "corrupt" not in sentence
    assert "Errno" not in sentence
    assert "0x" not in sentence
    return sentence


def test_an_encrypted_file_is_called_encrypted(media_samples: MediaSamples, tmp_path: Path) -> None:
    locked = tmp_path / "locked.mp4"
    source = media_samples.path("h264_gop2.mp4")
    key = ["-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "7" * 32]
    subprocess.run(
        [
            *(ffmpeg_executable(), "-nostdin", "-v", "error", "-i", str(source), "-c", "copy"),
            *(*key, "-encryption_kid", "a" * 32, str(locked)),
        ],
        check=True,
        timeout=60,
    )
    said = refusal(locked, locked.read_bytes())
    assert "is encrypted" in said
    assert "without copy protection" in said


def test_pictures_in_an_unknown_codec_are_said_to_be_unsupported(
    movie: bytes, tmp_path: Path
) -> None:
    said = refusal(tmp_path / "new.mp4", with_entry(movie, b"avc1", b"zzzz"))
    assert "its pictures are in a codec that is not supported (zzzz)" in said
    # What probes is not that ffmpeg.
    assert "VIDEOMOMENTS_FFMPEG" not in said


@pytest.fixture
def odd_sound(media_samples: MediaSamples, tmp_path: Path) -> Path:
    """Pictures that are fine, with sound in a codec that nobody knows."""
    path = tmp_path / "odd.mov"
    subprocess.run(
        [
            *(ffmpeg_executable(), "-nostdin", "-v", "error", "-y"),
            *("-i", str(media_samples.path("h264_gop2.mp4"))),
            *("-c:v", "copy", "-c:a", "pcm_s16le", str(path)),
        ],
        check=True,
        timeout=60,
    )
    path.write_bytes(path.read_bytes().replace(b"sowt", b"zzzz"))
    return path


def test_sound_in_an_unknown_codec_is_said_to_be_unsupported_and_what_works_without(
    odd_sound: Path,
) -> None:
    said = refusal(odd_sound, odd_sound.read_bytes())
    assert "its sound is in a codec that is not supported (zzzz)" in said
    assert "--captions" in said


def test_pictures_alone_are_accepted_where_nobody_needs_the_sound(odd_sound: Path) -> None:
    facts = probe(odd_sound, sound_needed=False)
    assert facts.video is not None
    assert facts.audio is None
    assert facts.has_unknown_sound
    assert facts.duration_seconds == pytest.approx(12.0, abs=0.01)


def test_an_index_without_its_data_is_said_to_have_none(movie: bytes, tmp_path: Path) -> None:
    parts = dict(boxes(movie))
    said = refusal(tmp_path / "index.mp4", parts[b"ftyp"] + parts[b"moov"])
    assert "an index and no data (no mdat box)" in said


def test_data_that_lies_in_another_file_is_said_to_do_so(movie: bytes, tmp_path: Path) -> None:
    parts = dict(boxes(movie))
    # The reference to the file itself, and one to another.
    elsewhere = parts[b"moov"].replace(b"url \0\0\0\1", b"url \0\0\0\0")
    for name, content in (
        ("far.mov", parts[b"ftyp"] + elsewhere),
        ("alias.mov", movie.replace(b"url \0\0\0\1", b"alis\0\0\0\0")),
    ):
        assert "lie in another file, which it only refers to" in refusal(tmp_path / name, content)


def test_what_ffmpeg_says_is_told_without_its_addresses_in_memory(tmp_path: Path) -> None:
    import ffmpeg

    source = ffmpeg.input("testsrc2=duration=0.2", f="lavfi")
    output = ffmpeg.output(source, str(tmp_path / "a.mp4"), vcodec="pcm_s16le")
    with pytest.raises(MediaFailed) as failed:
        run_ffmpeg(output, timeout_seconds=20, task="trying")
    assert "0x" not in str(failed.value)
    assert "ffmpeg failed at trying: " in str(failed.value)


@pytest.mark.parametrize(
    ("name", "spoken"),
    [
        ("talk.mp4", "'talk.mp4'"),
        (f"{'0a' * 32}.mp4", "the stored file"),
        (f"stretches-{'0a' * 8}.mp4", "the stored file"),
    ],
)
def test_a_file_is_called_by_its_name_and_not_by_its_content_hash(name: str, spoken: str) -> None:
    assert spoken_name(Path("/objects/videos") / name) == spoken
