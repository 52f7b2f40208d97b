"""What stands in a chat response.

Belongs here: the fields of a response that are looked at, whatever else a server puts there. Does
not belong here: what the answer means.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from videomoments_dagster.language_models.answer_text import AnswerRejected
from videomoments_dagster.language_models.server_problems import one_line


class Refusal(Exception):
    """The model or its server will not answer this question."""


def written_answer(payload: Any) -> str:
    """The text that the model wrote.

    Raises:
        Refusal: If the model refused, or a filter held the answer back.
        AnswerRejected: If there is no text, or it was cut off.
    """
    choices = payload.get("choices") if isinstance(payload, Mapping) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, Mapping) else None
    if not isinstance(choice, Mapping) or not isinstance(message, Mapping):
        raise AnswerRejected("The response is no chat completion.")
    refusal = message.get("refusal")
    if refusal:
        raise Refusal(f"the model refused to answer ({one_line(str(refusal))})")
    if choice.get("finish_reason") == "content_filter":
        raise Refusal("the server's content filter held the answer back")
    text = _text(message.get("content"))
    if choice.get("finish_reason") == "length":
        raise AnswerRejected("The answer was cut off at its longest length. Answer more briefly.")
    if not text.strip():
        raise AnswerRejected("The answer is empty.")
    return text


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, Mapping)]
        return "".join(part for part in parts if isinstance(part, str))
    return ""


def tokens_of(payload: Any) -> tuple[int | None, int | None]:
    """Tokens of the question and of the answer, as the server counts them; None where it does not.

    Reasoning tokens are part of the answer's.
    """
    usage = payload.get("usage") if isinstance(payload, Mapping) else None
    if not isinstance(usage, Mapping):
        return None, None
    return _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))


def _count(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e15:  # noqa: PLR2004
        return None
    return int(value)
