"""Answers that come piece by piece: the same as whole ones, and progress shows how far they are."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from chat_server import (
    CONTEXT_OVERFLOWS,
    Body,
    ChatServer,
    Reply,
    a_model,
    answer,
    error,
    scripted,
    streamed,
)
from interviews import Memory
from pydantic import BaseModel

from videomoments_dagster.language_models.interview import Interview
from videomoments_dagster.language_models.model_registry import LanguageModel, load_models
from videomoments_dagster.language_models.questions import (
    Interpreted,
    ListAnswer,
    Outcome,
    Question,
)


class Item(BaseModel):
    line: int


class Items(ListAnswer):
    items: list[Item]


LINES = {"items": [{"line": line} for line in range(20)]}


def ask(
    model: LanguageModel,
    *,
    count: int = 1,
    memory: Memory | None = None,
    said: list[str] | None = None,
) -> tuple[Outcome[Any], ...]:
    memory = memory or Memory()
    told = said if said is not None else []
    interview = Interview(model=model, key=None, kept=memory, log=memory, said=told.append)
    questions: list[Question[Items, int]] = [
        Question(
            purpose="find",
            label=f"window {number}",
            system="You list.",
            user=f"number {number}",
            answer_type=Items,
            interpret=lambda parsed: Interpreted(parsed.entries),
        )
        for number in range(count)
    ]
    return interview.ask_all(questions)


def test_a_streamed_answer_is_what_it_would_be_whole() -> None:
    memory = Memory()
    price = {"input": 2, "output": 10}
    with ChatServer(scripted(streamed(LINES))) as server:
        [outcome] = ask(a_model(server, stream=True, price=price), memory=memory)
    assert outcome.value == 20
    assert (outcome.spent.prompt_tokens, outcome.spent.completion_tokens) == (1000, 100)
    assert outcome.spent.cost == pytest.approx(0.003)
    [request] = server.requests
    assert request["stream"] is True
    assert request["stream_options"] == {"include_usage": True}
    [record] = memory.records
    assert json.loads(record.response["choices"][0]["message"]["content"]) == LINES


def test_progress_shows_the_tokens_of_an_answer_that_is_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("videomoments_dagster.base.progress.LONGEST_SILENCE_SECONDS", 0.2)
    said: list[str] = []
    with ChatServer(scripted(streamed(LINES, drip=0.02))) as server:
        ask(a_model(server, stream=True), said=said)
    shown = [
        int(found[1])
        for sentence in said
        if (found := re.match(r"0 of 1 windows are read by the model \((\d+) tokens so", sentence))
    ]
    assert len(shown) > 1
    assert shown == sorted(set(shown))


def test_a_server_that_turns_out_slow_is_asked_for_pieces_from_then_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("videomoments_dagster.language_models.interview._SLOW_SECONDS", 0.3)
    with ChatServer(scripted(answer(LINES, delay=0.4), streamed(LINES))) as server:
        outcomes = ask(a_model(server, concurrency=1), count=3)
    assert [outcome.value for outcome in outcomes] == [20, 20, 20]
    assert ["stream" in request for request in server.requests] == [False, True, True]


def test_a_server_that_is_too_slow_is_asked_for_pieces_when_it_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("videomoments_dagster.language_models.interview._SLOW_SECONDS", 0.3)
    with ChatServer(scripted(answer(LINES, delay=2.0), streamed(LINES))) as server:
        [outcome] = ask(a_model(server, request_seconds=0.5))
    assert outcome.value == 20
    assert ["stream" in request for request in server.requests] == [False, True]


@pytest.mark.parametrize("entry", [{}, {"stream": False}])
def test_a_quick_server_is_asked_for_whole_answers(entry: dict[str, Any]) -> None:
    with ChatServer(scripted(answer(LINES))) as server:
        ask(a_model(server, **entry), count=3)
    assert not any("stream" in request for request in server.requests)


def test_shipped_servers_on_this_machine_stream() -> None:
    models = load_models()
    assert models["local"].stream
    assert models["llama-cpp"].stream
    assert models["openai"].stream is None


def test_a_server_that_streams_not_is_taken_as_it_is() -> None:
    with ChatServer(scripted(answer(LINES))) as server:
        [outcome] = ask(a_model(server, stream=True))
    assert outcome.value == 20
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("stream", "Unsupported parameter: 'stream'"),
        ("stream_options", "Unrecognized request argument supplied: stream_options"),
        ("stream", "bad request"),
    ],
)
def test_a_server_that_refuses_pieces_gets_the_same_question_without(
    field: str, message: str
) -> None:
    def picky(body: Body) -> Reply:
        if field in body:
            return error(400, message)
        return streamed(LINES) if "stream" in body else answer(LINES)

    with ChatServer(picky) as server:
        outcomes = ask(a_model(server, stream=True, concurrency=1), count=2)
    assert [outcome.value for outcome in outcomes] == [20, 20]
    assert len(server.requests) == 3
    assert all(r["response_format"]["type"] == "json_schema" for r in server.requests)


@pytest.mark.parametrize(
    "fault",
    [
        streamed(LINES, cut=True),
        streamed(LINES, finish_reason=None, counts=False, done=False),
        Reply(events=['data: {"error": {"message": "the model is away", "code": 503}}\n\n']),
        Reply(events=['error: {"message": "the model is away", "code": 503}\n\n']),
        Reply(events=["data: <html>\n\n"]),
        Reply(events=[": nothing at all\n\n"]),
    ],
    ids=["hung up", "without end", "error", "old error", "no json", "nothing"],
)
def test_a_stream_that_breaks_is_asked_for_again(fault: Reply) -> None:
    memory = Memory()
    with ChatServer(scripted(fault, streamed(LINES))) as server:
        [outcome] = ask(a_model(server, stream=True), memory=memory)
    assert outcome.value == 20
    assert outcome.spent.calls == 2
    assert memory.records[0].error


@pytest.mark.parametrize("server_kind", CONTEXT_OVERFLOWS)
def test_a_question_that_is_too_long_is_refused_the_same_in_a_stream(server_kind: str) -> None:
    refusal = CONTEXT_OVERFLOWS[server_kind]
    in_stream = Reply(events=[f"data: {json.dumps(refusal.body)}\n\n", "data: [DONE]\n\n"])
    for reply in (refusal, in_stream):
        with ChatServer(scripted(reply)) as server:
            [outcome] = ask(a_model(server, stream=True))
        assert "longer than the server's context" in outcome.failure
        assert "`window_tokens`" in outcome.remedy
        assert len(server.requests) == 1


def test_the_whole_entries_of_a_stream_that_is_cut_off_are_used() -> None:
    said: list[str] = []
    text = json.dumps(LINES)[:100]
    reply = streamed(text, finish_reason="length", tokens=1000)
    with ChatServer(scripted(reply)) as server:
        [outcome] = ask(a_model(server, stream=True), said=said)
    assert outcome.value == text.count("}")
    assert "`max_answer_tokens`" in said[0]


def test_a_stream_has_the_time_limit_of_every_request() -> None:
    with ChatServer(scripted(streamed(LINES, drip=0.05))) as server:
        began = time.monotonic()
        [outcome] = ask(a_model(server, stream=True, request_seconds=0.5, attempts=1))
    assert "did not answer within 0.5 s" in outcome.failure
    assert time.monotonic() - began < 2


def test_a_stream_without_token_counts_has_none() -> None:
    with ChatServer(scripted(streamed(LINES, counts=False))) as server:
        [outcome] = ask(a_model(server, stream=True))
    assert outcome.value == 20
    assert outcome.spent.completion_tokens == 0


def test_a_stream_without_end_loses_its_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videomoments_dagster.language_models.chat_client._LONGEST_STREAM", 100_000)
    with ChatServer(scripted(streamed("x" * 20_000))) as server:
        [outcome] = ask(a_model(server, stream=True))
    assert "longer than 100,000 bytes" in outcome.failure
    assert len(server.requests) == 1
