"""An interviewer whose model is a function, for tests of what is asked and what is made of it.

Belongs here: the shape of the real one, repair included; and a memory for the real one. Does not
belong here: HTTP (`chat_server`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from videomoments_dagster.language_models.answers import AnswerRejected, validated_answer
from videomoments_dagster.language_models.questions import CallRecord, Outcome, Question, Spent


class Silent(Exception):
    """The model gives no answer to this question; its text is the failure."""


@dataclass
class Memory:
    """Answers and records in memory, with the interfaces of their stores."""

    answers: dict[str, str] = field(default_factory=dict)
    records: list[CallRecord] = field(default_factory=list)

    def recall(self, keys: Sequence[str]) -> Mapping[str, str]:
        return {key: self.answers[key] for key in keys if key in self.answers}

    def keep(self, key: str, answer: str) -> None:
        self.answers[key] = answer

    def record(self, call: CallRecord) -> None:
        self.records.append(call)


@dataclass
class ImaginedInterviewer:
    """Answers each question with what `answers` gives: JSON, text, or `Silent` raised."""

    answers: Callable[[Question[Any, Any]], Any]
    prompt_tokens_at_most: int = 4000
    sees_images: bool = False
    model_name: str = "imagined"
    identity: str = "1"
    questions: list[Question[Any, Any]] = field(default_factory=list)
    notes: list[Any] = field(default_factory=list)

    def ask_all(self, questions: Sequence[Question[Any, Any]]) -> tuple[Outcome[Any], ...]:
        first: dict[Any, tuple[Outcome[Any], Any]] = {}
        outcomes = []
        for question in questions:
            asked = (question.system, question.user, question.images)
            if asked not in first:
                first[asked] = self._outcome(question)
                outcomes.append(first[asked][0])
                continue
            outcome, parsed = first[asked]
            value = None if parsed is None else question.interpret(parsed).value
            outcomes.append(replace(outcome, value=value, spent=Spent(), repeats=True))
        return tuple(outcomes)

    def _outcome(self, question: Question[Any, Any]) -> tuple[Outcome[Any], Any]:
        """What comes of a question, and the answer as parsed."""
        self.questions.append(question)
        for attempt in (1, 2):
            try:
                answer = self.answers(question)
            except Silent as silent:
                failed: Outcome[Any] = Outcome(
                    value=None, spent=Spent(calls=attempt), failure=str(silent), retryable=True
                )
                return failed, None
            text = answer if isinstance(answer, str) else json.dumps(answer)
            try:
                parsed = validated_answer(text, question.answer_type)
                # What is kept has to mean the same when it is read again.
                again = validated_answer(parsed.model_dump_json(), question.answer_type)
                assert again == parsed
                interpreted = question.interpret(parsed)
            except (AnswerRejected, ValueError) as rejected:
                failure = str(rejected)
                continue
            json.dumps(interpreted.notes, allow_nan=False)
            self.notes.append(interpreted.notes)
            return Outcome(value=interpreted.value, spent=Spent(calls=attempt)), parsed
        return Outcome(value=None, spent=Spent(calls=2), failure=failure), None
