"""Questions to a language model, what comes back, and the interfaces of what is kept of it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, BeforeValidator, Field
from pydantic.json_schema import SkipJsonSchema

A = TypeVar("A", bound=BaseModel)
T = TypeVar("T")

Purpose = Literal["find", "score", "refine"]

_PRINTABLE_ASCII = re.compile(r"[ -~]+")
_ASCII_CHARACTERS_PER_TOKEN = 3.2
_TOKENS_PER_OTHER_CHARACTER = 1.2


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the model chooses tokens; None leaves a parameter to the model's entry or the server.

    The bounds are checked where a file of models is read.
    """

    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    top_k: Annotated[int, Field(ge=1, le=100_000)] | None = None


class ListAnswer(BaseModel):
    """An answer that lists entries.

    Attributes:
        cut: Whether it was cut off, and these are the entries that were whole.
    """

    cut: SkipJsonSchema[Annotated[bool, BeforeValidator(lambda value: value is True)]] = False

    @property
    def entries(self) -> int:
        """How many entries its lists have together."""
        return sum(len(value) for _, value in self if isinstance(value, list))


@dataclass(frozen=True, slots=True)
class Interpreted(Generic[T]):
    """What an answer of the right shape came to.

    Attributes:
        value: What the asker makes of it.
        notes: JSON for the request log, such as how each moment was grounded.
    """

    value: T
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Question(Generic[A, T]):
    """One thing that is asked of a model.

    Attributes:
        purpose: What it is asked for.
        label: What it is about, for people, such as "window 3 of 60".
        system: System message.
        user: User message.
        answer_type: Shape of the answer; its JSON schema goes to servers that take one.
        interpret: Makes something of an answer of that shape. Pure; called again when an answer
            that was kept is used again. May raise `ValueError` with a sentence that helps the
            model to mend its answer.
        images: JPEG files that go with the user message.
        sampling: Parameters that differ from the model's own.
        max_answer_tokens: Longest answer; None leaves it to the model's entry.
        entries_at_most: How many entries the answer's list may have; None for any number. The
            words of the question say it too: it is no part of what tells questions apart.
    """

    purpose: Purpose
    label: str
    system: str
    user: str
    answer_type: type[A]
    interpret: Callable[[A], Interpreted[T]]
    images: tuple[bytes, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)
    max_answer_tokens: int | None = None
    entries_at_most: int | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """What asking took.

    Attributes:
        calls: HTTP requests that reached for the server, failed ones included.
        kept_answers: Questions that an earlier answer was kept for.
        prompt_tokens: Tokens sent, as the server counts them.
        completion_tokens: Tokens received, likewise.
        cost: In the currency of the registry's prices; None where a model has no prices.
        repairs: Answers that the model was asked to mend.
    """

    calls: int = 0
    kept_answers: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None
    repairs: int = 0

    def __add__(self, other: Spent) -> Spent:
        pairs = zip(astuple(self), astuple(other), strict=True)
        sums = (sum(one for one in pair if one is not None) for pair in pairs)
        total = Spent(*sums)
        return replace(total, cost=None) if self.cost is other.cost is None else total


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What became of one question: either `value` or `failure` is there.

    Attributes:
        value: What the answer came to; None if there is no usable one.
        spent: What it took.
        failure: Why there is none, as a sentence without a full stop; else empty.
        remedy: What the user does about a failure; empty where nothing is known to help.
        retryable: Whether asking again later may help, where it failed.
        repeats: Whether an earlier question of the same call was the same, and had this answer or
            failure: to be counted once.
    """

    value: T | None
    spent: Spent
    failure: str = ""
    remedy: str = ""
    retryable: bool = False
    repeats: bool = False


class Interviewer(Protocol):
    """Asks one model.

    Attributes:
        model_name: Name of the model in the registry.
        identity: Changes when the model behind the name does; part of fingerprints.
        sees_images: Whether questions may bring images.
        prompt_tokens_at_most: How many tokens a question's messages may have, the answer's already
            set aside.
    """

    model_name: str
    identity: str
    sees_images: bool
    prompt_tokens_at_most: int

    def ask_all(self, questions: Sequence[Question[A, T]]) -> tuple[Outcome[T], ...]:
        """Ask all questions, several at once, and give the outcomes in their order.

        An answer that was kept is not asked for again, and every new answer is kept as soon as it
        is there.

        Raises:
            LanguageModelRefused: The server answers no question at all: a wrong key, an unknown
                model, nobody listening. What was answered before is kept.
            VideoMomentsError: An answer could not be kept, or a call not be recorded.
        """
        ...


class KeptAnswers(Protocol):
    """Remembers answers across runs. May be called from several threads at once."""

    def recall(self, keys: Sequence[str]) -> Mapping[str, str]:
        """The answers (JSON) that are kept under some of these keys."""
        ...

    def keep(self, key: str, answer: str) -> None:
        """Keep an answer; one that is there already is replaced."""
        ...


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One HTTP request and what came of it, for the request log. Holds no key.

    Attributes:
        purpose: What was asked for.
        label: What it was about.
        model_name: Name in the registry.
        served_model: The model as the server knows it.
        attempt: 1 for the first request of a question, counting retries and repairs on.
        request: The body as sent, each image replaced by its size and hash.
        status: HTTP status, or None where no response came.
        response: The body as received, as JSON or text; None where none came.
        error: What went wrong, or empty.
        parsed: The answer as validated, or None.
        rejected: Why the answer's shape or content was refused, or empty.
        notes: What the asker made of it, such as the grounding of each moment.
        started_at: When it was sent, UTC with zone.
        seconds: How long it took.
        prompt_tokens: As the server counts them; None where it did not say.
        completion_tokens: Likewise.
        cost: By the registry's prices; None without prices or usage.
    """

    purpose: Purpose
    label: str
    model_name: str
    served_model: str
    attempt: int
    request: Mapping[str, Any]
    status: int | None
    response: Any
    error: str
    parsed: Any
    rejected: str
    notes: Mapping[str, Any]
    started_at: datetime
    seconds: float
    prompt_tokens: int | None
    completion_tokens: int | None
    cost: float | None


class RequestLog(Protocol):
    """Takes a record of every call. May be called from several threads at once."""

    def record(self, call: CallRecord) -> None:
        """Store one record."""
        ...


def estimated_tokens(text: str) -> int:
    """Tokens that `text` has at most, by estimate; 0 only for the empty text.

    Byte-pair encodings of today's models give English some 4 characters a token, other alphabets
    fewer, and Chinese about one token a character. The estimate stays below those ratios, so that
    a text that is said to fit does.
    """
    plain = sum(len(match) for match in _PRINTABLE_ASCII.findall(text))
    other = len(text) - plain
    return math.ceil(plain / _ASCII_CHARACTERS_PER_TOKEN + other * _TOKENS_PER_OTHER_CHARACTER)
