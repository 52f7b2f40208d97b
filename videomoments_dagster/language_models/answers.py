"""From what a model wrote to the JSON that was asked for, and that JSON's schema.

Models wrap JSON in what they were trained to write: thoughts in `<think>`, Markdown fences, a
sentence before and one after.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from videomoments_dagster.language_models.questions import ListAnswer

A = TypeVar("A", bound=BaseModel)

# None of these repeats anything before something that may be absent: a model that repeats itself
# would else be searched for as long as its answer is long, at each of its repetitions.
_THOUGHT_TAG = re.compile(r"<(/?)(?:think|thinking|reasoning)>", re.IGNORECASE)
_FENCE_LANGUAGE = re.compile(r"\A[A-Za-z0-9_-]*")
_MARK = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]"]', re.DOTALL)
"""Brackets, whole texts, and the quote that begins one without an end."""
_BEGINNING = re.compile(r"[{\[]")
_CLOSES = {"{": "}", "[": "]"}
_LONGEST_ANSWER = 1_000_000
_MOST_BEGINNINGS = 200
_MOST_CHARACTERS_READ = 4_000_000
_MOST_ERRORS_NAMED = 3
_DEEPEST_JSON = 100
"""Levels of lists and objects; writing JSON takes more stack than reading it."""


class AnswerRejected(ValueError):
    """An answer that cannot be used; its sentence helps the model to mend it."""


def answer_schema(
    answer_type: type[BaseModel], *, entries_at_most: int | None = None
) -> dict[str, Any]:
    """The JSON schema of an answer: every field required, no other allowed, nothing decorative.

    The rules are those of OpenAI's structured outputs in strict mode, which other servers'
    grammars take as well.

    Args:
        answer_type: The shape that is asked for.
        entries_at_most: How many entries its list may have; None for any number.
    """
    schema: dict[str, Any] = _strict(answer_type.model_json_schema())
    if entries_at_most is not None:
        for field in schema["properties"].values():
            if field.get("type") == "array":
                field["maxItems"] = entries_at_most
    return schema


def _strict(value: Any) -> Any:
    if isinstance(value, list):
        return [_strict(item) for item in value]
    if not isinstance(value, dict):
        return value
    lenient = ("title", "default", "examples")
    strict = {key: _strict(body) for key, body in value.items() if key not in lenient}
    if value.get("type") == "object" and "properties" in value:
        # A field may have the name of what is left out; and what is added goes to the end.
        del strict["properties"]
        strict["properties"] = {key: _strict(body) for key, body in value["properties"].items()}
        strict["required"] = list(strict["properties"])
        strict["additionalProperties"] = False
    return strict


def validated_answer(text: str, answer_type: type[A]) -> A:
    """Find the JSON in an answer and validate it.

    Args:
        text: What the model wrote.
        answer_type: The shape that was asked for.

    Raises:
        AnswerRejected: If there is no JSON in it, or JSON of another shape.
    """
    return _first_valid(text, _candidates(text), answer_type)


def answer_before_cut(text: str, answer_type: type[A]) -> A:
    """Find what is whole in an answer that was cut off, and validate it.

    Of a list, these are the entries that have their end; `cut` then says that others had not. A
    single object is whole or nothing: its last number may have lost digits.

    Args:
        text: What the model wrote.
        answer_type: The shape that was asked for.

    Raises:
        AnswerRejected: If nothing in it is whole, or has another shape.
    """
    bare = _without_thoughts(text)
    ended = chain(_documents(bare, *_fenced(bare)), _parts(bare, ended=True))
    try:
        return _first_valid(text, ended, answer_type)
    except AnswerRejected as rejected:
        if not issubclass(answer_type, ListAnswer):
            raise
        try:
            part = _first_valid(text, _parts(bare, ended=False), answer_type)
        except AnswerRejected as of_part:
            raise of_part from rejected
        return part.model_copy(update={"cut": True})


def _first_valid(text: str, candidates: Iterable[Any], answer_type: type[A]) -> A:
    if len(text) > _LONGEST_ANSWER:
        raise AnswerRejected(f"The answer is longer than {_LONGEST_ANSWER:,} characters.")
    rejected: AnswerRejected | None = None
    for candidate in candidates:
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
    yield from _documents(text, bare, *_fenced(bare))
    yield from sorted(_inside(bare), key=lambda value: not isinstance(value, dict))


def _fenced(text: str) -> list[str]:
    return [_FENCE_LANGUAGE.sub("", part, count=1) for part in text.split("```")[1::2]]


def _documents(*sources: str) -> Iterator[Any]:
    """The JSON objects and lists that texts are as a whole."""
    for source in sources:
        try:
            whole = _DECODER.decode(source.strip())
        except (ValueError, RecursionError):
            continue
        if isinstance(whole, dict | list):
            yield whole


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


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number of JSON")
    return number


# Python's parser also takes NaN and infinite numbers, which are no JSON and cannot be kept.
_DECODER = json.JSONDecoder(parse_constant=_finite, parse_float=_finite)


def _inside(text: str) -> Iterator[Any]:
    """Whole JSON objects and lists of them that stand in a text; nested ones only once."""
    position, read = 0, 0
    for _ in range(_MOST_BEGINNINGS):
        begins = [at for at in (text.find("{", position), text.find("[", position)) if at >= 0]
        if not begins or read > _MOST_CHARACTERS_READ:
            return
        start = min(begins)
        try:
            value, position = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError) as error:
            read += getattr(error, "pos", len(text)) - start
            position = start + 1
            continue
        # Lists such as "[1]" in a sentence are no answers.
        if isinstance(value, dict) or (value and all(isinstance(item, dict) for item in value)):
            yield value


def _parts(text: str, *, ended: bool) -> Iterator[Any]:
    """JSON values in a text that was cut off: those that end in it, or what is whole of the last.

    What stands inside a value that ends is no value of its own.
    """
    position, read = 0, 0
    for _ in range(_MOST_BEGINNINGS):
        begins = _BEGINNING.search(text, position)
        if begins is None or read > _MOST_CHARACTERS_READ:
            return
        stop, closed = _scanned(text, begins.start())
        read += (stop or len(text)) - begins.start()
        value = text[begins.start() : stop] if stop else closed
        position = stop or begins.start() + 1
        if bool(stop) == ended and value:
            yield from _documents(value)


def _scanned(text: str, start: int) -> tuple[int | None, str]:
    """Where a JSON value ends; else the value up to its last whole object in a list.

    The text of that is closed as it was opened, and empty where there is no such object.
    """
    open_: list[str] = []
    whole, rest = start, ""
    for mark in _MARK.finditer(text, start):
        sign = mark.group()
        if sign == '"' or len(open_) > _DEEPEST_JSON:
            break
        if sign in _CLOSES:
            open_.append(_CLOSES[sign])
        elif sign in _CLOSES.values():
            if open_.pop() != sign:
                break
            if not open_:
                return mark.end(), ""
            if (open_[-1], sign) == ("]", "}"):
                whole, rest = mark.end(), "".join(reversed(open_))
    return None, text[start:whole] + rest


def _sentence(error: ValidationError) -> str:
    """What is wrong, short enough for a model to act on."""
    errors = []
    for item in error.errors(include_url=False, include_input=False)[:_MOST_ERRORS_NAMED]:
        where = ".".join(str(part) for part in item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        errors.append(f"{where}: {message}" if where else message)
    more = error.error_count() - len(errors)
    rest = f"; and {more} more errors." if more > 0 else "."
    return f"The JSON has another shape than asked for: {'; '.join(errors)}{rest}"


def well_formed(value: Any) -> Any:
    r"""A JSON value without the halves of characters that escapes such as `\ud800` make.

    No encoding can write those, so that they would fail far from where they came in.

    Raises:
        ValueError: If it is nested too deeply.
    """
    return with_texts(
        value, lambda text: text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    )


def scrubbed(value: Any, key: str | None) -> Any:
    """A JSON value in which every occurrence of a server's key is blotted out of every text."""
    return with_texts(value, lambda text: text.replace(key, "[key]")) if key else value


def with_texts(value: Any, change: Callable[[str], str], levels_left: int = _DEEPEST_JSON) -> Any:
    """A JSON value with every text in it changed, names of fields included.

    Raises:
        ValueError: If it is nested too deeply.
    """
    if isinstance(value, str):
        return change(value)
    if not isinstance(value, Mapping | list | tuple):
        return value
    if not levels_left:
        raise ValueError("The JSON is nested too deeply.")

    def inside(item: Any) -> Any:
        return with_texts(item, change, levels_left - 1)

    if isinstance(value, Mapping):
        return {inside(name): inside(item) for name, item in value.items()}
    return [inside(item) for item in value]
