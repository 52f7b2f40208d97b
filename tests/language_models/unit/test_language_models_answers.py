"""Answers of models: JSON is found in any wrapping, and nothing else ever escapes."""

from __future__ import annotations

import contextlib
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, model_validator

from videomoments_dagster.language_models.answers import (
    AnswerRejected,
    answer_before_cut,
    answer_schema,
    validated_answer,
    well_formed,
)
from videomoments_dagster.language_models.chat_protocol import Refusal, tokens_of, written_answer
from videomoments_dagster.language_models.questions import ListAnswer, estimated_tokens


class Item(BaseModel):
    line: int
    words: str = ""


class Items(BaseModel):
    items: list[Item]


class CutItems(ListAnswer):
    items: list[Item]


ANSWERS = st.builds(
    lambda items: {"items": items},
    st.lists(
        st.builds(
            lambda line, words: {"line": line, "words": words}, st.integers(0, 99), st.text()
        ),
        max_size=4,
    ),
)
PROSE = st.text(st.characters(exclude_characters="{}[]<>`"), max_size=80)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)


@given(ANSWERS, PROSE, PROSE, st.sampled_from(["", "```", "```json"]), PROSE)
def test_the_answer_is_found_whatever_stands_around_it(
    content: dict[str, object], before: str, after: str, fence: str, thought: str
) -> None:
    text = json.dumps(content, ensure_ascii=False)
    text = f"{fence}\n{text}\n{fence[:3]}"
    found = validated_answer(f"<think>{thought}{{}}</think>{before}\n{text}\n{after}", Items)
    assert found.model_dump() == content


PIECES = st.sampled_from(
    (
        *("<think>", "</think>", "<reasoning>", "```", "```json\n", "{", "}", "[", "]", '"items"'),
        *('{"items": []}', '"\\ud800"', "NaN", "1e999", "\ud800", ":", ",", " ", "word"),
    )
)


@given(st.text(max_size=300) | JSON.map(json.dumps) | st.lists(PIECES).map("".join))
def test_nothing_but_a_rejection_comes_of_anything_else(text: str) -> None:
    said = "."
    try:
        validated_answer(text, Items)
    except AnswerRejected as rejected:
        said = str(rejected)
    assert said.endswith(".")
    assert len(said) < 2000


@given(JSON)
def test_any_response_gives_a_text_or_a_reason(payload: object) -> None:
    tokens_of(payload)
    try:
        said = written_answer(payload).text or "cut"
    except (AnswerRejected, Refusal) as reason:
        said = str(reason)
    assert said.strip()


def test_an_answer_without_end_or_depth_is_refused_in_time() -> None:
    for text in (
        "{" * 300_000,
        "[" * 100_000 + "]" * 100_000,
        "[" * 199 + "1," * 490_000,
        "x" * 2_000_000,
        "<think>" * 140_000,
        "</think>" * 120_000,
        "```" * 330_000,
        "```" + "a" * 900_000,
        "```" + "\n" * 900_000 + "x",
    ):
        began = time.process_time()
        with pytest.raises(AnswerRejected):
            validated_answer(text, Items)
        assert time.process_time() - began < 2


class Titled(BaseModel):
    title: str


@pytest.mark.parametrize("title", ["a </think> b", "<think>a</think> b", "```json\n[]\n``` b"])
def test_what_looks_like_wrapping_inside_an_answer_is_part_of_it(title: str) -> None:
    assert validated_answer(json.dumps({"title": title}), Titled).title == title


def test_halves_of_characters_become_the_sign_for_unknown_ones() -> None:
    found = validated_answer('{"title": "a \\ud800 b \\ud83d\\ude00"}', Titled)
    assert found.title == "a \ufffd b \U0001f600"
    assert found.model_dump_json()


@given(JSON | st.text(st.characters(categories=["Cs", "L"])))
def test_what_is_received_can_be_written_and_is_else_unchanged(value: object) -> None:
    kept = well_formed(value)
    json.dumps(kept, ensure_ascii=False, indent=1).encode()
    assert json.dumps(well_formed(kept)) == json.dumps(kept)


def test_what_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(ValueError, match="deeply"):
        well_formed(json.loads("[" * 200 + "]" * 200))


class Numbered(BaseModel):
    score: float


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_no_json_is_refused(number: str) -> None:
    with pytest.raises(AnswerRejected, match="not JSON"):
        validated_answer(f'{{"score": {number}}}', Numbered)


class Leniently(BaseModel):
    items: list[Item]

    @model_validator(mode="before")
    @classmethod
    def _take_a_bare_list(cls, value: object) -> object:
        return {"items": value} if isinstance(value, list) else value


def test_a_list_in_a_sentence_is_no_answer_and_a_bare_one_is() -> None:
    for text in ("As said [1], there are none [].", '{"items": [], "note": "cut o'):
        with pytest.raises(AnswerRejected):
            validated_answer(text, Leniently)
    assert validated_answer("[]", Leniently).items == []
    assert validated_answer('Here: {"items": [{"line": 3}],}', Leniently).items == [Item(line=3)]


def test_what_is_wrong_with_the_shape_is_told_briefly() -> None:
    content = {"items": [{"line": "one"}] * 50}
    with pytest.raises(AnswerRejected, match=r"items\.0\.line: .* and 47 more errors\.$"):
        validated_answer(json.dumps(content), Items)


def test_thoughts_that_never_end_hold_no_answer() -> None:
    with pytest.raises(AnswerRejected):
        validated_answer('I count. <think>maybe {"items": []}', Items)


def test_a_schema_requires_everything_and_allows_nothing_else() -> None:
    schema = answer_schema(Items)
    assert schema["additionalProperties"] is False
    item = schema["$defs"]["Item"]
    assert item["required"] == ["line", "words"]
    assert "default" not in item["properties"]["words"]
    assert item["additionalProperties"] is False


@given(st.text(), st.text())
def test_the_estimate_of_tokens_grows_with_the_text(one: str, other: str) -> None:
    assert estimated_tokens(one + other) >= max(estimated_tokens(one), estimated_tokens(other))
    assert (estimated_tokens(one) == 0) == (one == "")


@given(ANSWERS, st.data())
def test_of_a_cut_answer_the_whole_entries_are_taken_and_no_other(
    content: dict[str, list[object]], data: st.DataObject
) -> None:
    text = json.dumps(content, ensure_ascii=False)
    cut = text[: data.draw(st.integers(0, len(text) - 1), label="cut")]
    # As many entries as have their end before the cut; the text of each is the same in the whole.
    ends = [
        len(json.dumps({"items": content["items"][:count]}, ensure_ascii=False)) - 2
        for count in range(1, len(content["items"]) + 1)
    ]
    whole = sum(end <= len(cut) for end in ends)
    for around in ("", "Here it is:\n```json\n", "<think>hm [1]</think>As asked [1]: "):
        if not whole:
            with pytest.raises(AnswerRejected):
                answer_before_cut(around + cut, CutItems)
            continue
        found = answer_before_cut(around + cut, CutItems)
        assert found.model_dump(exclude={"cut"}) == {"items": content["items"][:whole]}
        assert found.cut


@given(st.text(max_size=300) | JSON.map(json.dumps) | st.lists(PIECES).map("".join))
def test_nothing_but_a_rejection_comes_of_a_cut_in_anything_else(text: str) -> None:
    with contextlib.suppress(AnswerRejected):
        assert answer_before_cut(text, CutItems).entries >= 0


def test_a_cut_answer_without_end_or_depth_is_refused_in_time() -> None:
    for text in (
        "{" * 300_000,
        "[" * 300_000,
        '[{"a": ' * 100_000,
        '"' * 900_000,
        "[{}, " * 99_999,
    ):
        began = time.process_time()
        with pytest.raises(AnswerRejected):
            answer_before_cut(text, CutItems)
        assert time.process_time() - began < 2
