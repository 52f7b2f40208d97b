"""What makes two things the same, pinned."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videomoments_dagster.base.failures import IdentifierRejected
from videomoments_dagster.base.fingerprints import digest
from videomoments_dagster.base.identifiers import checked_identifier
from videomoments_dagster.moments.identity import config_hash, moment_identifier, prompt_hash
from videomoments_dagster.moments.records import GenerationConfig, Prompt

CONFIG = GenerationConfig(
    prompt=Prompt(user_prompt="find", system_prompt="you find"),
    model="extractive",
    operation_type="generation",
    temperature=0.7,
    top_p=0.9,
    top_k=50,
    min_moment_length=30,
    max_moment_length=90,
    min_moments=3,
    max_moments=10,
)


def test_the_prompt_hash_is_pinned() -> None:
    expected = "825825018f58e795ae2d3d8df6a879567555c77654e9ca3071df2fe127aa9ebd"
    assert prompt_hash(Prompt(user_prompt="ab", system_prompt="c")) == expected


def test_the_config_hash_is_pinned() -> None:
    assert config_hash(CONFIG) == "6397a1d265ee60ff6d2a61b599415a56bfb8b72fee96abe24126ff30893bd35d"


def test_the_moment_identifier_is_pinned() -> None:
    made = moment_identifier(video="talk", config=CONFIG, start_time=1.5, end_time=42.25)
    assert made == "dad1ed70d9204e67"


def test_moving_a_letter_between_the_prompts_changes_the_hash() -> None:
    assert prompt_hash(Prompt("ab", "c")) != prompt_hash(Prompt("a", "bc"))


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": Prompt("other", "you find")},
        {"model": "other"},
        {"operation_type": "refinement"},
        {"temperature": None},
        {"top_p": 0.8},
        {"top_k": None},
        {"min_moment_length": 31},
        {"max_moment_length": None},
        {"min_moments": 4},
        {"max_moments": 11},
    ],
)
def test_every_documented_field_enters_the_config_hash(change: dict[str, object]) -> None:
    assert config_hash(replace(CONFIG, **change)) != config_hash(CONFIG)


def test_a_whole_number_and_its_float_are_the_same_length() -> None:
    assert config_hash(replace(CONFIG, min_moment_length=30.0)) == config_hash(CONFIG)


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_different_lists_of_texts_have_different_digests(a: list[str], b: list[str]) -> None:
    assert (digest(a) == digest(b)) == (a == b)


@given(st.floats(0, 100_000), st.floats(0.001, 1_000), st.sampled_from([None, "0658152d253996fe"]))
def test_a_moment_identifier_fits_its_column(start: float, length: float, parent: str) -> None:
    made = moment_identifier(
        video="v", config=CONFIG, start_time=start, end_time=start + length, parent=parent
    )
    assert len(made) == 16
    assert set(made) <= set("0123456789abcdef")


def test_a_refined_moment_with_its_parents_times_has_an_identifier_of_its_own() -> None:
    root = moment_identifier(video="v", config=CONFIG, start_time=1, end_time=2)
    child = moment_identifier(video="v", config=CONFIG, start_time=1, end_time=2, parent=root)
    assert root != child


@pytest.mark.parametrize("good", ["a", "Z9", "jspz-aaa", "a_b-c", "0" * 255])
def test_good_identifiers_pass(good: str) -> None:
    assert checked_identifier(good) == good


@pytest.mark.parametrize(
    "bad",
    ["", "a/b", "..", "../a", "a b", "-a", "_a", "a.b", "é", "a\n", "a\x00", "a" * 256, "a\\b"],
)
def test_bad_identifiers_are_refused_with_the_rule(bad: str) -> None:
    with pytest.raises(IdentifierRejected, match="begins with an ASCII letter or digit"):
        checked_identifier(bad)
