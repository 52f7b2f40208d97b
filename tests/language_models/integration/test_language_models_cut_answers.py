"""Answers that end before they are whole: what of them is used, what is kept, what is said."""

from __future__ import annotations

import json
from typing import Any

import pytest
from chat_server import Body, ChatServer, Reply, a_model, answer, completion, cut_answer, scripted
from interviews import Memory
from pydantic import BaseModel

from videomoments_dagster.language_models.interview import Interview
from videomoments_dagster.language_models.model_registry import LanguageModel
from videomoments_dagster.language_models.questions import (
    Interpreted,
    ListAnswer,
    Outcome,
    Question,
)


class Item(BaseModel):
    line: int
    words: str = ""


class Items(ListAnswer):
    items: list[Item]


class Number(BaseModel):
    number: int


def lines_of(parsed: Items) -> Interpreted[tuple[list[int], bool]]:
    if any(item.line < 0 for item in parsed.items):
        raise ValueError("Lines are not negative.")
    return Interpreted(([item.line for item in parsed.items], parsed.cut))


def question(number: int = 0, **fields: Any) -> Question[Any, Any]:
    return Question(
        **{
            "purpose": "find",
            "label": f"window {number}",
            "system": "You list.",
            "user": f"number {number}",
            "answer_type": Items,
            "interpret": lines_of,
            **fields,
        }
    )


def ask(
    model: LanguageModel, asked: Question[Any, Any], memory: Memory, said: list[str]
) -> Outcome[Any]:
    interview = Interview(model=model, key=None, kept=memory, log=memory, said=said.append)
    [outcome] = interview.ask_all([asked])
    return outcome


def items(*lines: int) -> dict[str, Any]:
    return {"items": [{"line": line, "words": "as } said"} for line in lines]}


CUT = json.dumps(items(3, 5, 8))[:-20]
"""Two whole items, and part of a third."""


def test_the_whole_entries_of_a_cut_answer_are_used_and_the_setting_is_named() -> None:
    memory, said = Memory(), []
    with ChatServer(scripted(cut_answer(CUT))) as server:
        outcome = ask(a_model(server), question(7), memory, said)
    assert outcome.value == ([3, 5], True)
    assert len(server.requests) == 1
    [sentence] = said
    assert "window 7" in sentence
    assert "cut off at its longest, 1000 tokens" in sentence
    assert "2 whole entries" in sentence
    assert "Raise `max_answer_tokens` of the entry 'judge'" in sentence
    assert "cut off" in memory.records[0].notes["cut"]


def test_that_an_answer_was_cut_is_remembered_with_it() -> None:
    memory = Memory()
    with ChatServer(scripted(cut_answer(CUT))) as server:
        first = ask(a_model(server), question(), memory, [])
        again = ask(a_model(server), question(), memory, [])
    assert first.value == again.value == ([3, 5], True)
    assert len(server.requests) == 1


def test_a_longer_limit_asks_again() -> None:
    memory = Memory()
    with ChatServer(scripted(cut_answer(CUT), answer(items(3, 5, 8)))) as server:
        ask(a_model(server), question(), memory, [])
        outcome = ask(a_model(server, max_answer_tokens=2000), question(), memory, [])
    assert outcome.value == ([3, 5, 8], False)


def test_an_answer_that_is_whole_before_its_cut_is_whole() -> None:
    said: list[str] = []
    with ChatServer(scripted(cut_answer(json.dumps(items(3)) + "\n" * 900))) as server:
        outcome = ask(a_model(server), question(), Memory(), said)
    assert outcome.value == ([3], False)
    assert said == []


@pytest.mark.parametrize("text", ['{"items": [{"line": 3, "wor', '```json\n{"it', "Let me see"])
def test_the_repair_of_a_cut_answer_shows_what_was_said(text: str) -> None:
    with ChatServer(scripted(cut_answer(text), answer(items(4)))) as server:
        outcome = ask(a_model(server), question(), Memory(), [])
    assert outcome.value == ([4], False)
    _, _, shown, asked = server.requests[1]["messages"]
    assert shown == {"role": "assistant", "content": text}
    assert "cut off" in asked["content"]
    assert "briefly" in asked["content"]


def test_a_repair_leaves_room_for_its_answer() -> None:
    long = '{"items": [{"line": 3, "words": "' + "word " * 3000
    sizes = {"context_window": 2048, "max_answer_tokens": 1000}
    with ChatServer(scripted(cut_answer(long), answer(items(4)))) as server:
        ask(a_model(server, **sizes), question(user="say " * 500), Memory(), [])
    messages = server.requests[1]["messages"]
    # Four characters a token is what English takes.
    assert sum(len(message["content"]) for message in messages) / 4 < 2048 - 1000
    assert messages[2]["content"].startswith('{"items"')


def test_an_empty_answer_after_a_cut_is_never_kept() -> None:
    memory, said = Memory(), []
    replies = (cut_answer('{"items": [{"line"'), answer({"items": []}))
    with ChatServer(scripted(*replies, answer(items(6)))) as server:
        outcome = ask(a_model(server), question(), memory, said)
        assert memory.answers == {}
        again = ask(a_model(server), question(), memory, said)
    assert outcome.value is None
    assert "cut off at its longest, 1000 tokens" in outcome.failure
    assert "named nothing" in outcome.failure
    assert outcome.remedy.startswith("Raise `max_answer_tokens` of the entry 'judge'")
    assert any(outcome.remedy in sentence for sentence in said)
    assert again.value == ([6], False)


@pytest.mark.parametrize("text", ['{"items": []}' + " " * 900, '{"items": ['])
def test_an_empty_answer_that_is_cut_itself_is_never_kept(text: str) -> None:
    memory = Memory()
    with ChatServer(scripted(cut_answer(text))) as server:
        outcome = ask(a_model(server), question(), memory, [])
    assert outcome.value is None
    assert memory.answers == {}
    assert "max_answer_tokens" in outcome.remedy


def test_a_cut_answer_of_one_object_is_not_guessed_at() -> None:
    number = {"answer_type": Number, "interpret": lambda parsed: Interpreted(parsed.number)}
    with ChatServer(scripted(cut_answer('{"number": 8'), answer({"number": 87}))) as server:
        outcome = ask(a_model(server), question(**number), Memory(), [])
    assert outcome.value == 87
    assert "cut off" in server.requests[1]["messages"][-1]["content"]


def test_what_is_wrong_with_the_whole_entries_is_told_with_the_cut() -> None:
    with ChatServer(scripted(cut_answer(json.dumps(items(-1, 2))[:-9]))) as server:
        outcome = ask(a_model(server), question(), Memory(), [])
    asked = server.requests[1]["messages"][-1]["content"]
    assert "cut off" in asked
    assert "Lines are not negative." in asked
    assert "Lines are not negative" in outcome.failure
    assert "max_answer_tokens" in outcome.remedy


def test_a_server_whose_own_context_is_full_is_told_from_a_limit_that_is_low() -> None:
    said: list[str] = []
    with ChatServer(scripted(cut_answer(CUT, tokens=300))) as server:
        ask(a_model(server), question(), Memory(), said)
    assert "after 300 of 1000 tokens" in said[0]
    assert "`window_tokens`" in said[0]
    assert "`max_answer_tokens`" not in said[0]


def test_thoughts_that_fill_the_answer_hold_no_entries() -> None:
    thought = "<think>Perhaps " + json.dumps(items(1, 2)) + " or so"
    with ChatServer(scripted(cut_answer(thought), answer(items(4)))) as server:
        outcome = ask(a_model(server), question(), Memory(), [])
    assert outcome.value == ([4], False)


# What older versions kept.


def test_an_honest_empty_answer_is_kept() -> None:
    memory = Memory()
    with ChatServer(scripted(answer({"items": []}))) as server:
        for _ in range(2):
            assert ask(a_model(server), question(), memory, []).value == ([], False)
    assert len(server.requests) == 1


def test_an_empty_answer_that_may_have_followed_a_cut_is_asked_for_once_more() -> None:
    memory = Memory()

    def reply(body: Body) -> Reply:
        return Reply(body=completion({"items": []}))

    with ChatServer(reply) as server:
        ask(a_model(server), question(), memory, [])
        [key] = memory.answers
        memory.answers[key] = '{"items": []}'
        for _ in range(2):
            ask(a_model(server), question(), memory, [])
    assert len(server.requests) == 2


def test_an_answer_with_entries_that_an_older_version_kept_is_used() -> None:
    memory = Memory()
    with ChatServer(scripted(answer(items(1)))) as server:
        ask(a_model(server), question(), memory, [])
        [key] = memory.answers
        memory.answers[key] = json.dumps(items(9))
        assert ask(a_model(server), question(), memory, []).value == ([9], False)
    assert len(server.requests) == 1


def test_a_model_cannot_say_itself_that_it_was_cut() -> None:
    memory, said = Memory(), []
    with ChatServer(scripted(answer({**items(1), "cut": True}))) as server:
        first = ask(a_model(server), question(), memory, said)
        again = ask(a_model(server), question(), memory, said)
    assert first.value == again.value == ([1], False)
    assert "cut" not in said[0]
    assert "cut" not in memory.records[0].notes
