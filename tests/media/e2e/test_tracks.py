"""Which of several sound and subtitle tracks is taken, in files as recorders make them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videomoments_dagster.media.facts import SubtitleStream
from videomoments_dagster.media.ffmpeg import ffmpeg_executable
from videomoments_dagster.media.probe import probe
from videomoments_dagster.media.tracks import fullest_subtitles
from videomoments_dagster.speech.captions import CaptionsEngine
from videomoments_dagster.speech.engine import TranscriptionOptions, TranscriptionRequest

PICTURE = ("-f", "lavfi", "-i", "testsrc2=s=160x90:r=25:d=6")
SILENCE = ("-f", "lavfi", "-i", "anullsrc=r=48000:cl=stereo:d=6")
VOICE = ("-f", "lavfi", "-i", "sine=frequency=440:r=48000:d=6")
LATE = ("-f", "lavfi", "-i", "sine=frequency=440:r=48000:d=6,volume=0:enable='lt(t,4)'")

Make = Callable[..., Path]


@pytest.fixture
def made(tmp_path: Path) -> Make:
    """A Matroska file of some inputs, all of them mapped."""

    def make(*inputs: tuple[str, ...], options: tuple[str, ...] = ()) -> Path:
        target = tmp_path / "made.mkv"
        maps = [part for number in range(len(inputs)) for part in ("-map", str(number))]
        codecs = ("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac")
        subprocess.run(
            [
                *(ffmpeg_executable(), "-v", "error", "-nostdin", "-y"),
                *(part for one in inputs for part in one),
                *(*maps, *codecs, *options, str(target)),
            ],
            check=True,
            timeout=60,
        )
        return target

    return make


@pytest.mark.parametrize(
    ("sounds", "taken", "silent"),
    [
        ((SILENCE, VOICE), 2, (1,)),
        ((SILENCE, SILENCE, VOICE), 3, (1, 2)),
        ((VOICE, SILENCE), 1, ()),
        ((LATE, VOICE), 1, ()),
        ((SILENCE, SILENCE), 1, ()),
        ((SILENCE,), 1, ()),
    ],
)
def test_the_first_sound_track_with_anything_to_hear_is_taken(
    made: Make, sounds: tuple[tuple[str, ...], ...], taken: int, silent: tuple[int, ...]
) -> None:
    facts = probe(made(PICTURE, *sounds))
    assert facts.audio is not None
    assert (facts.audio.index, facts.silent_streams) == (taken, silent)


def test_a_commentary_comes_after_the_film_s_own_sound(made: Make) -> None:
    commented = ("-disposition:a:0", "comment", "-disposition:a:1", "0")
    facts = probe(made(PICTURE, VOICE, VOICE, options=commented))
    assert facts.audio is not None
    assert facts.audio.index == 2


def test_forced_subtitles_come_last_and_the_others_are_named(made: Make, tmp_path: Path) -> None:
    sign, full = tmp_path / "sign.srt", tmp_path / "full.srt"
    sign.write_text("1\n00:00:01,000 --> 00:00:02,000\nNo entry\n")
    full.write_text("1\n00:00:00,500 --> 00:00:04,000\nAll that is said\n")
    media = made(
        PICTURE,
        ("-i", str(sign)),
        ("-i", str(full)),
        options=("-disposition:s:0", "forced", "-disposition:s:1", "default"),
    )
    facts = probe(media)
    assert [(one.is_forced, one.is_default) for one in facts.subtitles] == [
        (True, False),
        (False, True),
    ]
    options = TranscriptionOptions(models_folder=tmp_path)
    request = TranscriptionRequest(media, facts, captions=None, scratch=tmp_path)
    transcript = CaptionsEngine(options).transcribe(request)
    assert transcript.full_text == "All that is said"
    [note] = [one for one in transcript.notes if "subtitles, track" in one]
    assert note.endswith("subtitles, track 2; there is also track 1 (forced)")


streams = st.lists(
    st.builds(
        SubtitleStream,
        index=st.integers(0, 20),
        codec=st.just("subrip"),
        language=st.none(),
        is_default=st.booleans(),
        is_forced=st.booleans(),
    ),
    min_size=1,
    unique_by=lambda one: one.index,
)


@given(streams)
def test_a_forced_track_is_taken_only_where_all_are_forced(tracks: list[SubtitleStream]) -> None:
    taken = fullest_subtitles(tracks)
    assert taken in tracks
    assert not taken.is_forced or all(one.is_forced for one in tracks)
    same = [one for one in tracks if one.is_forced == taken.is_forced]
    assert taken.is_default or not any(one.is_default for one in same)
