"""The registry of models: what a file may say, and what it says in one sentence otherwise."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videomoments_dagster.base.failures import SettingsRejected
from videomoments_dagster.language_models.answers import scrubbed
from videomoments_dagster.language_models.chat_client import retry_after
from videomoments_dagster.language_models.model_registry import (
    LanguageModel,
    key_of,
    load_models,
    model_named,
)
from videomoments_dagster.moments.profiles import load_profiles

ENTRY = "base_url: http://127.0.0.1:1/v1\n  model: m\n  context_window: 8192\n"


def loaded(tmp_path: Path, text: str) -> dict[str, LanguageModel]:
    path = tmp_path / "models.yaml"
    path.write_text(text)
    return load_models(path)


def test_the_shipped_models_load_and_shipped_profiles_name_only_those() -> None:
    models = load_models()
    used = {
        operation.model
        for profile in load_profiles().values()
        for operation in (profile.generation, profile.refinement, profile.scoring)
    }
    assert used - {"extractive"} <= set(models)
    assert all(name == model.name for name, model in models.items())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must map model names"),
        ("- a", "must map model names"),
        ("a: [", "no valid YAML"),
        ("a: 5", "model 'a' .* must map fields"),
        (f"a:\n  {ENTRY}  name: b", "its name is the entry's own"),
        (f"extractive:\n  {ENTRY}", "an engine that needs no model"),
        (f"a:\n  {ENTRY}  colour: red", "model 'a' .* field 'colour'"),
        ("a:\n  model: m\n  context_window: 8192", "model 'a' .* field 'base_url'"),
        (f"a:\n  {ENTRY}".replace("http:", "ftp:"), "no http:// or https:// address"),
        (f"a:\n  {ENTRY}".replace("127", "me:secret@127"), "keys belong into the environment"),
        (f"a:\n  {ENTRY}".replace(":1/", ":99999/"), "field 'base_url': Port out of range"),
        (f"a:\n  {ENTRY}".replace("/v1", "/v 1"), "field 'base_url': it has a space"),
        (f"a:\n  {ENTRY}".replace("/v1", "/v1?version=2"), "field 'base_url': it has a '\\?'"),
        (f"a:\n  {ENTRY}".replace("8192", "2000"), "leaves no room for a question"),
        (f"a:\n  {ENTRY}  concurrency: 0", "field 'concurrency'"),
        (f"a:\n  {ENTRY}  price: {{input: 1}}", "field 'price.output'"),
        (f"a:\n  {ENTRY}  api_key_env: sk-123", "field 'api_key_env'"),
    ],
)
def test_a_file_with_a_mistake_is_refused_in_one_sentence(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(SettingsRejected, match=said) as caught:
        loaded(tmp_path, text)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_file_may_extend_the_shipped_one(tmp_path: Path) -> None:
    models = loaded(
        tmp_path,
        "extends: shipped\nlocal:\n  context_window: 4096\n  max_answer_tokens: 1024\n"
        f"a:\n  {ENTRY}",
    )
    shipped = load_models()
    assert set(models) == {*shipped, "a"}
    assert models["local"].context_window == 4096
    assert models["local"].base_url == shipped["local"].base_url
    assert models["openai"] == shipped["openai"]


def test_a_file_that_is_not_there_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsRejected, match="VIDEOMOMENTS_MODELS"):
        load_models(tmp_path / "absent.yaml")


def test_an_unknown_model_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(SettingsRejected, match=r"no model 'b'.* a, extractive"):
        model_named("b", loaded(tmp_path, f"a:\n  {ENTRY}"))


def test_a_key_comes_from_the_variable_that_the_entry_names(tmp_path: Path) -> None:
    model = loaded(tmp_path, f"a:\n  {ENTRY}  api_key_env: A_KEY")["a"]
    assert key_of(model, {"A_KEY": " sk-1\n", "OPENAI_API_KEY": "sk-2"}) == "sk-1"
    assert key_of(loaded(tmp_path, f"a:\n  {ENTRY}")["a"], {"OPENAI_API_KEY": "sk-2"}) is None
    for environment in ({}, {"A_KEY": "  "}):
        with pytest.raises(SettingsRejected, match="A_KEY holds none"):
            key_of(model, environment)
    with pytest.raises(SettingsRejected, match="no HTTP header") as caught:
        key_of(model, {"A_KEY": "sk-ü"})
    assert "sk-ü" not in str(caught.value)


def test_only_what_changes_answers_changes_the_identity(tmp_path: Path) -> None:
    one = loaded(tmp_path, f"a:\n  {ENTRY}")["a"]
    same = one.model_copy(update={"base_url": "https://b/v1", "concurrency": 9, "attempts": 1})
    other = one.model_copy(update={"model": "n"})
    assert one.identity == same.identity != other.identity


def test_a_question_leaves_room_for_its_answer() -> None:
    for model in load_models().values():
        assert model.prompt_tokens_at_most + model.max_answer_tokens < model.context_window


NOW = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "7", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "Mon, 04 May 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Mon, 04 May 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
    ],
)
def test_a_wish_to_wait_is_read_in_every_form(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after(headers, now=NOW) == seconds


@given(
    st.recursive(
        st.none() | st.integers() | st.text() | st.sampled_from(['a"key\\', 'x a"key\\ y']),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=8,
    )
)
def test_a_key_is_blotted_out_wherever_it_stands(value: object) -> None:
    key = 'a"key\\'
    blotted = scrubbed(value, key)
    assert key not in str(blotted)
    assert scrubbed(value, None) == value


@pytest.mark.parametrize("key", ["1", "true", "null", "e"])
def test_a_short_key_leaves_numbers_and_structure_alone(key: str) -> None:
    value = {"tokens": 1100, "ok": True, "none": None, "said": f"key {key}"}
    blotted = scrubbed(value, key)
    assert list(blotted.values())[:3] == [1100, True, None]
    assert "[key]" in blotted[scrubbed("said", key)]
