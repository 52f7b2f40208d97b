"""From what a model wrote to the JSON that was asked for.

Belongs here: taking the wrapping off an answer, and validating what is inside. Does not belong
here: what the answer means, or asking again.

Models wrap JSON in what they were trained to write: thoughts in `<think>`, Markdown fences, a
sentence before and one after.
"""

from __future__ import annotations

import json
import re
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

A = TypeVar("A", bound=BaseModel)

_THOUGHT = re.compile(r"<(think|thinking|reasoning)>.*?</\1>", re.DOTALL | re.IGNORECASE)
# Some servers swallow the opening tag, since it is part of the prompt's template.
_END_OF_THOUGHT = re.compile(r"^.*</(?:think|thinking|reasoning)>", re.DOTALL | re.IGNORECASE)
_OPEN_THOUGHT = re.compile(r"<(?:think|thinking|reasoning)>.*$", re.DOTALL | re.IGNORECASE)
_FENCED = re.compile(r"```[A-Za-z0-9_-]*\s*\n?(.*?)```", re.DOTALL)
_LONGEST_ANSWER = 1_000_000
_MOST_BEGINNINGS = 200
_MOST_ERRORS_TOLD = 3


class AnswerRejected(Exception):
    """An answer that cannot be used; its sentence helps the model to mend it."""


def validated_answer(text: str, answer_type: type[A]) -> A:
    """Find the JSON in an answer and validate it.

    Args:
        text: What the model wrote.
        answer_type: The shape that was asked for.

    Raises:
        AnswerRejected: If there is no JSON in it, or JSON of another shape.
    """
    if len(text) > _LONGEST_ANSWER:
        raise AnswerRejected(f"The answer is longer than {_LONGEST_ANSWER:,} characters.")
    rejected: AnswerRejected | None = None
    for candidate in _candidates(text):
        try:
            return answer_type.model_validate(candidate)
        except ValidationError as error:
            rejected = rejected or AnswerRejected(_sentence(error))
        except RecursionError:
            rejected = rejected or AnswerRejected("The JSON is nested too deeply.")
    raise rejected or AnswerRejected("The answer is not JSON.")


def _candidates(text: str) -> list[Any]:
    """The JSON values that an answer may mean, the likeliest first."""
    bare = _THOUGHT.sub("", text)
    bare = _END_OF_THOUGHT.sub("", bare)
    bare = _OPEN_THOUGHT.sub("", bare).strip()
    # A model that forgets to end its thoughts has mostly written the answer inside them.
    sources = [bare, *_FENCED.findall(bare)] if bare else [text]
    found: list[Any] = []
    for source in sources:
        whole = _parsed(source.strip())
        if whole is not None:
            found.append(whole)
    if not found:
        found = _inside(bare or text)
    return found


def _parsed(text: str) -> Any | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def _inside(text: str) -> list[Any]:
    """Whole JSON objects and lists that stand in a text, in order; nested ones only once."""
    decoder = json.JSONDecoder()
    found: list[Any] = []
    position = 0
    for _ in range(_MOST_BEGINNINGS):
        begins = [at for at in (text.find("{", position), text.find("[", position)) if at >= 0]
        if not begins:
            break
        start = min(begins)
        try:
            value, position = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            position = start + 1
            continue
        found.append(value)
    # Lists such as "[1]" in a sentence are no answers where there is an object.
    return sorted(found, key=lambda value: not isinstance(value, dict))


def _sentence(error: ValidationError) -> str:
    """What is wrong, short enough for a model to act on."""
    told = []
    for item in error.errors(include_url=False, include_input=False)[:_MOST_ERRORS_TOLD]:
        where = ".".join(str(part) for part in item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        told.append(f"{where}: {message}" if where else message)
    more = error.error_count() - len(told)
    return (
        "The JSON has another shape than asked for: "
        + "; ".join(told)
        + (f"; and {more} more errors." if more > 0 else ".")
    )
