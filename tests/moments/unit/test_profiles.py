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


def _written(tmp_path: Path, document: object) -> Path:
    path = tmp_path / "profiles.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def test_a_file_that_extends_the_shipped_one_has_its_profiles_too(tmp_path: Path) -> None:
    mine = {"generation": GENERATION, "refinement": GENERATION}
    profiles = load_profiles(_written(tmp_path, {"extends": "shipped", "mine": mine}))
    assert set(profiles) == {*load_profiles(), "mine"}
    assert profiles["default"] == load_profiles()["default"]


def test_a_profile_that_is_shipped_changes_only_in_what_is_named(tmp_path: Path) -> None:
    document = {"extends": "shipped", "highlights": {"generation": {"model": "vllm"}}}
    changed = load_profiles(_written(tmp_path, document))["highlights"]
    shipped = load_profiles()["highlights"]
    assert changed.generation == shipped.generation.model_copy(update={"model": "vllm"})
    assert changed.scoring == shipped.scoring


def test_a_file_that_extends_nothing_has_its_own_profiles_only(tmp_path: Path) -> None:
    assert set(load_profiles(_file(tmp_path, {}))) == {"mine"}


def test_a_file_that_only_extends_is_the_shipped_one(tmp_path: Path) -> None:
    assert load_profiles(_written(tmp_path, {"extends": "shipped"})) == load_profiles()


@pytest.mark.parametrize("other", ["profiles.yaml", "default", True, None, ["shipped"]])
def test_a_file_can_extend_nothing_but_the_shipped_one(tmp_path: Path, other: object) -> None:
    with pytest.raises(SettingsRejected, match="`extends: shipped`"):
        load_profiles(_written(tmp_path, {"extends": other}))


def test_a_profile_may_be_called_what_extending_is(tmp_path: Path) -> None:
    mine = {"generation": GENERATION, "refinement": GENERATION}
    assert set(load_profiles(_written(tmp_path, {"extends": mine}))) == {"extends"}


def test_a_mistake_in_what_changes_a_shipped_profile_is_refused(tmp_path: Path) -> None:
    document = {"extends": "shipped", "default": {"generation": {"min_moment_length": 999}}}
    with pytest.raises(SettingsRejected, match=r"'default' .*min_moment_length"):
        load_profiles(_written(tmp_path, document))


def test_the_file_in_the_documentation_is_valid(tmp_path: Path) -> None:
    documentation = Path(__file__).parents[3] / "docs" / "language-models.md"
    shown = documentation.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    path = tmp_path / "profiles.yaml"
    path.write_text(shown)
    assert set(load_profiles(path)) == {"default", "shorts", "highlights", "interviews"}
