"""The form in which a server takes a question, found out by asking.

Belongs here: the body of a chat request, and what to leave out or change when a server refuses it.
Does not belong here: sending.

Servers that speak the protocol differ: some take a JSON schema, some only "JSON", some neither;
some call the limit of an answer `max_completion_tokens`; some know no `temperature`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from pydantic import BaseModel

from videomoments_dagster.language_models.answer_schema import answer_schema
from videomoments_dagster.language_models.model_registry import LanguageModel
from videomoments_dagster.language_models.questions import A, Question, Sampling, T

_FORMATS = ("json_schema", "json_object", "text")
_SAMPLING_FIELDS = ("temperature", "top_p", "top_k")
_IMAGE_PREFIX = "data:image/jpeg;base64,"

Messages = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class RequestForm:
    """What a server takes, as far as is known.

    Attributes:
        answer_format: "json_schema", "json_object" or "text".
        limit_field: Name of the field that limits the answer.
        left_out: Fields that it refused.
    """

    answer_format: str = "json_schema"
    limit_field: str = "max_tokens"
    left_out: frozenset[str] = frozenset()

    @classmethod
    def first_for(cls, model: LanguageModel) -> Self:
        """The form to begin with."""
        wanted = model.structured_output
        return cls(answer_format=_FORMATS[0] if wanted == "auto" else wanted)

    def after_refusal(self, message: str) -> Self | None:
        """The form to try after the server refused this one; None when nothing is left to try.

        Args:
            message: What the server said.
        """
        said = message.lower()
        if self.limit_field == "max_tokens" and "max_completion_tokens" in said:
            return replace(self, limit_field="max_completion_tokens")
        for field in _SAMPLING_FIELDS:
            if field in said and field not in self.left_out:
                return replace(self, left_out=self.left_out | {field})
        at = _FORMATS.index(self.answer_format)
        if at + 1 < len(_FORMATS):
            return replace(self, answer_format=_FORMATS[at + 1])
        return None

    def body(
        self,
        model: LanguageModel,
        messages: Messages,
        *,
        answer_type: type[BaseModel],
        sampling: Sampling,
        max_answer_tokens: int,
    ) -> dict[str, Any]:
        """The request's body."""
        body: dict[str, Any] = {
            "model": model.model,
            "messages": list(messages),
            self.limit_field: max_answer_tokens,
        }
        for field in _SAMPLING_FIELDS:
            value = getattr(sampling, field)
            if value is not None and field not in self.left_out:
                body[field] = value
        schema = answer_schema(answer_type)
        if self.answer_format == "json_schema":
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "answer", "strict": True, "schema": schema},
            }
            return body
        if self.answer_format == "json_object":
            body["response_format"] = {"type": "json_object"}
        # Without a schema of its own in the request, the model has to read it.
        text = json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
        asked = f"Answer with one JSON object of this schema: {text}"
        # Many chat templates refuse a second system message.
        system = {**messages[0], "content": f"{messages[0]['content']}\n\n{asked}"}
        body["messages"] = [system, *messages[1:]]
        return body


def opening_messages(question: Question[A, T]) -> list[dict[str, Any]]:
    """The messages that a question begins with."""
    content: Any = question.user
    if question.images:
        content = [
            {"type": "text", "text": question.user},
            *(
                {
                    "type": "image_url",
                    "image_url": {"url": _IMAGE_PREFIX + base64.b64encode(image).decode()},
                }
                for image in question.images
            ),
        ]
    return [
        {"role": "system", "content": question.system},
        {"role": "user", "content": content},
    ]


def without_images(value: Any) -> Any:
    """A request with each image replaced by its size and hash, for the log."""
    if isinstance(value, str) and value.startswith(_IMAGE_PREFIX):
        image = base64.b64decode(value.removeprefix(_IMAGE_PREFIX))
        return f"JPEG of {len(image)} bytes, sha256 {hashlib.sha256(image).hexdigest()}"
    if isinstance(value, Mapping):
        return {key: without_images(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_images(item) for item in value]
    return value


def sampling_of(model: LanguageModel, asked: Sampling) -> Sampling:
    """What the question asks for, else what the model's entry says."""
    usual = model.sampling
    return Sampling(
        temperature=usual.temperature if asked.temperature is None else asked.temperature,
        top_p=usual.top_p if asked.top_p is None else asked.top_p,
        top_k=usual.top_k if asked.top_k is None else asked.top_k,
    )
