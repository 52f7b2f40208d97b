"""Which sound and which subtitles of a file are worked on, where somebody chooses."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from ffmpeg_readings import made, ran
from media_samples import AAC, H264, picture
from pipeline import Pipeline

from videomoments_dagster.base.failures import SourceRejected
from videomoments_dagster.cli.main import main
from videomoments_dagster.media.probe import probe

LOW, HIGH = 400, 3000
SECONDS = 40


def tone(frequency: int) -> list[str]:
    return ["-f", "lavfi", "-i", f"sine=frequency={frequency}:sample_rate=16000:duration={SECONDS}"]


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sounds, which are tones of different pitch, and two subtitle tracks."""
    folder = tmp_path_factory.mktemp("tracks")
    written = []
    for name in ("first", "second"):
        cues = [
            f"{at}\n00:00:{at:02d},000 --> 00:00:{at + 3:02d},500\nThe {name} one says {at}.\n"
            for at in range(1, SECONDS - 4, 4)
        ]
        subtitles = folder / f"{name}.srt"
        subtitles.write_text("\n".join(cues))
        written += ["-i", str(subtitles)]
    maps = [part for number in range(5) for part in ("-map", str(number))]
    languages = ["-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=deu"]
    streams = [*picture(SECONDS, size="160x90"), *tone(LOW), *tone(HIGH), *written, *maps]
    return made(folder / "tracks.mkv", *streams, *H264, *AAC, "-c:s", "srt", *languages)


def pitch(path: Path) -> float:
    """The loudest frequency of a file's sound, in hertz."""
    import numpy as np

    mono = ["-map", "0:a:0", "-ac", "1", "-ar", "16000", "-f", "f32le", "-"]
    samples = np.frombuffer(ran("-i", str(path), *mono), np.float32)[16_000:32_000]
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * 16_000 / len(samples))


def heard_in_clips(pipeline: Pipeline) -> set[int]:
    urls = [url for (url,) in pipeline.rows("SELECT cloud_url FROM clips")]
    assert urls
    return {round(pitch(Path(url.removeprefix("file://"))), -2) for url in urls}


def said(pipeline: Pipeline) -> str:
    [(text,)] = pipeline.rows("SELECT full_text FROM transcripts")
    return text


def test_the_sound_and_subtitles_that_were_chosen_are_those_of_all_results(
    pipeline: Pipeline, media: Path
) -> None:
    video = pipeline.add(media, subtitle_track=1)
    assert pipeline.run(video).row.status == "completed"
    assert heard_in_clips(pipeline) == {LOW}
    assert said(pipeline).startswith("The first one")
    assert any(
        "Its sound is track 1 (eng); there is also track 2 (deu)" in one
        for one in pipeline.last.said
    )
    assert pipeline.add(media, audio_track=2, subtitle_track=2) == video
    assert pipeline.run(video).row.status == "completed"
    assert heard_in_clips(pipeline) == {HIGH}
    assert said(pipeline).startswith("The second one")
    assert pipeline.run(video).row.status == "completed"
    assert all(pipeline.last.unchanged.values())


def test_a_track_that_there_is_none_of_is_refused_with_those_there_are(media: Path) -> None:
    with pytest.raises(SourceRejected, match="no sound track 3; there is") as refusal:
        probe(media, sound_track=3)
    assert "track 1 (eng, aac), track 2 (deu, aac)" in str(refusal.value)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--audio-track", "3"], "has no sound track 3; there is track 1 (eng, aac), track 2"),
        (["--subtitle-track", "7"], "has no text subtitle track 7; there is track 1 (subrip)"),
        (["--audio-track", "0"], "0 is not in the range x>=1"),
        (["--captions", "a.srt", "--subtitle-track", "1"], "exclude each other"),
    ],
)
def test_add_refuses_it_in_a_sentence(
    pipeline: Pipeline, media: Path, options: list[str], sentence: str
) -> None:
    done = CliRunner().invoke(main, ["add", str(media), *options])
    assert done.exit_code != 0
    assert sentence in f"{done.output} {done.exception}"
    assert pipeline.rows("SELECT count(*) FROM pipeline.sources") == [(0,)]
