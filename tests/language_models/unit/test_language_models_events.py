"""Streams of events: put together, they are the completion that they are of."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from chat_server import completion
from hypothesis import given
from hypothesis import strategies as st

from videomoments_dagster.language_models.answer_stream import EventCounter, completion_of

TEXT = '{"items": [\'a\u2028b\', "c\\n"]}'


def events(deltas: list[dict[str, object]], *, newline: str = "\n") -> str:
    chunks: list[object] = [
        {"id": "1", "choices": [{"index": 0, "finish_reason": None, "delta": delta}]}
        for delta in deltas
    ]
    chunks.append({"id": "1", "choices": [{"index": 0, "finish_reason": "stop", "delta": {}}]})
    chunks.append({"id": "1", "choices": [], "usage": completion("")["usage"]})
    lines = [f"data: {json.dumps(chunk, ensure_ascii=False)}" for chunk in chunks]
    return (newline * 2).join([*lines, "data: [DONE]", ""])


@given(st.lists(st.integers(0, len(TEXT))), st.sampled_from(["\n", "\r\n", "\r"]))
def test_however_an_answer_is_divided_it_is_the_same(cuts: list[int], newline: str) -> None:
    edges = sorted({0, len(TEXT), *cuts})
    deltas: list[dict[str, object]] = [{"content": TEXT[a:b]} for a, b in pairwise(edges)]
    whole = completion_of(events(deltas, newline=newline))
    assert whole is not None
    assert whole["choices"][0]["message"]["content"] == TEXT
    assert whole["choices"][0]["finish_reason"] == "stop"
    assert whole["usage"] == completion("")["usage"]


def test_thoughts_and_refusals_are_put_together_too() -> None:
    deltas: list[dict[str, object]] = [
        {"reasoning_content": "I "},
        {"reasoning_content": "think"},
        {"refusal": "No."},
    ]
    whole = completion_of(events(deltas))
    assert whole is not None
    message = whole["choices"][0]["message"]
    assert message == {
        "role": "assistant",
        "content": "",
        "reasoning_content": "I think",
        "refusal": "No.",
    }


def test_a_message_that_comes_whole_at_the_end_is_taken() -> None:
    text = events([{"content": "a"}]).split("data: [DONE]")[0]
    text += f"data: {json.dumps(completion('ab'))}\n\n"
    assert completion_of(text) == completion("ab")


PIECES = st.sampled_from(
    (
        *("data: ", "{", "}", "\n", "[DONE]", "null", '{"choices": [1]}'),
        '{"choices": [{"delta": 1, "finish_reason": []}]}',
    )
)


@given(st.text() | st.lists(PIECES).map("".join))
def test_anything_else_is_no_completion_or_something_to_look_into(text: str) -> None:
    found = completion_of(text)
    assert found is None or isinstance(found, dict)


@given(st.lists(st.sampled_from(["data: {}\n\n", ": ping\n\n", "data: [DONE]\r\n\r\n"])), st.data())
def test_events_are_counted_however_the_bytes_arrive(sent: list[str], data: st.DataObject) -> None:
    stream = "".join(sent).encode()
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=9))
    edges = sorted({0, len(stream), *cuts})
    counter = EventCounter()
    counted = sum(counter.count(stream[a:b]) for a, b in pairwise(edges))
    assert counted == sum(event.startswith("data") for event in sent)


@pytest.mark.parametrize("text", ["", "data: [DONE]"])
def test_a_stream_with_nothing_in_it_is_told_from_one_that_broke(text: str) -> None:
    found = completion_of(text)
    assert (found is None) == (text == "")
