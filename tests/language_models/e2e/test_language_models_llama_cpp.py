"""A real llama.cpp, where there is one: `pip install xllamacpp`, and TEST_GGUF names a model.

Any model will do, however small: what is tested holds whatever it says.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chat_server import a_model
from interviews import Memory
from moment_finding_samples import broken_promises, config, talk
from pydantic import BaseModel

from videomoments_dagster.base.failures import LanguageModelFailed
from videomoments_dagster.language_models.interview import Interview
from videomoments_dagster.language_models.model_registry import LanguageModel
from videomoments_dagster.language_models.questions import (
    Interpreted,
    ListAnswer,
    Outcome,
    Question,
    Sampling,
)
from videomoments_dagster.moments.finding.language_model.finding import find_with_language_model

GGUF = os.environ.get("TEST_GGUF", "")
CONTEXT = 4096

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="no xllamacpp"),
    pytest.mark.skipif(not GGUF, reason="TEST_GGUF names no model"),
]


class Item(BaseModel):
    line: int
    words: str


class Items(ListAnswer):
    items: list[Item]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    assert Path(GGUF).is_file(), f"TEST_GGUF is {GGUF}, where no file is"
    xllamacpp = importlib.import_module("xllamacpp")
    parameters = xllamacpp.CommonParams()
    parameters.model.path = GGUF
    parameters.n_ctx, parameters.n_parallel = CONTEXT, 1
    parameters.port = 0
    server = xllamacpp.Server(parameters)
    yield f"{server.listening_address}/v1"
    del server


def served(address: str, **fields: Any) -> LanguageModel:
    sizes = {"context_window": CONTEXT, "max_answer_tokens": 300, "request_seconds": 300}
    return a_model(base_url=address, **{**sizes, **fields})


def ask(model: LanguageModel, **fields: Any) -> tuple[Outcome[Items], Memory]:
    memory = Memory()
    question: Question[Items, Items] = Question(
        **{
            "purpose": "find",
            "label": "window 1",
            "system": "You list lines.",
            "user": "1\tLava is hot.\n2\tAsh is light.\nName at most 2 lines.",
            "answer_type": Items,
            "interpret": Interpreted,
            "sampling": Sampling(temperature=0.0),
            "entries_at_most": 2,
            **fields,
        }
    )
    interview = Interview(model=model, key=None, kept=memory, log=memory, said=print)
    [outcome] = interview.ask_all([question])
    return outcome, memory


def test_an_answer_has_the_schema_and_its_number_or_names_the_setting(address: str) -> None:
    outcome, memory = ask(served(address))
    assert all(record.status == 200 for record in memory.records)
    if outcome.value is None:
        assert "`max_answer_tokens`" in outcome.remedy
    else:
        assert len(outcome.value.items) <= 2
    assert outcome.spent.completion_tokens > 0


def test_an_answer_that_is_cut_off_at_once_is_lost_with_the_setting(address: str) -> None:
    outcome, memory = ask(served(address), max_answer_tokens=3)
    assert outcome.value is None
    assert "cut off at its longest, 3 tokens" in outcome.failure
    assert "`max_answer_tokens`" in outcome.remedy
    assert memory.answers == {}
    # What the model said before it is asked to mend it.
    first, second = memory.records
    said = first.response["choices"][0]["message"]["content"]
    assert second.request["messages"][2]["content"] == said or not said


def test_a_question_beyond_the_context_is_lost_with_the_setting(address: str) -> None:
    outcome, memory = ask(served(address), user="lava " * CONTEXT)
    assert "longer than the server's context" in outcome.failure
    assert "`window_tokens`" in outcome.remedy
    assert len(memory.records) == 1


def test_an_answer_in_pieces_is_the_one_that_comes_whole(address: str) -> None:
    records = [
        ask(served(address, stream=stream))[1].records[0].response for stream in (False, True)
    ]
    texts = [record["choices"][0]["message"]["content"] for record in records]
    reasons = [record["choices"][0]["finish_reason"] for record in records]
    counts = [record["usage"]["completion_tokens"] for record in records]
    assert texts[0] == texts[1]
    assert reasons[0] == reasons[1]
    assert counts[0] == counts[1]


def test_whatever_it_names_keeps_every_promise(address: str) -> None:
    transcript, limits = talk(), config(min_length=3, max_length=30, max_moments=5)
    seconds = transcript.words[-1].end
    memory = Memory()
    interviewer = Interview(
        model=served(address, max_answer_tokens=1024), key=None, kept=memory, log=memory, said=print
    )
    found, remedy = None, ""
    try:
        found = find_with_language_model(
            transcript, duration_seconds=seconds, config=limits, interviewer=interviewer
        )
    except LanguageModelFailed as failed:
        remedy = failed.remedy
    if found is None:
        assert "`max_answer_tokens`" in remedy
    else:
        spans = [(draft.start_time, draft.end_time) for draft in found.drafts]
        assert not broken_promises(spans, transcript, duration=seconds, config=limits)
        assert found.drafts or found.why_fewer
