"""Engines are made by name, and say what determines their results."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from videomoments_dagster.base.failures import SettingsRejected
from videomoments_dagster.speech.engine import TranscriptionOptions, two_letter
from videomoments_dagster.speech.engines import (
    ENGINE_NAMES,
    engine_named,
)
from videomoments_dagster.speech.whisper import doubts_of_english
from videomoments_dagster.speech.whisper_models import repository_of

OPTIONS = TranscriptionOptions(models_folder=Path("models"))


@pytest.mark.parametrize("name", ENGINE_NAMES)
def test_every_engine_knows_its_name_and_tells_its_settings_as_json(name):
    engine = engine_named(name, OPTIONS)
    assert engine.name == name
    assert json.loads(json.dumps(engine.settings)) == engine.settings
    assert 0 < len(engine.service) <= 50


def test_the_default_is_faster_whisper_with_the_model_that_ships_in_a_wheel():
    assert ENGINE_NAMES[0] == "faster-whisper"
    assert engine_named(ENGINE_NAMES[0], OPTIONS).service == "faster-whisper:tiny.en"


def test_an_unknown_engine_is_refused_and_the_known_ones_are_listed():
    with pytest.raises(SettingsRejected, match="'whisperx'") as failure:
        engine_named("whisperx", OPTIONS)
    assert "faster-whisper, captions" in failure.value.remedy


def test_the_engine_that_is_gone_is_refused_with_what_takes_its_place():
    with pytest.raises(SettingsRejected, match="'pocketsphinx' is gone") as failure:
        engine_named("pocketsphinx", OPTIONS).check()
    for place in ("VIDEOMOMENTS_TRANSCRIPTION_ENGINE", "videomoments add", "--transcription"):
        assert place in failure.value.remedy


def test_what_changes_the_words_changes_the_settings_and_where_it_runs_does_not():
    def settings(**options):
        options = TranscriptionOptions(models_folder=Path("models"), **options)
        return engine_named("faster-whisper", options).settings

    assert settings() == settings(device="cuda", cpu_threads=3)
    for change in (
        {"whisper_model": "base"},
        {"compute_type": "int8"},
        {"language": "de"},
        {"vad": False},
        {"batch_size": 8},
        {"beam_size": 1},
        {"temperatures": (0.0,)},
    ):
        assert settings() != settings(**change), change


def test_what_was_transcribed_before_int8_was_the_default_still_stands():
    settings = engine_named("faster-whisper", replace(OPTIONS, whisper_model="small")).settings
    assert settings == {
        "engine": "faster-whisper",
        "model": "small",
        "temperatures": [0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
        "compute_type": "default",
        "language": None,
        "vad": True,
        "batch_size": 0,
        "beam_size": 5,
    }


ENGLISH = "Good morning and welcome everybody, today we talk about bread"
GERMAN = "Guten Tag und herzlich willkommen, heute sprechen wir über das Brot"


def doubts(text, *, unsure_share=1.0, tagged=None, is_asked_for=False):
    return doubts_of_english(
        text, unsure_share=unsure_share, tagged=tagged, is_asked_for=is_asked_for, model="tiny.en"
    )


def test_a_model_of_english_that_is_sure_of_its_words_leaves_no_doubt_whatever_the_tag():
    assert doubts(ENGLISH, unsure_share=0.4, tagged="ger") == ()


def test_words_that_are_in_another_language_for_sure_are_refused_with_the_remedy():
    with pytest.raises(SettingsRejected, match="'de' by its words, 100% sure") as failure:
        doubts(GERMAN)
    assert "multilingual" in failure.value.remedy
    assert "VIDEOMOMENTS_LANGUAGE" in failure.value.remedy


def test_a_track_that_is_tagged_as_another_language_and_not_understood_is_refused():
    with pytest.raises(SettingsRejected, match="'fr', as the sound track is tagged"):
        doubts(ENGLISH, tagged="fre")


@pytest.mark.parametrize(
    "case",
    [
        {"text": ENGLISH},
        {"text": ENGLISH, "tagged": "und"},
        {"text": ""},
        {"text": GERMAN, "is_asked_for": True},
    ],
)
def test_a_doubt_that_is_not_sure_is_a_note(case):
    [note] = doubts(**case)
    assert "knows English only" in note


def test_batching_without_vad_is_refused():
    options = TranscriptionOptions(models_folder=Path("models"), batch_size=4, vad=False)
    with pytest.raises(SettingsRejected, match="VAD"):
        engine_named("faster-whisper", options).check()


@pytest.mark.parametrize(
    ("model", "repository"),
    [
        ("small", "Systran/faster-whisper-small"),
        ("distil-large-v3", "Systran/faster-distil-whisper-large-v3"),
        ("turbo", "mobiuslabsgmbh/faster-whisper-large-v3-turbo"),
        ("someone/their-model", "someone/their-model"),
    ],
)
def test_a_model_has_a_repository_to_fetch_it_from(model, repository):
    assert repository_of(model) == repository


def test_the_service_is_named_without_folders():
    options = replace(OPTIONS, whisper_model="/srv/models/my-whisper/")
    assert engine_named("faster-whisper", options).service == "faster-whisper:my-whisper"


@pytest.mark.parametrize(
    ("code", "expected"),
    [("eng", "en"), ("en-US", "en"), ("pt_BR", "pt"), ("ger", "de"), ("und", None), (None, None)],
)
def test_language_codes_become_two_letters(code, expected):
    assert two_letter(code) == expected


def test_an_unknown_code_is_kept_unless_known_ones_are_wanted():
    assert two_letter("tlh") == "tlh"
    assert two_letter("final", known_only=True) is None
