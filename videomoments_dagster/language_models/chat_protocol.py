"""The OpenAI chat protocol as servers speak it: requests, responses, and what errors mean."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto
from typing import Any, Self

from videomoments_dagster.base.text import folded
from videomoments_dagster.language_models.answers import AnswerRejected, answer_schema, with_texts
from videomoments_dagster.language_models.model_registry import LanguageModel
from videomoments_dagster.language_models.questions import A, Question, T

Messages = Sequence[Mapping[str, Any]]

_FORMATS = ("json_schema", "json_object", "text")
_SAMPLING_FIELDS = ("temperature", "top_p", "top_k")
_MAX_ITEMS = "maxItems"
_IMAGE_PREFIX = "data:image/jpeg;base64,"
_LONGEST_MESSAGE = 300
_SHARE_OF_A_FULL_ANSWER = 0.9
_CONTEXT_EXCEEDED = re.compile(
    r"context[ _]?(length|window|size)|maximum context|too many tokens|prompt is too long"
    r"|exceed\w* .{0,40}context|input tokens exceed|reduce the length"
    r"|context_length_exceeded|exceed_context_size",
    re.IGNORECASE,
)
_OF_THE_SCHEMA = re.compile(r"max_?items|schema|grammar", re.IGNORECASE)
# Words such as "billing" or "quota" also stand in messages about the rate of requests.
_OUT_OF_MONEY = re.compile(
    r"insufficient[_ ](?:quota|balance|credits?|funds)|billing_(?:hard_limit_reached|not_active)",
    re.IGNORECASE,
)


class Consequence(Enum):
    """What follows from a problem."""

    NO_MORE_QUESTIONS = auto()
    TRY_AGAIN = auto()
    CHANGE_FORM = auto()
    LOSE_QUESTION = auto()


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong when a server does not answer as hoped.

    Attributes:
        sentence: What happened, without a full stop.
        consequence: What follows.
        remedy: What the user does about it; may be empty.
        message: What the server itself said, for finding out which form it would take.
    """

    sentence: str
    consequence: Consequence
    remedy: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what came of it.

    Attributes:
        body: As sent.
        started_at: When it was sent, UTC with zone.
        seconds: How long it took.
        status: HTTP status; None where no response came.
        payload: The response's body as JSON, else as text; None where none came.
        problem: What is wrong, or None for a response that can be looked into.
        retry_after: Seconds that the server asks to wait; None where it does not say.
    """

    body: Mapping[str, Any]
    started_at: datetime
    seconds: float
    status: int | None = None
    payload: Any = None
    problem: Problem | None = None
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class RequestForm:
    """The form in which a server takes a question, as far as is known.

    Servers differ: some take a JSON schema, some only "JSON", some neither; some call the limit of
    an answer `max_completion_tokens`; some know no `temperature`. It is found out by asking.

    Attributes:
        answer_format: "json_schema", "json_object" or "text".
        limit_field: Name of the field that limits the answer.
        left_out: Fields that it refused, of requests or of the schema.
    """

    answer_format: str
    limit_field: str = "max_tokens"
    left_out: frozenset[str] = frozenset()

    def after_refusal(self, message: str, body: Mapping[str, Any]) -> Self | None:
        """The form to try after the server refused this one; None when nothing is left to try.

        Args:
            message: What the server said.
            body: What it refused.
        """
        said = message.lower()
        of_the_schema = _OF_THE_SCHEMA.search(said)
        if of_the_schema and _MAX_ITEMS in json.dumps(body.get("response_format")):
            return self.without(_MAX_ITEMS)
        if "stream_options" in body and ("stream_options" in said or "include_usage" in said):
            return self.without("stream_options")
        if self.limit_field == "max_tokens" and "max_completion_tokens" in said:
            return replace(self, limit_field="max_completion_tokens")
        for field in _SAMPLING_FIELDS:
            if field in said and field not in self.left_out:
                return self.without(field)
        if "stream" in body and not (of_the_schema or "response_format" in said):
            return self.without("stream")
        simpler = _FORMATS[_FORMATS.index(self.answer_format) + 1 :]
        return replace(self, answer_format=simpler[0]) if simpler else None

    def without(self, field: str) -> Self:
        """The form without a field."""
        return replace(self, left_out=self.left_out | {field})

    def body(
        self, model: str, messages: Messages, question: Question[A, T], *, stream: bool
    ) -> dict[str, Any]:
        """The request's body.

        Args:
            model: The model as the server knows it.
            messages: The conversation so far; the first is the system message.
            question: Says which answer is wanted, and how it is sampled.
            stream: Whether the answer is to come in pieces, where the server does that.
        """
        body: dict[str, Any] = {
            "model": model,
            "messages": list(messages),
            self.limit_field: question.max_answer_tokens,
        }
        for field in _SAMPLING_FIELDS:
            value = getattr(question.sampling, field)
            if value is not None and field not in self.left_out:
                body[field] = value
        if stream and "stream" not in self.left_out:
            body["stream"] = True
            if "stream_options" not in self.left_out:
                # Else nobody says how many tokens it took.
                body["stream_options"] = {"include_usage": True}
        at_most = None if _MAX_ITEMS in self.left_out else question.entries_at_most
        schema = answer_schema(question.answer_type, entries_at_most=at_most)
        if self.answer_format == "json_schema":
            format_ = {"name": "answer", "strict": True, "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": format_}
            return body
        if self.answer_format == "json_object":
            body["response_format"] = {"type": "json_object"}
        # Without a schema of its own in the request, the model has to read it. It follows the
        # system message, since many chat templates refuse a second one.
        text = json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
        asked = f"{messages[0]['content']}\n\nAnswer with one JSON object of this schema: {text}"
        body["messages"][0] = {**messages[0], "content": asked}
        return body


def opening_messages(question: Question[A, T]) -> list[dict[str, Any]]:
    """The messages that a question begins with."""
    content: Any = question.user
    if question.images:
        urls = [_IMAGE_PREFIX + base64.b64encode(image).decode() for image in question.images]
        content = [{"type": "text", "text": question.user}]
        content += [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return [{"role": "system", "content": question.system}, {"role": "user", "content": content}]


def without_images(body: Mapping[str, Any]) -> Any:
    """A request's body with each image replaced by its size and hash, for the log."""

    def shown(text: str) -> str:
        if not text.startswith(_IMAGE_PREFIX):
            return text
        image = base64.b64decode(text.removeprefix(_IMAGE_PREFIX))
        return f"JPEG of {len(image)} bytes, sha256 {hashlib.sha256(image).hexdigest()}"

    return with_texts(body, shown)


class Refusal(Exception):
    """The model or its server will not answer this question."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a model wrote.

    Attributes:
        text: Without thoughts that the server keeps apart; empty only where it was cut off.
        cut: Whether a limit ended it.
    """

    text: str
    cut: bool


def written_answer(payload: Any) -> Written:
    """What the model wrote.

    Raises:
        Refusal: If the model refused, or a filter held the answer back.
        AnswerRejected: If there is no text.
    """
    match payload:
        case {"choices": [{"message": {} as message} as choice, *_]}:
            reason, content = choice.get("finish_reason"), message.get("content")
        case _:
            raise AnswerRejected("The response is no chat completion.")
    if refusal := message.get("refusal"):
        raise Refusal(f"the model refused to answer ({one_line(refusal)})")
    if reason == "content_filter":
        raise Refusal("the server's content filter held the answer back")
    parts = content if isinstance(content, list) else [{"text": content}]
    texts = [part.get("text") for part in parts if isinstance(part, Mapping)]
    text = "".join(text for text in texts if isinstance(text, str))
    cut = reason == "length"
    if not text.strip() and not cut:
        raise AnswerRejected("The answer is empty.")
    return Written(text, cut)


def cut_off(
    model: LanguageModel, *, tokens_at_most: int | None, tokens: int | None
) -> tuple[str, str]:
    """What to say of an answer that a limit ended, and which setting is the remedy.

    Args:
        model: The model.
        tokens_at_most: Longest answer that was asked for.
        tokens: How long it was, as the server counts; None where it does not say.
    """
    entry = f"the entry '{model.name}' in the models file"
    if tokens_at_most and tokens is not None and tokens < _SHARE_OF_A_FULL_ANSWER * tokens_at_most:
        return (
            f"cut off by the server after {tokens} of {tokens_at_most} tokens",
            f"Give the server a larger context, or lower `window_tokens` of {entry}",
        )
    return (
        f"cut off at its longest, {tokens_at_most} tokens",
        f"Raise `max_answer_tokens` of {entry}; a model's thoughts count too",
    )


def tokens_of(payload: Any) -> tuple[int | None, int | None]:
    """Tokens of the question and of the answer, as the server counts them; None where it does not.

    Reasoning tokens are part of the answer's.
    """
    match payload:
        case {"usage": {} as usage}:
            return _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    return None, None


def _count(value: Any) -> int | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return int(value) if is_number and 0 <= value < 1e15 else None  # noqa: PLR2004


def problem_of_response(model: LanguageModel, status: int, payload: Any) -> Problem | None:
    """What is wrong with a response; None for one that can be looked into."""
    if not 200 <= status < 300:  # noqa: PLR2004 - successes
        return _problem_of_error(model, status, payload)
    # Gateways answer with a success when the server behind them fails, with its status as the
    # error's `code`. MiniMax has an object `base_resp` of its own.
    if not isinstance(payload, dict) or payload.get("choices"):
        return None
    error, own = payload.get("error"), payload.get("base_resp")
    if isinstance(own, dict) and own.get("status_code"):
        error = error or own
    if payload.get("object") == "error":
        error = error or payload
    if not error:
        return None
    code = error.get("code") if isinstance(error, dict) else None
    if _OUT_OF_MONEY.search(f"{error}"):
        code = 402
    elif _CONTEXT_EXCEEDED.search(f"{error}"):
        code = 400
    if isinstance(code, int) and 400 <= code < 600:  # noqa: PLR2004 - errors
        return _problem_of_error(model, code, error)
    return Problem(f"the server answered with an error: {_said(error)}", Consequence.TRY_AGAIN)


def _problem_of_error(model: LanguageModel, status: int, payload: Any) -> Problem:
    message = _said(payload)
    quoted = f": {message}" if message else ""
    entry = f"the entry '{model.name}' in the models file"
    consequence = Consequence.NO_MORE_QUESTIONS
    match status:
        case 401 | 403:
            said = f"the server of the model '{model.name}' refused the key ({status}){quoted}"
            remedy = f"Name the variable that holds the key as `api_key_env` in {entry}"
            if model.api_key_env:
                remedy = f"Set {model.api_key_env} to a key that may use {model.model}"
        case 404:
            is_model = "model" in message.lower()
            knows = f"knows no model '{model.model}'" if is_model else "has no chat interface there"
            said = f"the server at {model.base_url} {knows} (404){quoted}"
            remedy = f"Correct `model` or `base_url` in {entry}"
        case 402 | 429 if status == 402 or _OUT_OF_MONEY.search(f"{payload}"):  # noqa: PLR2004
            said = f"the account at {model.base_url} has no means left ({status}){quoted}"
            remedy = "Pay the provider, or use another model in the profile"
        case _ if _is_too_long(status, message, payload):
            said = f"the question is longer than the server's context{quoted}"
            remedy = (
                f"Lower `window_tokens` or `context_window` of {entry}, or give the server a "
                "larger context"
            )
            consequence = Consequence.LOSE_QUESTION
        case _ if status in (408, 409, 425, 429) or status >= 500:  # noqa: PLR2004
            said, remedy = f"the server answered {status}{quoted}", ""
            consequence = Consequence.TRY_AGAIN
        case _ if status // 100 == 3:  # noqa: PLR2004 - redirects
            said = (
                f"the server at {model.base_url} sends elsewhere ({status}), which is not followed "
                "with a key"
            )
            remedy = f"Put the final address into `base_url` of {entry}"
        case _:
            said, remedy = f"the server refused the question ({status}){quoted}", ""
            consequence = Consequence.CHANGE_FORM
    return Problem(said, consequence, remedy, message)


def _is_too_long(status: int, message: str, payload: Any) -> bool:
    """Whether a question, or an answer that grew, is more than the server's context holds."""
    if status >= 500:  # noqa: PLR2004 - of llama.cpp, while it writes; others speak of faults
        return bool(re.search(r"context size has been exceeded", message, re.IGNORECASE))
    is_refusal = status in (400, 413, 422)
    return is_refusal and bool(_CONTEXT_EXCEEDED.search(message) or _names_context(payload))


def _names_context(payload: Any) -> bool:
    """Whether an error's code or type says so, whatever its sentence."""
    error = payload.get("error", payload) if isinstance(payload, dict) else None
    names = (error.get("code"), error.get("type")) if isinstance(error, dict) else ()
    return any(_CONTEXT_EXCEEDED.search(name) for name in names if isinstance(name, str))


def nobody_answers(model: LanguageModel, error: BaseException) -> Problem:
    """What is wrong when no connection can be made at all."""
    root = error
    while cause := root.__cause__ or root.__context__:
        root = cause
    why = one_line(root) or one_line(error)
    if isinstance(root, OSError) and (root.errno or 0) > 0:
        why = os.strerror(root.errno or 0).lower()
    return Problem(
        f"nobody answers at {model.base_url}, where the model '{model.name}' should be"
        + (f" ({why})" if why else ""),
        Consequence.NO_MORE_QUESTIONS,
        f"Start the server, or correct `base_url` of the entry '{model.name}' in the models file",
    )


def _said(payload: Any) -> str:
    """What a server's body says went wrong, as one line."""
    message: Any = payload
    for key in ("error", "message", "detail", "msg", "status_msg"):
        if isinstance(message, dict) and key in message:
            message = message[key]
    return "" if message is None else one_line(message)


def one_line(text: object) -> str:
    """A text folded into one line of at most 300 characters, without its full stop."""
    return folded(folded(text).rstrip("."), longest=_LONGEST_MESSAGE)
