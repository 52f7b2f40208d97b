"""What is wrong when a model's server does not answer as hoped, and what follows from it.

Belongs here: from a status, a body or a dropped connection to one sentence and one consequence.
Does not belong here: sending, waiting, or trying again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Any

from videomoments_dagster.language_models.model_registry import LanguageModel

_LONGEST_MESSAGE = 300
_CONTEXT_EXCEEDED = re.compile(
    r"context[ _]?(length|window|size)|maximum context|too many tokens|prompt is too long"
    r"|exceed\w* .{0,40}context",
    re.IGNORECASE,
)
# Words such as "billing" or "quota" also stand in messages about the rate of requests.
_OUT_OF_MONEY = re.compile(
    r"insufficient[_ ](?:quota|balance|credits?|funds)|billing_(?:hard_limit_reached|not_active)",
    re.IGNORECASE,
)
_UNKNOWN_MODEL = re.compile(r"model", re.IGNORECASE)

_UNAUTHORISED, _PAYMENT, _FORBIDDEN, _NOT_FOUND = 401, 402, 403, 404
_REQUEST_TIMEOUT, _CONFLICT, _TOO_EARLY, _TOO_MANY, _SERVER_ERROR = 408, 409, 425, 429, 500
_REDIRECTS, _ERRORS = range(300, 400), range(400, 600)


class Consequence(Enum):
    """What follows from a problem."""

    NO_QUESTION_WILL_BE_ANSWERED = "the server wants nothing of us"
    MAY_PASS = "the same request may succeed later"  # noqa: S105 - no password
    REQUEST_UNSUITED = "the same question in another form may succeed"
    QUESTION_LOST = "this question will not be answered"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong.

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


def problem_of_status(  # noqa: PLR0911 - a sentence for each
    model: LanguageModel, status: int, payload: Any
) -> Problem:
    """What is wrong when a server answers with a status that is no success."""
    message = said(payload)
    quoted = f": {message}" if message else ""
    entry = f"the entry '{model.name}' in the models file"
    if status in (_UNAUTHORISED, _FORBIDDEN):
        remedy = (
            f"Set {model.api_key_env} to a key that may use {model.model}"
            if model.api_key_env
            else f"Name the variable that holds the key as `api_key_env` in {entry}"
        )
        return Problem(
            f"the server of the model '{model.name}' refused the key ({status}){quoted}",
            Consequence.NO_QUESTION_WILL_BE_ANSWERED,
            remedy,
        )
    if status == _NOT_FOUND:
        knows_no = "has no chat interface there"
        if _UNKNOWN_MODEL.search(message):
            knows_no = f"knows no model '{model.model}'"
        return Problem(
            f"the server at {model.base_url} {knows_no} (404){quoted}",
            Consequence.NO_QUESTION_WILL_BE_ANSWERED,
            f"Correct `model` or `base_url` in {entry}",
        )
    if status == _PAYMENT or (status == _TOO_MANY and _OUT_OF_MONEY.search(f"{payload}")):
        return Problem(
            f"the account at {model.base_url} has no means left ({status}){quoted}",
            Consequence.NO_QUESTION_WILL_BE_ANSWERED,
            "Pay the provider, or use another model in the profile",
        )
    if status in (_REQUEST_TIMEOUT, _CONFLICT, _TOO_EARLY, _TOO_MANY) or status >= _SERVER_ERROR:
        return Problem(f"the server answered {status}{quoted}", Consequence.MAY_PASS)
    if status in _REDIRECTS:
        return Problem(
            f"the server at {model.base_url} sends elsewhere ({status}), which is not followed "
            "with a key",
            Consequence.NO_QUESTION_WILL_BE_ANSWERED,
            f"Put the final address into `base_url` of {entry}",
        )
    if _CONTEXT_EXCEEDED.search(message):
        return Problem(
            f"the question is longer than the server's context{quoted}",
            Consequence.QUESTION_LOST,
            f"Lower `window_tokens` or `context_window` of {entry}",
        )
    return Problem(
        f"the server refused the question ({status}){quoted}",
        Consequence.REQUEST_UNSUITED,
        message=message,
    )


def problem_in_success(model: LanguageModel, payload: Any) -> Problem | None:
    """What is wrong when the status is a success and the body holds an error instead of an answer.

    Gateways answer so when the server behind them fails, with its status as the error's `code`.
    MiniMax has an object `base_resp` of its own.
    """
    if not isinstance(payload, dict) or payload.get("choices"):
        return None
    error, own = payload.get("error"), payload.get("base_resp")
    if isinstance(own, dict) and own.get("status_code"):
        error = error or own
    if not error:
        return None
    code = error.get("code") if isinstance(error, dict) else None
    if _OUT_OF_MONEY.search(f"{error}"):
        code = _PAYMENT
    if isinstance(code, int) and code in _ERRORS:
        return problem_of_status(model, code, error)
    return Problem(f"the server answered with an error: {said(error)}", Consequence.MAY_PASS)


def nobody_answers(model: LanguageModel, error: BaseException) -> Problem:
    """What is wrong when no connection can be made at all."""
    root: BaseException = error
    while root.__cause__ is not None or root.__context__ is not None:
        root = root.__cause__ or root.__context__ or root
    why = one_line(str(root) or str(error))
    return Problem(
        f"nobody answers at {model.base_url}, where the model '{model.name}' should be"
        + (f" ({why})" if why else ""),
        Consequence.NO_QUESTION_WILL_BE_ANSWERED,
        f"Start the server, or correct `base_url` of the entry '{model.name}' in the models file",
    )


def said(payload: Any) -> str:
    """What a server's body says went wrong, as one line of at most 300 characters."""
    message: Any = payload
    for key in ("error", "message", "detail", "msg", "status_msg"):
        if isinstance(message, dict) and key in message:
            message = message[key]
    if message is None:
        return ""
    return one_line(message if isinstance(message, str) else str(message))


def one_line(text: str) -> str:
    """A text folded into one line, and cut."""
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= _LONGEST_MESSAGE else line[: _LONGEST_MESSAGE - 1] + "…"
