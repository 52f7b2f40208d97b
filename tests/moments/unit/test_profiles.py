"""Generation profiles are validated, and refused with the field's name."""

from pathlib import Path

import pytest
import yaml

from videomoments_dagster.base.failures import SettingsRejected
from videomoments_dagster.moments.profiles import load_profiles, profile_named

GENERATION = {"model": "extractive", "user_prompt": "u", "system_prompt": "s"}


def _file(tmp_path: Path, generation: dict[str, object], **refinement: object) -> Path:
    path = tmp_path / "profiles.yaml"
    document = {
        "mine": {
            "generation": {**GENERATION, **generation},
            "refinement": {**GENERATION, **refinement},
        }
    }
    path.write_text(yaml.safe_dump(document))
    return path


def test_the_shipped_profiles_are_valid_and_have_a_default() -> None:
    selected = profile_named("default", load_profiles())
    assert selected.generation.operation_type == "generation"
    assert selected.refinement.operation_type == "refinement"
    assert selected.refinement.max_moment_length == selected.generation.max_moment_length


@pytest.mark.parametrize(
    ("generation", "field"),
    [
        ({"min_moment_length": 90, "max_moment_length": 30}, "min_moment_length"),
        ({"min_moments": 5, "max_moments": 3}, "min_moments"),
        ({"min_moment_length": -1}, "min_moment_length"),
        ({"max_moment_length": 0}, "max_moment_length"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 1.5}, "top_p"),
        ({"top_k": 0}, "top_k"),
        ({"max_moments": 0}, "max_moments"),
        ({"model": "m" * 101}, "model"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_bad_value_is_refused_with_the_profiles_and_the_fields_name(
    tmp_path: Path, generation: dict[str, object], field: str
) -> None:
    with pytest.raises(SettingsRejected) as refused:
        load_profiles(_file(tmp_path, generation))
    assert field in str(refused.value)
    assert "'mine'" in str(refused.value)


def test_a_negative_shift_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsRejected, match="max_shift_seconds"):
        load_profiles(_file(tmp_path, {}, max_shift_seconds=-1))


@pytest.mark.parametrize("text", ["", "- a", "a: [", "a: 1", "a: {}"])
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "profiles.yaml"
    path.write_text(text)
    with pytest.raises(SettingsRejected):
        load_profiles(path)


def test_a_missing_file_is_refused_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(SettingsRejected, match=r"nowhere\.yaml"):
        load_profiles(tmp_path / "nowhere.yaml")


def test_an_unknown_profile_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(SettingsRejected, match="default, highlights, shorts"):
        profile_named("loud", load_profiles())
