"""The sound that engines get lies on the presented timeline, whatever the container does."""

import subprocess
import wave
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from videomoments_dagster.base.failures import MediaFailed
from videomoments_dagster.media.container import MP4
from videomoments_dagster.media.ffmpeg import ffmpeg_executable
from videomoments_dagster.media.probe import probe
from videomoments_dagster.media.speech_audio import extract_speech_audio, speech_samples
from videomoments_dagster.speech.heard_pauses import heard_pauses, listened_to
from videomoments_dagster.speech.pauses import loudness_db

PICTURE = ["-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25:duration=6"]
BEEPS = ["-f", "lavfi", "-i", "aevalsrc='if(lt(mod(t,1),0.1),0.8*sin(6000*t),0)':s=48000:d=6"]
CODECS = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-c:a", "aac", "-shortest"]

LATE_SOUND = [*PICTURE, "-itsoffset", "1.5", *BEEPS, *CODECS]
EARLY_SOUND = ["-itsoffset", "1.6", *PICTURE, *BEEPS, *CODECS]


def ffmpeg(*arguments):
    command = [ffmpeg_executable(), "-y", "-loglevel", "error", *map(str, arguments)]
    subprocess.run(command, check=True, timeout=60)


def beep_starts(media: Path) -> list[float]:
    facts = probe(media)
    wav = extract_speech_audio(media, facts, to=media.with_name("speech.wav"), timeout_seconds=60)
    samples = speech_samples(wav)
    assert samples.size / 16000 <= facts.duration_seconds + 0.001
    loud = loudness_db(samples, rate=16000) > -20
    return (np.flatnonzero(loud[1:] & ~loud[:-1]) / 100 + 0.01).tolist()


def expected(first: float, count: int) -> list:
    return [pytest.approx(first + number, abs=0.02) for number in range(count)]


@pytest.mark.parametrize("name", ["late.mp4", "late.mkv", "late.ts", "late.webm"])
def test_sound_that_starts_late_is_preceded_by_silence(tmp_path, name):
    media = tmp_path / name
    codecs = ["-c:v", "libvpx", "-cpu-used", "16", "-c:a", "libopus"]
    arguments = LATE_SOUND[: -len(CODECS)] if name.endswith("webm") else LATE_SOUND
    ffmpeg(*arguments, *(codecs if name.endswith("webm") else ()), media)
    assert beep_starts(media)[:4] == expected(1.5, 4)


# A transport stream does not tell that its sound begins with 21 ms of the encoder's own.
@pytest.mark.parametrize(("name", "first"), [("early.mkv", 1.0), ("early.ts", 1.021)])
def test_sound_before_the_first_picture_is_heard(tmp_path, name, first):
    media = tmp_path / name
    ffmpeg(*EARLY_SOUND, media)
    assert [at for at in beep_starts(media) if at > 0.5][:3] == expected(first, 3)


def test_an_edit_list_is_followed(tmp_path):
    whole, media = tmp_path / "whole.mp4", tmp_path / "edited.mp4"
    ffmpeg(*PICTURE, *BEEPS, *CODECS, whole)
    ffmpeg("-ss", "2.3", "-i", whole, "-c", "copy", media)
    assert beep_starts(media)[:3] == expected(0.7, 3)


def test_a_gap_in_the_sound_is_filled_with_silence(tmp_path):
    media = tmp_path / "gap.mkv"
    gap = ["-af", "aselect='not(between(t,2.5,3.5))'"]
    ffmpeg(*PICTURE, *BEEPS, *gap, *CODECS, media)
    assert beep_starts(media) == [*expected(1.0, 2), *expected(4.0, 2)]


def test_a_file_without_sound_gives_none(tmp_path):
    media = tmp_path / "silent.mp4"
    ffmpeg(*PICTURE, "-c:v", "libx264", "-preset", "ultrafast", media)
    wav = tmp_path / "speech.wav"
    assert extract_speech_audio(media, probe(media), to=wav, timeout_seconds=60) is None
    assert not wav.exists()


def test_the_wav_is_16_khz_mono_and_nothing_else_is_left(tmp_path):
    media, scratch = tmp_path / "a b'c.mp4", tmp_path / "scratch"
    scratch.mkdir()
    ffmpeg(*PICTURE, *BEEPS, *CODECS, media)
    wav = scratch / "speech.wav"
    assert extract_speech_audio(media, probe(media), to=wav, timeout_seconds=60) == wav
    with wave.open(str(wav)) as reader:
        assert (reader.getnchannels(), reader.getsampwidth(), reader.getframerate()) == (
            1,
            2,
            16000,
        )
        assert reader.getnframes() / 16000 == pytest.approx(6, abs=0.05)
        assert (speech_samples(wav).tobytes()) == reader.readframes(10**9)
    assert list(scratch.iterdir()) == [wav]


def test_sound_that_does_not_decode_fails_in_a_sentence_and_leaves_nothing(tmp_path):
    whole, scratch = tmp_path / "whole.mkv", tmp_path / "scratch"
    scratch.mkdir()
    ffmpeg(*PICTURE, *BEEPS, *CODECS, whole)
    facts = probe(whole)
    damaged = tmp_path / "damaged.mkv"
    # The right container around a codec's data that is none of it.
    ffmpeg("-i", whole, "-c", "copy", "-bsf:a", "noise=amount=1", damaged)
    with pytest.raises(MediaFailed, match=r"damaged\.mkv"):
        extract_speech_audio(damaged, facts, to=scratch / "speech.wav", timeout_seconds=60)
    assert list(scratch.iterdir()) == []


def test_the_time_limit_is_kept(tmp_path):
    media = tmp_path / "media.mp4"
    ffmpeg(*PICTURE, *BEEPS, *CODECS, media)
    with pytest.raises(MediaFailed, match="within"):
        extract_speech_audio(media, probe(media), to=tmp_path / "speech.wav", timeout_seconds=0.001)
    assert not list(tmp_path.glob("*.wav*"))


@pytest.mark.parametrize(
    "name",
    [
        "h264_gop2.mp4",
        "h264.mkv",
        "h264_fragmented.mp4",
        "two_edits.mp4",
        "delayed_start.mp4",
        "vp9.webm",
    ],
)
def test_a_stretch_sounds_as_it_does_in_the_whole(media_samples, tmp_path, name):
    media = media_samples.path(name)
    facts = probe(media)
    start, end = 3.3, facts.duration_seconds - 0.4

    def loud(**stretch):
        wav = extract_speech_audio(
            media, facts, to=tmp_path / "speech.wav", timeout_seconds=60, **stretch
        )
        return loudness_db(speech_samples(wav), rate=16000) > -30

    whole, part = loud()[330:], loud(stretch=(start, end))
    assert abs(part.size - (end - start) * 100) <= 1
    # Beeps begin and end within hundredths.
    assert (whole[: part.size] != part).sum() <= 2 * (end - start)
    assert part.any()


def test_only_what_is_near_is_listened_to_where_packets_keep_their_times():
    facts = SimpleNamespace(container=MP4, duration_seconds=1000.0)
    assert listened_to([(100, 116), (-8, 8), (110, 126)], facts) == [(0.0, 8), (100, 126)]
    facts.container = "mp3"
    assert listened_to([(100, 116)], facts) == [(0.0, 1000.0)]
    assert listened_to([], facts) == []


def test_pauses_of_stretches_lie_where_they_are_heard(tmp_path):
    media = tmp_path / "beeps.mp4"
    sound = "aevalsrc='0.3*sin(1200*t)*gt(mod(t,5),0.5)+0.001*random(0)':s=48000:d=120"
    ffmpeg("-f", "lavfi", "-i", sound, "-c:a", "aac", media)
    facts = probe(media)
    stretches = listened_to([(8.0, 12.0), (48.0, 52.0)], facts)
    assert stretches == [(8.0, 12.0), (48.0, 52.0)]
    told = []
    found = heard_pauses(
        media,
        facts,
        stretches,
        shortest_seconds=0.25,
        scratch=tmp_path,
        progress=lambda *done: told.append(done),
    )
    assert found == [
        (pytest.approx(10.0, abs=0.03), pytest.approx(10.5, abs=0.03)),
        (pytest.approx(50.0, abs=0.03), pytest.approx(50.5, abs=0.03)),
    ]
    assert told == [(1, 2), (2, 2)]


def test_behind_the_end_of_the_sound_nobody_speaks(tmp_path):
    media = tmp_path / "ends_early.mp4"
    picture = ["-f", "lavfi", "-i", "testsrc2=size=160x90:rate=5:duration=120"]
    sound = ["-f", "lavfi", "-i", "aevalsrc='0.3*sin(1200*t)*gt(mod(t,5),0.5)':s=48000:d=52"]
    ffmpeg(*picture, *sound, *CODECS[:-1], media)
    found = heard_pauses(
        media,
        probe(media),
        [(48.0, 54.0), (90.0, 95.0)],
        shortest_seconds=0.25,
        scratch=tmp_path,
        progress=lambda *_: None,
    )
    assert found == [
        (pytest.approx(50.0, abs=0.03), pytest.approx(50.5, abs=0.03)),
        (pytest.approx(52.0, abs=0.05), pytest.approx(54.0, abs=0.02)),
        (pytest.approx(90.0), pytest.approx(95.0)),
    ]
