"""Keys of kept answers: what an archive has paid for stays found."""

from __future__ import annotations

from typing import Any

import pytest
from chat_server import a_model
from interviews import Memory
from pydantic import BaseModel

from videomoments_dagster.language_models.interview import Interview
from videomoments_dagster.language_models.questions import Interpreted, Question
from videomoments_dagster.moments.finding.language_model.finding import FindingAnswer
from videomoments_dagster.moments.finding.language_model.refining import RefiningAnswer
from videomoments_dagster.moments.finding.language_model.scoring import ScoringAnswer


@pytest.mark.parametrize(
    ("answer_type", "key"),
    [
        (FindingAnswer, "2b48fdbc9c790958e7a6fdbfe013fdb30119651b382d13ece01d559eb2f9afd2"),
        (ScoringAnswer, "45cfea317e0a515ec176b83db525038e8e115b0b7c1754050ac2f9bcde363256"),
        (RefiningAnswer, "35934005c6625453cbfd68802b632e4febf98e3a9a3aba936e2d1a8bd5bf4b01"),
    ],
)
def test_the_key_of_a_question_is_what_it_was(answer_type: type[BaseModel], key: str) -> None:
    memory = Memory()
    question: Question[Any, Any] = Question(
        purpose="find",
        label="anything",
        system="s",
        user="u",
        answer_type=answer_type,
        interpret=lambda parsed: Interpreted(parsed.model_dump()),
    )
    memory.answers[key] = (
        '{"moments": [{"first_line": 1, "last_line": 2}], "malformed": 0, "beyond": 0, '
        '"scores": [{"id": 1, "score": 5}], "first_word": 1, "last_word": 2}'
    )
    # Nobody listens: whatever was not kept fails.
    interview = Interview(model=a_model(), key=None, kept=memory, log=memory, said=print)
    [outcome] = interview.ask_all([question])
    assert outcome.spent.kept_answers == 1
