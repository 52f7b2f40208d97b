"""From what a model wrote to the JSON that was asked for.

Belongs here: taking the wrapping off an answer, and validating what is inside. Does not belong
here: what the answer means, or asking again.

Models wrap JSON in what they were trained to write: thoughts in `<think>`, Markdown fences, a
sentence before and one after.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from videomoments_dagster.language_models.received_json import well_formed

A = TypeVar("A", bound=BaseModel)

# None of these repeats anything before something that may be absent: a model that repeats itself
# would else be searched for as long as its answer is long, at each of its repetitions.
_THOUGHT_TAG = re.compile(r"<(/?)(?:think|thinking|reasoning)>", re.IGNORECASE)
_FENCE_LANGUAGE = re.compile(r"[A-Za-z0-9_-]*")
_FENCE = "```"
_LONGEST_ANSWER = 1_000_000
_MOST_BEGINNINGS = 200
_MOST_CHARACTERS_READ = 4_000_000
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
            return answer_type.model_validate(well_formed(candidate))
        except ValidationError as error:
            rejected = rejected or AnswerRejected(_sentence(error))
        except (RecursionError, ValueError):
            rejected = rejected or AnswerRejected("The JSON is nested too deeply.")
    raise rejected or AnswerRejected("The answer is not JSON.")


def _candidates(text: str) -> Iterator[Any]:
    """The JSON values that an answer may mean, the likeliest first."""
    # A model that forgets to end its thoughts has mostly written the answer inside them.
    bare = _without_thoughts(text).strip() or text
    # Text in the answer may itself look like thoughts or fences: the whole comes first.
    for source in (text, bare, *_fenced(bare)):
        whole = _parsed(source.strip())
        if whole is not None:
            yield whole
    yield from _inside(bare)


def _without_thoughts(text: str) -> str:
    """A text without what stands between the tags of thoughts.

    An end without a beginning ends a thought that began with the text: some servers swallow the
    opening tag, since it is part of the prompt's template. One without an end goes on to the end.
    """
    parts: list[str] = []
    start, thinking = 0, False
    for tag in _THOUGHT_TAG.finditer(text):
        ends = bool(tag.group(1))
        if ends and not thinking:
            parts.clear()
        elif not ends and not thinking:
            parts.append(text[start : tag.start()])
        thinking, start = not ends, tag.end()
    return "".join(parts) if thinking else "".join([*parts, text[start:]])


def _fenced(text: str) -> list[str]:
    """What stands in Markdown fences, without the name of its language."""
    fenced = text.split(_FENCE)[1::2]
    return [part[match.end() :] for part in fenced if (match := _FENCE_LANGUAGE.match(part))]


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number of JSON")
    return number


# Python's parser also takes NaN and infinite numbers, which are no JSON and cannot be kept.
_DECODER = json.JSONDecoder(parse_constant=_finite, parse_float=_finite)


def _parsed(text: str) -> Any | None:
    try:
        value = _DECODER.decode(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def _inside(text: str) -> list[Any]:
    """Whole JSON objects and lists of them that stand in a text; nested ones only once."""
    found: list[Any] = []
    position, read = 0, 0
    for _ in range(_MOST_BEGINNINGS):
        begins = [at for at in (text.find("{", position), text.find("[", position)) if at >= 0]
        if not begins or read > _MOST_CHARACTERS_READ:
            break
        start = min(begins)
        try:
            value, position = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError) as error:
            read += getattr(error, "pos", len(text)) - start
            position = start + 1
            continue
        # Lists such as "[1]" in a sentence are no answers.
        if isinstance(value, dict) or (value and all(isinstance(item, dict) for item in value)):
            found.append(value)
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
