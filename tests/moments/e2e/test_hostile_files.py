"""Files that name other files and addresses: none of them may be read or called.

Each hostile file is first shown to work on an ffmpeg that is told to allow it, or the test would
prove nothing.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import av.error
import ffmpeg
import pytest
from counting_server import CountingServer, counting_server
from media_samples import MediaSamples

from videomoments_dagster.base.failures import MediaFailed, SourceRejected
from videomoments_dagster.media.container import open_media
from videomoments_dagster.media.facts import AudioStream, MediaFacts
from videomoments_dagster.media.ffmpeg import (
    ffmpeg_executable,
    input_options,
    run_ffmpeg,
    safe_input,
)
from videomoments_dagster.media.probe import probe
from videomoments_dagster.media.speech_audio import extract_speech_audio
from videomoments_dagster.speech.captions import CaptionsEngine
from videomoments_dagster.speech.engine import TranscriptionOptions, TranscriptionRequest

_DASH = """<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT10S"
 profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period><AdaptationSet
 mimeType="video/mp4"><Representation id="1" bandwidth="1000"><BaseURL>{target}</BaseURL>
<SegmentBase indexRange="0-10"/></Representation></AdaptationSet></Period></MPD>
"""
_PLAYLIST = """#EXTM3U
#EXT-X-TARGETDURATION:10
#EXT-X-MEDIA-SEQUENCE:0
{key}#EXTINF:10.0,
{target}
#EXT-X-ENDLIST
"""

DOCUMENTS = {
    "hls": _PLAYLIST.replace("{key}", ""),
    "hls, key": _PLAYLIST.replace("{key}", '#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n'),
    "dash": _DASH,
    "concat": "ffconcat version 1.0\nfile '{target}'\n",
    "svg": "<svg xmlns='http://www.w3.org/2000/svg' width='64' height='64'>"
    "<image href='{target}' width='64' height='64'/></svg>",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=talk\nu={target}\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "webvtt": "WEBVTT\n\n00:00.000 --> 00:01.000\n<img src='{target}'>\n",
}
WORKING = {
    "hls": ("-allowed_extensions", "ALL", "-extension_picky", "0"),
    "hls, key": ("-allowed_extensions", "ALL", "-extension_picky", "0"),
    "dash": (),
    "concat": ("-safe", "0"),
}


class Trap:
    """A file that notices being opened: a named pipe, where nobody but the trap writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.opened = False
        self._over = False
        os.mkfifo(path)
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()

    def _watch(self) -> None:
        while not self._over:
            try:
                # Without a reader at the other end it fails.
                os.close(os.open(self.path, os.O_WRONLY | os.O_NONBLOCK))
                self.opened = True
            except OSError:
                time.sleep(0.005)

    def close(self) -> None:
        self._over = True
        self._watcher.join()


@pytest.fixture
def trap(tmp_path: Path) -> Iterator[Trap]:
    trap = Trap(tmp_path / "secret.ts")
    yield trap
    trap.close()


@pytest.fixture
def server() -> Iterator[CountingServer]:
    with counting_server() as server:
        yield server


Aim = Callable[[str], str]


@pytest.fixture
def aim(server: CountingServer, trap: Trap) -> Aim:
    """Spell out what a hostile file names."""
    named = {
        "an address": f"{server.url}/secret.ts",
        "a file": str(trap.path),
        "a file URL": f"file://{trap.path}",
        "a file beside it": trap.path.name,
        "the users": "/etc/passwd",
        "the users' URL": "file:///etc/passwd",
    }
    return named.__getitem__


TARGETS = ["an address", "a file", "a file URL", "a file beside it", "the users", "the users' URL"]


def refused_by_every_way_in(file: Path) -> str:
    """The sentence of probing; whatever it recognises first, the readers refuse it as well."""
    with pytest.raises(SourceRejected) as rejected:
        probe(file)
    with pytest.raises((av.error.FFmpegError, OSError)):
        open_media(file).close()
    with pytest.raises(MediaFailed):
        run_ffmpeg(decoded(file), timeout_seconds=20, task="reading")
    sentence = str(rejected.value)
    assert "\n" not in sentence
    assert "root:" not in sentence
    assert file.name in sentence
    return sentence


def decoded(file: Path) -> Any:
    source = ffmpeg.input(safe_input(file), **input_options())
    return ffmpeg.output(source, "pipe:", format="null")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", sorted(DOCUMENTS))
# The zero hides from the sniffing that it is a text.
@pytest.mark.parametrize("ending", ["", "\0"], ids=["a text", "hidden"])
def test_a_document_that_names_something_is_refused_and_what_it_names_is_not_touched(
    kind: str,
    target: str,
    ending: str,
    aim: Aim,
    server: CountingServer,
    trap: Trap,
    tmp_path: Path,
) -> None:
    file = tmp_path / "talk.mp4"
    file.write_text(DOCUMENTS[kind].replace("{target}", aim(target)) + ending)
    refused_by_every_way_in(file)
    assert server.connections == 0
    assert not trap.opened


@pytest.mark.parametrize("kind", sorted(WORKING))
def test_the_same_document_works_where_it_is_allowed(
    kind: str, aim: Aim, server: CountingServer, tmp_path: Path
) -> None:
    file = tmp_path / "talk.mp4"
    ending = "" if kind == "dash" else "\0"
    file.write_text(DOCUMENTS[kind].replace("{target}", aim("an address")) + ending)
    demuxer = kind.partition(",")[0]
    subprocess.run(
        [
            *(ffmpeg_executable(), "-nostdin", "-loglevel", "quiet"),
            *("-protocol_whitelist", "file,http,tcp,crypto", "-f", demuxer, *WORKING[kind]),
            *("-i", str(file), "-f", "null", "-"),
        ],
        check=False,
        timeout=30,
    )
    assert server.connections > 0


@pytest.mark.parametrize("name", ["secret%d.mp4", "secret*.mp4", "%d.jpg.mp4"])
def test_a_name_that_is_a_pattern_is_the_name_of_one_file(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    trap = Trap(tmp_path / name.replace("%d", "1").replace("*", "1"))
    try:
        refused_by_every_way_in(file)
        assert not trap.opened
        file.unlink()
        with pytest.raises(SourceRejected, match="does not exist"):
            probe(file)
        assert not trap.opened
    finally:
        trap.close()


@pytest.mark.parametrize(
    "name", ["concat:a", "subfile,,start,0,end,9,,:a", "data:,a", "pipe:0", "http:127.0.0.1"]
)
def test_a_name_that_is_an_ffmpeg_address_is_the_name_of_a_file(
    name: str, media_samples: MediaSamples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(media_samples.path("h264_no_sound.mp4").read_bytes())
    assert probe(Path(name)).video is not None


def refused_by_probing(file: Path) -> None:
    with pytest.raises(SourceRejected) as rejected:
        probe(file)
    assert file.name in str(rejected.value)
    assert "\n" not in str(rejected.value)


def boxed(kind: bytes, content: bytes) -> bytes:
    return (len(content) + 8).to_bytes(4, "big") + kind + content


def with_data_reference(movie: bytes, entry: bytes) -> bytes:
    """Have every track of a QuickTime file take its data from elsewhere."""
    way = (b"moov", b"trak", b"mdia", b"minf", b"dinf")
    found, at = b"", 0
    while at < len(movie):
        size = int.from_bytes(movie[at : at + 4], "big")
        kind, content = movie[at + 4 : at + 8], movie[at + 8 : at + size]
        if kind in way:
            content = with_data_reference(content, entry)
        elif kind == b"dref":
            content = bytes(4) + (1).to_bytes(4, "big") + entry
        found += boxed(kind, content)
        at += size
    return found


def alias(path: str) -> bytes:
    """A Macintosh alias record of a file beside the movie."""
    where = path.encode()
    where += bytes(len(where) % 2)
    levels = (1).to_bytes(2, "big") * 2
    content = bytes(10 + 1 + 27 + 12 + 1 + 63 + 16) + levels + bytes(16)
    content += (2).to_bytes(2, "big") + len(where).to_bytes(2, "big") + where
    return boxed(b"alis", bytes(4) + content + b"\xff\xff\x00\x00")


@pytest.mark.parametrize("target", TARGETS)
def test_a_movie_whose_data_is_said_to_be_elsewhere_is_not_followed(
    target: str,
    aim: Aim,
    media_samples: MediaSamples,
    server: CountingServer,
    trap: Trap,
    tmp_path: Path,
) -> None:
    movie = media_samples.path("h264_gop2.mp4").read_bytes()
    file = tmp_path / "talk.mp4"
    # Such an entry is the standard's way, and ffmpeg takes the movie's own bytes none the less.
    file.write_bytes(
        with_data_reference(movie, boxed(b"url ", bytes(4) + aim(target).encode() + b"\0"))
    )
    probe(file)
    run_ffmpeg(decoded(file), timeout_seconds=60, task="reading")
    file.write_bytes(with_data_reference(movie, alias(f"disk/{aim(target)}")))
    refused_by_probing(file)
    assert server.connections == 0
    assert not trap.opened


def test_the_same_movie_is_followed_where_that_is_allowed(
    media_samples: MediaSamples, trap: Trap, tmp_path: Path
) -> None:
    file = tmp_path / "talk.mp4"
    movie = media_samples.path("h264_gop2.mp4").read_bytes()
    file.write_bytes(with_data_reference(movie, alias(f"disk/{trap.path.name}")))
    with av.open(str(file), options={"enable_drefs": "1"}):
        pass
    assert trap.opened


def avi_with_subtitles(document: bytes) -> bytes:
    """An AVI file whose only stream is a subtitle that is a document of its own."""
    header = b"txts" + bytes(16) + (1).to_bytes(4, "little") * 2 + bytes(28)
    main = (40_000).to_bytes(4, "little") + bytes(12) + (1).to_bytes(4, "little") * 3 + bytes(28)
    inside = b"GAB2\0" + (2).to_bytes(2, "little") + (2).to_bytes(4, "little") + bytes(2)
    inside += (4).to_bytes(2, "little") + len(document).to_bytes(4, "little") + document

    def chunk(kind: bytes, content: bytes) -> bytes:
        return kind + len(content).to_bytes(4, "little") + content + bytes(len(content) % 2)

    stream = chunk(b"LIST", b"strl" + chunk(b"strh", header) + chunk(b"strf", bytes(4)))
    headers = chunk(b"LIST", b"hdrl" + chunk(b"avih", main) + stream)
    data = chunk(b"LIST", b"movi" + chunk(b"00sb", inside) * 2)
    return chunk(b"RIFF", b"AVI " + headers + data)


@pytest.mark.parametrize("kind", ["hls", "concat", "dash"])
def test_a_document_that_is_a_subtitle_inside_a_film_is_not_followed(
    kind: str, aim: Aim, server: CountingServer, tmp_path: Path
) -> None:
    file = tmp_path / "talk.mp4"
    document = DOCUMENTS[kind].replace("{target}", aim("an address"))
    file.write_bytes(avi_with_subtitles(document.encode()))
    with open_media(file) as container:
        assert container.format.name == "avi"
    refused_by_probing(file)
    assert server.connections == 0


def test_a_list_in_place_of_a_video_that_was_probed_is_not_followed_for_its_sound(
    aim: Aim, trap: Trap, tmp_path: Path
) -> None:
    file = tmp_path / "talk.mp4"
    # ffmpeg's own caution lets names of files beside a list pass.
    file.write_text(DOCUMENTS["concat"].replace("{target}", aim("a file beside it")))
    facts = MediaFacts("mov,mp4,m4a,3gp,3g2,mj2", 1.0, 1, None, AudioStream(0, "aac", 48000, 1, 0))
    with pytest.raises(MediaFailed):
        extract_speech_audio(file, facts, to=tmp_path / "sound.wav", timeout_seconds=20)
    assert not trap.opened


@pytest.mark.parametrize("kind", sorted(set(DOCUMENTS) - {"webvtt"}))
def test_a_document_in_place_of_captions_is_refused_in_one_sentence(
    kind: str, aim: Aim, server: CountingServer, trap: Trap, tmp_path: Path
) -> None:
    for target in TARGETS:
        captions = tmp_path / "talk.srt"
        captions.write_text(DOCUMENTS[kind].replace("{target}", aim(target)))
        request = TranscriptionRequest(
            media=tmp_path / "talk.mp4",
            facts=MediaFacts("mov,mp4,m4a,3gp,3g2,mj2", 1.0, 1, None, None),
            captions=captions,
            scratch=tmp_path,
        )
        with pytest.raises(SourceRejected, match="not an SRT or WebVTT file") as rejected:
            CaptionsEngine(TranscriptionOptions(models_folder=tmp_path)).transcribe(request)
        assert "\n" not in str(rejected.value)
        assert aim(target) not in str(rejected.value)
    assert server.connections == 0
    assert not trap.opened
