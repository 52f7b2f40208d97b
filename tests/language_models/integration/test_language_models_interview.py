"""Asking a model over real HTTP: what good and bad servers get, and what is kept."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import count
from typing import Any

import pytest
from chat_server import (
    CONTEXT_OVERFLOWS,
    Body,
    ChatServer,
    Reply,
    a_model,
    answer,
    closed_address,
    completion,
    error,
    scripted,
)
from interviews import Memory
from pydantic import BaseModel

from videomoments_dagster.base.failures import LanguageModelRefused, ObjectStoreUnavailable
from videomoments_dagster.language_models.chat_client import check_reachable
from videomoments_dagster.language_models.interview import Interview
from videomoments_dagster.language_models.model_registry import LanguageModel
from videomoments_dagster.language_models.questions import (
    CallRecord,
    Interpreted,
    ListAnswer,
    Outcome,
    Question,
    Sampling,
)

KEY = "sk-very-secret-0123456789"


MINIMAX_WITHOUT_MONEY = {
    "choices": None,
    "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"},
}
RATE_LIMIT_WITH_ADVICE = (
    "Rate limit reached on requests per min. Limit: 3 / min. Please add a payment method to your "
    "account to increase your rate limit. Visit https://example.com/account/billing for credits."
)


class Number(BaseModel):
    number: int


def doubled(parsed: Number) -> Interpreted[int]:
    if parsed.number < 0:
        raise ValueError("The number must not be negative.")
    return Interpreted(parsed.number * 2, notes={"doubled": True})


def question(number: int = 0, **fields: Any) -> Question[Number, int]:
    return Question(
        **{
            "purpose": "find",
            "label": f"question {number}",
            "system": "You count.",
            "user": f"number {number}",
            "answer_type": Number,
            "interpret": doubled,
            **fields,
        }
    )


def ask(
    model: LanguageModel,
    *questions: Question[Number, int],
    memory: Memory | None = None,
    key: str | None = None,
    said: list[str] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Outcome[int], ...]:
    memory = memory if memory is not None else Memory()
    told = said if said is not None else []
    interview = Interview(
        model=model, key=key, kept=memory, log=memory, said=told.append, clock=clock
    )
    return interview.ask_all(questions or (question(),))


class Numbers(ListAnswer):
    numbers: list[int]


def listing(number: int = 0, **fields: Any) -> Question[Any, Any]:
    return question(
        number,
        answer_type=Numbers,
        interpret=lambda parsed: Interpreted(sum(parsed.numbers)),
        **fields,
    )


def echo(body: Body) -> Reply:
    """Answers with the number in the question."""
    return answer({"number": int(body["messages"][-1]["content"].split()[-1])})


def test_answers_come_back_in_the_order_of_their_questions() -> None:
    memory = Memory()
    with ChatServer(echo) as server:
        outcomes = ask(
            a_model(server, concurrency=8, price={"input": 2, "output": 10}),
            *(question(n) for n in range(20)),
            memory=memory,
        )
    assert [outcome.value for outcome in outcomes] == [2 * n for n in range(20)]
    spent = outcomes[0].spent
    assert (spent.calls, spent.prompt_tokens, spent.completion_tokens) == (1, 1000, 100)
    assert spent.cost == pytest.approx(1000 * 2e-6 + 100 * 10e-6)
    assert len(memory.answers) == len(memory.records) == 20


def test_what_is_over_at_once_is_not_worth_a_word_and_what_takes_long_is_told() -> None:
    quick: list[str] = []
    slow: list[str] = []
    questions = [question(n) for n in range(20)]
    with ChatServer(echo) as server:
        ask(a_model(server), *questions, said=quick, clock=lambda: 0.0)
        # Two seconds between any two looks at it.
        seconds = count(step=2)
        ask(a_model(server), *questions, said=slow, clock=lambda: next(seconds))
    assert quick == []
    assert [int(sentence.split()[0]) for sentence in slow] == list(range(2, 21, 2))
    assert slow[-1] == "20 of 20 windows are read by the model."


def test_the_request_has_the_schema_and_the_sampling_that_were_asked_for() -> None:
    with ChatServer(echo) as server:
        ask(
            a_model(server, sampling={"temperature": 0.5, "top_p": 0.9}),
            question(1, sampling=Sampling(temperature=0.0, top_k=7), max_answer_tokens=77),
        )
    [request] = server.requests
    assert request["model"] == "served"
    assert (request["temperature"], request["top_p"], request["top_k"]) == (0.0, 0.9, 7)
    assert request["max_tokens"] == 77
    schema = request["response_format"]["json_schema"]
    assert schema["strict"] is True
    assert schema["schema"] == {
        "type": "object",
        "properties": {"number": {"type": "integer"}},
        "required": ["number"],
        "additionalProperties": False,
    }


def test_no_more_requests_are_in_flight_than_the_model_allows() -> None:
    def slow(body: Body) -> Reply:
        time.sleep(0.05)
        return echo(body)

    with ChatServer(slow) as server:
        ask(a_model(server, concurrency=3), *(question(n) for n in range(12)))
    assert server.peak == 3


def test_many_questions_take_as_long_as_their_share_of_the_concurrency() -> None:
    def slow(body: Body) -> Reply:
        time.sleep(0.2)
        return echo(body)

    with ChatServer(slow) as server:
        began = time.monotonic()
        outcomes = ask(a_model(server, concurrency=10), *(question(n) for n in range(60)))
        seconds = time.monotonic() - began
    assert all(outcome.value is not None for outcome in outcomes)
    assert seconds <= 60 / 10 * 0.2 + 5


# What the server refuses for good.


@pytest.mark.parametrize(
    ("reply", "said", "remedy"),
    [
        (error(401, f"Incorrect API key provided: {KEY}"), "refused the key", "JUDGE_KEY"),
        (error(403, "not for you"), "refused the key", "JUDGE_KEY"),
        (error(404, "The model `served` does not exist"), "knows no model 'served'", "`model`"),
        (error(404, "no such page"), "has no chat interface", "`base_url`"),
        (error(429, "You exceeded your quota", code="insufficient_quota"), "no means", "Pay"),
        (Reply(body=MINIMAX_WITHOUT_MONEY), "no means", "Pay"),
        (error(307, "", headers={"Location": "http://127.0.0.1:9/"}), "sends elsewhere", "final"),
    ],
)
def test_a_server_that_wants_no_question_fails_at_once_and_says_which_setting(
    reply: Reply, said: str, remedy: str
) -> None:
    memory = Memory()
    with ChatServer(scripted(reply)) as server, pytest.raises(LanguageModelRefused) as caught:
        ask(
            a_model(server, api_key_env="JUDGE_KEY", concurrency=1),
            *(question(n) for n in range(5)),
            memory=memory,
            key=KEY,
        )
    assert said in str(caught.value)
    assert remedy in caught.value.remedy
    assert len(server.requests) == 1
    assert not caught.value.retryable
    assert KEY not in str(caught.value)
    assert KEY not in str(memory.records)


def test_nobody_listening_fails_at_once_and_names_the_address() -> None:
    began = time.monotonic()
    address = closed_address()
    with pytest.raises(LanguageModelRefused, match="nobody answers at") as caught:
        ask(a_model(base_url=address))
    assert address in str(caught.value)
    assert "base_url" in caught.value.remedy
    assert time.monotonic() - began < 3


def test_what_was_answered_before_a_refusal_is_kept() -> None:
    memory = Memory()
    refused = pytest.raises(LanguageModelRefused)
    with ChatServer(scripted(echo, error(401, "no"))) as server, refused:
        ask(a_model(server, concurrency=1), question(1), question(2), memory=memory)
    assert len(memory.answers) == 1


# What may pass.


@pytest.mark.parametrize(
    "fault",
    [
        error(500, "oops"),
        error(503, "busy"),
        error(429, "slow down", headers={"Retry-After": "0"}),
        error(429, RATE_LIMIT_WITH_ADVICE, headers={"Retry-After": "0"}),
        Reply(body={"error": {"message": "the model behind us is away", "code": 502}}),
        Reply(body={"error": "overloaded"}),
        Reply(reset=True),
        answer({"number": 3}, cut=True),
    ],
    ids=["500", "503", "429", "advice", "gateway", "error", "reset", "cut"],
)
def test_a_fault_that_passes_is_tried_again(fault: Reply) -> None:
    memory = Memory()
    with ChatServer(scripted(fault, echo)) as server:
        [outcome] = ask(a_model(server), question(3), memory=memory)
    assert outcome.value == 6
    assert outcome.spent.calls == 2
    assert [record.attempt for record in memory.records] == [1, 2]
    assert memory.records[0].error
    assert not memory.records[1].error


def test_a_fault_that_stays_loses_its_question_and_no_other() -> None:
    def reply(body: Body) -> Reply:
        return error(500, "oops") if body["messages"][-1]["content"] == "number 2" else echo(body)

    with ChatServer(reply) as server:
        outcomes = ask(a_model(server, attempts=3), *(question(n) for n in range(4)))
    assert [outcome.value for outcome in outcomes] == [0, 2, None, 6]
    assert outcomes[2].failure == "the server answered 500: oops, 3 times in a row"
    assert outcomes[2].retryable
    assert outcomes[2].spent.calls == 3


def test_the_wait_that_a_server_asks_for_is_kept() -> None:
    with ChatServer(scripted(error(429, "wait", headers={"Retry-After": "1"}), echo)) as server:
        began = time.monotonic()
        [outcome] = ask(a_model(server), question(1))
    assert outcome.value == 2
    assert 1.0 <= time.monotonic() - began < 3


def test_a_wait_given_as_a_date_is_kept_too() -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    with ChatServer(scripted(error(503, "wait", headers={"Retry-After": at}), echo)) as server:
        began = time.monotonic()
        [outcome] = ask(a_model(server), question(1))
    assert outcome.value == 2
    assert time.monotonic() - began >= 0.9


def test_a_wait_longer_than_allowed_is_not_waited_for() -> None:
    with ChatServer(scripted(error(429, "wait", headers={"Retry-After": "3600"}))) as server:
        began = time.monotonic()
        [outcome] = ask(a_model(server), question(1))
    assert time.monotonic() - began < 2
    assert outcome.value is None
    assert "asks to wait 3600 s" in outcome.failure
    assert outcome.retryable


def test_waits_between_attempts_never_grow_beyond_the_longest() -> None:
    with ChatServer(scripted(error(503, "busy"))) as server:
        began = time.monotonic()
        [outcome] = ask(a_model(server, attempts=12, longest_wait_seconds=0.1), question(1))
    assert outcome.spent.calls == 12
    assert "12 times in a row" in outcome.failure
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("slow", [{"delay": 3.0}, {"drip": 0.05}], ids=["slow", "dripping"])
def test_a_server_that_takes_too_long_is_cut_off(slow: dict[str, float]) -> None:
    with ChatServer(scripted(answer({"number": 1}, **slow))) as server:
        began = time.monotonic()
        [outcome] = ask(a_model(server, request_seconds=0.4, attempts=2), question(1))
        seconds = time.monotonic() - began
    assert outcome.value is None
    assert "did not answer within 0.4 s" in outcome.failure
    assert seconds < 2.5


# What cannot be used.


@pytest.mark.parametrize(
    "bad",
    [
        answer("I am sorry, I cannot count."),
        answer({"numbers": [1]}),
        answer({"number": -1}),
        answer('{"number": 1', finish_reason="length"),
        answer(""),
        Reply(body="<html>"),
        Reply(body={"choices": []}),
        Reply(body={"choices": [{"message": None}]}),
        Reply(body=[1, 2]),
    ],
    ids=["prose", "shape", "content", "truncated", "empty", "html", "none", "null", "list"],
)
def test_a_bad_answer_is_mended_once(bad: Reply) -> None:
    memory = Memory()
    with ChatServer(scripted(bad, answer({"number": 4}))) as server:
        [outcome] = ask(a_model(server), question(4), memory=memory)
    assert outcome.value == 8
    assert (outcome.spent.calls, outcome.spent.repairs) == (2, 1)
    roles = [message["role"] for message in server.requests[1]["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    assert "cannot be used" in server.requests[1]["messages"][-1]["content"]
    assert memory.records[0].rejected
    assert memory.records[1].parsed == {"number": 4}
    assert memory.records[1].notes == {"doubled": True}


def test_a_second_bad_answer_loses_the_question() -> None:
    memory = Memory()
    with ChatServer(scripted(answer("no"), answer({"number": -5}))) as server:
        [outcome] = ask(a_model(server), question(4), memory=memory)
    assert outcome.value is None
    assert "must not be negative" in outcome.failure
    assert not outcome.retryable
    assert len(server.requests) == 2
    assert memory.answers == {}


def test_a_refusal_is_not_argued_with() -> None:
    refused = Reply(body=completion(None, refusal="I won't count."))
    with ChatServer(scripted(refused)) as server:
        [outcome] = ask(a_model(server), question(4))
    assert outcome.failure == "the model refused to answer (I won't count)"
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "text",
    [
        '<think>Is it {"number": 1}? No.</think>{"number": 5}',
        'Is it {"number": 1}? No.</think>\n{"number": 5}',
        '```json\n{"number": 5}\n```',
        'Here you are:\n```\n{"number": 5}\n```\nAnything else?',
        'The answer [as asked] is {"number": 5}.',
    ],
)
def test_the_wrapping_around_an_answer_is_taken_off(text: str) -> None:
    with ChatServer(scripted(answer(text))) as server:
        [outcome] = ask(a_model(server), question(5))
    assert outcome.value == 10
    assert len(server.requests) == 1


# What forms servers take.


def test_a_server_without_schemas_is_asked_for_json_and_then_for_text() -> None:
    def picky(body: Body) -> Reply:
        if "response_format" in body:
            return error(400, f"response_format {body['response_format']['type']} not supported")
        return echo(body)

    with ChatServer(picky) as server:
        outcomes = ask(a_model(server, concurrency=1), *(question(n) for n in range(3)))
    assert [outcome.value for outcome in outcomes] == [0, 2, 4]
    formats = [r.get("response_format", {}).get("type") for r in server.requests]
    assert formats == ["json_schema", "json_object", None, None, None]
    assert [message["role"] for message in server.requests[-1]["messages"]] == ["system", "user"]
    assert '"number"' in server.requests[-1]["messages"][0]["content"]


def test_a_server_that_refuses_a_question_in_every_form_loses_it_and_forgets_nothing() -> None:
    def reply(body: Body) -> Reply:
        if body["messages"][-1]["content"] == "number 0":
            return error(400, "bad word in the question")
        return echo(body)

    with ChatServer(reply) as server:
        outcomes = ask(a_model(server, concurrency=1), question(0), question(1))
    assert outcomes[0].failure == "the server refused the question (400): bad word in the question"
    assert outcomes[1].value == 2
    assert server.requests[-1]["response_format"]["type"] == "json_schema"


def test_fields_that_a_server_does_not_know_are_left_out() -> None:
    def picky(body: Body) -> Reply:
        if "max_tokens" in body:
            return error(400, "Unsupported: 'max_tokens'. Use 'max_completion_tokens' instead.")
        if "temperature" in body:
            return error(400, "Unsupported value: 'temperature' does not support 0.2")
        return echo(body)

    with ChatServer(picky) as server:
        [outcome] = ask(a_model(server, sampling={"temperature": 0.2}), question(7))
    assert outcome.value == 14
    last = server.requests[-1]
    assert "temperature" not in last
    assert last["max_completion_tokens"] == 1000
    assert last["response_format"]["type"] == "json_schema"


@pytest.mark.parametrize("server_kind", CONTEXT_OVERFLOWS)
def test_a_question_that_is_too_long_for_the_server_is_lost_with_the_remedy(
    server_kind: str,
) -> None:
    said: list[str] = []
    with ChatServer(scripted(CONTEXT_OVERFLOWS[server_kind])) as server:
        [outcome] = ask(a_model(server), question(1), said=said)
    assert "longer than the server's context" in outcome.failure
    assert "`window_tokens`" in outcome.remedy
    assert "entry 'judge'" in outcome.remedy
    assert len(server.requests) == 1
    assert not outcome.retryable
    [sentence] = said
    assert outcome.remedy in sentence


def test_a_schema_says_how_many_entries_there_may_be_and_the_key_does_not() -> None:
    memory = Memory()
    with ChatServer(scripted(answer({"numbers": [1, 2]}))) as server:
        ask(a_model(server), listing(entries_at_most=3), memory=memory)
        ask(a_model(server), listing(), memory=memory)
    [request] = server.requests
    schema = request["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["numbers"]["maxItems"] == 3


@pytest.mark.parametrize(
    "message",
    [
        "Invalid schema for response_format: 'maxItems' is not permitted.",
        "The provided JSON schema contains features not supported by xgrammar.",
        "failed to parse grammar",
    ],
)
def test_a_server_that_takes_no_number_of_entries_still_gets_the_schema(message: str) -> None:
    def picky(body: Body) -> Reply:
        return (
            error(400, message) if "maxItems" in json.dumps(body) else answer({"numbers": [1, 2]})
        )

    with ChatServer(picky) as server:
        model = a_model(server, concurrency=1)
        outcomes = ask(model, *(listing(n, entries_at_most=3) for n in range(2)))
    assert [outcome.value for outcome in outcomes] == [3, 3]
    formats = [request["response_format"]["type"] for request in server.requests]
    assert formats == ["json_schema"] * 3


def test_a_server_that_is_told_the_schema_in_words_is_told_the_number_too() -> None:
    with ChatServer(scripted(answer({"numbers": [1]}))) as server:
        ask(a_model(server, structured_output="text"), listing(entries_at_most=3))
    assert '"maxItems":3' in server.requests[0]["messages"][0]["content"]


# What is too much, or no text.


def test_a_response_without_end_loses_its_question_and_no_other() -> None:
    def reply(body: Body) -> Reply:
        if body["messages"][-1]["content"] == "number 0":
            return Reply(body='"' + "x" * 9_000_000)
        return echo(body)

    with ChatServer(reply) as server:
        outcomes = ask(a_model(server), question(0), question(1))
    assert outcomes[0].failure == "the server's response is longer than 8,388,608 bytes"
    assert outcomes[0].spent.calls == 1
    assert outcomes[1].value == 2


def test_halves_of_characters_in_a_bad_answer_can_be_sent_back_for_its_repair() -> None:
    memory = Memory()
    bad = Reply(body=json.dumps(completion("never \ud800 mind")))
    with ChatServer(scripted(bad, answer({"number": 4}))) as server:
        [outcome] = ask(a_model(server), question(4), memory=memory)
    assert outcome.value == 8
    assert server.requests[1]["messages"][2]["content"] == "never \ufffd mind"
    json.dumps(memory.records[0].response, ensure_ascii=False).encode()


def test_a_response_nested_without_end_is_logged_as_text() -> None:
    memory = Memory()
    bad = Reply(body='{"choices": ' + "[" * 500 + "]" * 500 + "}")
    with ChatServer(scripted(bad, answer({"number": 4}))) as server:
        [outcome] = ask(a_model(server), question(4), memory=memory, key=KEY)
    assert outcome.value == 8
    assert isinstance(memory.records[0].response, str)


# What is kept.


def test_a_paid_answer_is_kept_though_another_question_is_refused() -> None:
    class Slow(Memory):
        def keep(self, key: str, answer: str) -> None:
            time.sleep(0.4)
            super().keep(key, answer)

        def record(self, call: CallRecord) -> None:
            if call.parsed:
                time.sleep(0.4)
            super().record(call)

    def reply(body: Body) -> Reply:
        if body["messages"][-1]["content"] == "number 1":
            return echo(body)
        time.sleep(0.2)
        return error(401, "no")

    memory = Slow()
    with ChatServer(reply) as server, pytest.raises(LanguageModelRefused):
        ask(a_model(server, concurrency=2), question(1), question(2), memory=memory)
    assert len(memory.answers) == 1
    assert [record.status for record in memory.records if record.parsed] == [200]


def test_a_paid_answer_is_kept_though_the_log_is_away() -> None:
    class Broken(Memory):
        def record(self, call: CallRecord) -> None:
            raise ObjectStoreUnavailable("the bucket is away")

    memory = Broken()
    with ChatServer(echo) as server, pytest.raises(ObjectStoreUnavailable, match="bucket"):
        ask(a_model(server), question(1), memory=memory)
    assert len(memory.answers) == 1


def test_progress_that_cannot_be_told_fails_the_step_as_itself() -> None:
    def said(_: str) -> None:
        raise ObjectStoreUnavailable("the log is away")

    memory = Memory()
    broken = ChatServer(scripted(error(400, "no")))
    with broken as server, pytest.raises(ObjectStoreUnavailable, match="log is away"):
        Interview(model=a_model(server), key=None, kept=memory, log=memory, said=said).ask_all(
            [question(1)]
        )


def test_what_is_kept_is_not_asked_for_again() -> None:
    memory, said = Memory(), []
    with ChatServer(scripted(echo, echo, error(401, "no"))) as server:
        model = a_model(server, concurrency=1)
        with pytest.raises(LanguageModelRefused):
            ask(model, *(question(n) for n in range(5)), memory=memory)
    with ChatServer(echo) as server:
        # The same model at another address answers alike.
        outcomes = ask(a_model(server), *(question(n) for n in range(5)), memory=memory, said=said)
    assert [outcome.value for outcome in outcomes] == [0, 2, 4, 6, 8]
    assert len(server.requests) == 3
    assert sum(outcome.spent.kept_answers for outcome in outcomes) == 2
    assert said[0] == "Of 5 answers, 2 were kept from before."


@pytest.mark.parametrize(
    "changed",
    [
        {"system": "You miscount."},
        {"user": "number 11"},
        {"sampling": Sampling(temperature=0.1)},
        {"max_answer_tokens": 50},
        {"images": (b"jpeg",)},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_another_question_is_asked(changed: dict[str, Any]) -> None:
    memory = Memory()
    with ChatServer(lambda _: answer({"number": 1})) as server:
        model = a_model(server)
        ask(model, question(1), memory=memory)
        ask(model, question(1, **changed), memory=memory)
        ask(a_model(server, model="another"), question(1), memory=memory)
    assert len(server.requests) == 3


def test_a_kept_answer_that_no_longer_fits_is_asked_for_again() -> None:
    memory = Memory()
    with ChatServer(echo) as server:
        ask(a_model(server), question(1), memory=memory)
        [key] = memory.answers
        memory.answers[key] = '{"number": -1}'
        [outcome] = ask(a_model(server), question(1), memory=memory)
    assert outcome.value == 2
    assert len(server.requests) == 2


def test_the_same_question_twice_is_asked_and_counted_once() -> None:
    memory, said = Memory(), []
    with ChatServer(echo) as server:
        asked = (question(3), question(3), question(4))
        fresh = ask(a_model(server), *asked, memory=memory)
        again = ask(a_model(server), *asked, memory=memory, said=said)
    assert [outcome.value for outcome in fresh] == [6, 6, 8]
    assert len(server.requests) == 2
    assert [outcome.spent.calls for outcome in fresh] == [1, 0, 1]
    # Nothing was there before the first of these, and two answers before the second.
    assert sum(outcome.spent.kept_answers for outcome in fresh) == 0
    assert sum(outcome.spent.kept_answers for outcome in again) == 2
    assert said == ["Of 2 answers, 2 were kept from before."]
    assert [outcome.repeats for outcome in fresh] == [False, True, False]
    assert [outcome.repeats for outcome in again] == [False, True, False]


def test_the_same_question_twice_fails_once() -> None:
    said: list[str] = []
    with ChatServer(scripted(answer("no"))) as server:
        first, second = ask(a_model(server), question(3), question(3), said=said)
    assert first.failure == second.failure
    assert second.repeats
    assert len(said) == 1


def test_an_answer_that_cannot_be_kept_fails_the_step() -> None:
    class Broken(Memory):
        def record(self, call: CallRecord) -> None:
            raise ObjectStoreUnavailable("the bucket is away")

    with ChatServer(echo) as server, pytest.raises(ObjectStoreUnavailable, match="bucket"):
        ask(a_model(server), *(question(n) for n in range(8)), memory=Broken())


def test_images_are_sent_whole_and_logged_by_their_hash() -> None:
    memory = Memory()
    with ChatServer(lambda _: answer({"number": 1})) as server:
        ask(
            a_model(server, sees_images=True), question(1, images=(b"\xff\xd8jpeg",)), memory=memory
        )
    [request] = server.requests
    assert request["messages"][1]["content"][1]["image_url"]["url"].startswith("data:image/jpeg")
    logged = json.dumps(memory.records[0].request)
    assert "base64" not in logged
    assert "JPEG of 6 bytes" in logged


# Keys.


def test_a_key_is_sent_and_never_recorded() -> None:
    memory = Memory()

    def tell_tale(body: Body) -> Reply:
        return answer({"number": 1, "your_key": KEY})

    with ChatServer(scripted(error(500, f"bad {KEY}"), tell_tale)) as server:
        [outcome] = ask(a_model(server, api_key_env="JUDGE_KEY"), memory=memory, key=KEY)
    assert outcome.value == 2
    assert set(server.keys) == {f"Bearer {KEY}"}
    assert KEY not in repr(memory.records)
    assert "[key]" in repr(memory.records)


def test_a_failure_that_quotes_the_key_does_not_tell_it() -> None:
    with ChatServer(scripted(error(500, f"no luck with {KEY}"))) as server:
        [outcome] = ask(a_model(server, attempts=1), key=KEY)
    assert "no luck with [key]" in outcome.failure


def test_keys_of_other_servers_stay_here(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "OPENAI_API_KEY": KEY,
        "OPENAI_ORG_ID": "org-of-ours",
        "OPENAI_PROJECT_ID": "project-of-ours",
        "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
        "OPENAI_ADMIN_KEY": KEY,
        "OPENAI_CUSTOM_HEADERS": f"X-Gateway: {KEY}\nauthorization: Bearer {KEY}\n"
        "Content-Type: of-ours\n broken",
    }.items():
        monkeypatch.setenv(name, value)
    with ChatServer(echo) as server:
        ask(a_model(server), question(1))
    assert "application/json" in server.headers[0].values()
    told = json.dumps(server.headers)
    assert KEY not in told
    assert "of-ours" not in told


# Before any work.


def test_a_server_that_answers_is_reachable_whatever_it_says_about_models() -> None:
    for status in (200, 404, 500):
        with ChatServer(echo, models_status=status) as server:
            check_reachable(a_model(server), key=KEY)
        assert server.keys == [f"Bearer {KEY}"]


def test_nobody_answering_is_found_out_before_any_work() -> None:
    with pytest.raises(LanguageModelRefused, match="nobody answers at") as caught:
        check_reachable(a_model(base_url=closed_address()), key=None)
    assert "(connection refused)" in str(caught.value)


def test_a_server_that_drips_its_first_line_is_found_out_before_any_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("videomoments_dagster.language_models.chat_client._CHECK_SECONDS", 0.5)
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                while not stop.wait(0.1):
                    connection.sendall(b"H")

        thread = threading.Thread(target=drip)
        thread.start()
        began = time.monotonic()
        with pytest.raises(LanguageModelRefused, match=r"nobody answers .*no answer within 0.5 s"):
            check_reachable(
                a_model(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}/v1"), key=None
            )
        assert time.monotonic() - began < 3
        stop.set()
        thread.join()


def test_a_name_that_nobody_knows_is_found_out_before_any_work() -> None:
    with pytest.raises(LanguageModelRefused, match=r"nobody answers at http://nowhere\.invalid"):
        check_reachable(a_model(base_url="http://nowhere.invalid/v1"), key=None)


def test_a_refused_key_is_found_out_before_any_work() -> None:
    refused = pytest.raises(LanguageModelRefused, match="refused the key")
    with ChatServer(echo, models_status=401) as server, refused:
        check_reachable(a_model(server, api_key_env="JUDGE_KEY"), key=KEY)


# Interrupts and imports.


def test_an_interrupt_ends_everything_at_once() -> None:
    memory = Memory()
    with ChatServer(scripted(echo, answer({"number": 1}, delay=4.0))) as server:
        main = threading.main_thread().ident
        assert main is not None

        def interrupt() -> None:
            while len(server.requests) < 2:
                time.sleep(0.01)
            time.sleep(0.2)
            signal.pthread_kill(main, signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            ask(a_model(server, concurrency=1), question(1), question(2), memory=memory)
        assert time.monotonic() - began < 2
        thread.join()
    assert len(memory.answers) == 1


def test_loading_the_definitions_imports_no_client() -> None:
    code = (
        "import sys; import videomoments_dagster.definitions; "
        "sys.exit(bool({'openai', 'httpx2'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, env=dict(os.environ))
