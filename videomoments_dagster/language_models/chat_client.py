"""One request to a model's server and what came of it.

Belongs here: the `openai` client, its time limits, and turning whatever happens into a value. Does
not belong here: retries, repairs, or what an answer means (`interview`).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import httpx2

from videomoments_dagster.language_models.model_registry import LanguageModel
from videomoments_dagster.language_models.received_json import well_formed
from videomoments_dagster.language_models.server_problems import (
    Consequence,
    Problem,
    nobody_answers,
    one_line,
    problem_in_success,
    problem_of_status,
)

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_LONGEST_RESPONSE = 8 * 1024 * 1024
"""Bytes; the longest answer with all of its thoughts is a fraction of it."""

_NO_KEY = "none"
"""What servers that want no key are sent: the client insists on one, and must not look for one."""


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


class ChatClient:
    """Sends chat requests to one model's server; an asynchronous context manager."""

    def __init__(self, model: LanguageModel, *, key: str | None) -> None:
        """Prepare; nothing is opened or imported yet.

        Args:
            model: The model.
            key: Its key, or None.
        """
        self._model = model
        self._key = key
        self._client: AsyncOpenAI | None = None

    async def __aenter__(self) -> Self:
        """Open the client.

        The package is imported here: it costs more than half a second, which only those runs need
        that ask a model.
        """
        from openai import AsyncOpenAI, Omit  # noqa: PLC0415

        seconds = self._model.request_seconds
        # The client's own type of these knows no `Omit`, its documentation does.
        unsent = cast("dict[str, str]", dict.fromkeys(_headers_for_another_server(), Omit()))
        client = AsyncOpenAI(
            api_key=self._key or _NO_KEY,
            base_url=self._model.base_url,
            max_retries=0,
            timeout=httpx2.Timeout(seconds, connect=self._model.connect_seconds),
            default_headers={
                **unsent,
                "Content-Type": "application/json",
                # A compressed response says nothing of how long it is.
                "Accept-Encoding": "identity",
                "Authorization": f"Bearer {self._key or _NO_KEY}",
            },
            http_client=httpx2.AsyncClient(
                follow_redirects=False,
                timeout=httpx2.Timeout(seconds, connect=self._model.connect_seconds),
                limits=httpx2.Limits(max_connections=self._model.concurrency),
                event_hooks={"response": [_bound_response]},
            ),
        )
        # The client takes these from the environment, where they are meant for another server.
        client.organization = None
        client.project = None
        self._client = client
        return self

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the client."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def send(self, body: Mapping[str, Any]) -> Exchange:
        """Send one chat request; whatever happens within its time limit is in what comes back.

        Args:
            body: The request as the protocol has it.
        """
        started_at, began = datetime.now(UTC), time.monotonic()
        try:
            # The client's own limit is for each read: a server that drips would never reach it.
            async with asyncio.timeout(self._model.request_seconds):
                response = await self._post(body)
        except TimeoutError:
            problem = Problem(
                f"the server did not answer within {self._model.request_seconds:g} s",
                Consequence.MAY_PASS,
            )
            return Exchange(body, started_at, time.monotonic() - began, problem=problem)
        except _client_errors() as error:
            return self._failed(error, body=body, started_at=started_at, began=began)
        seconds, payload = time.monotonic() - began, _payload(response)
        return Exchange(
            body,
            started_at,
            seconds,
            status=response.status_code,
            payload=payload,
            problem=problem_in_success(self._model, payload),
            retry_after=retry_after(response.headers, now=datetime.now(UTC)),
        )

    async def _post(self, body: Mapping[str, Any]) -> httpx2.Response:

        if self._client is None:
            raise RuntimeError("the client is not open")
        return await self._client.post(
            "/chat/completions", body=dict(body), cast_to=httpx2.Response
        )

    def _failed(
        self, error: Exception, *, body: Mapping[str, Any], started_at: datetime, began: float
    ) -> Exchange:
        import openai  # noqa: PLC0415

        seconds = time.monotonic() - began
        if isinstance(error, openai.APIStatusError):
            payload = _payload(error.response)
            return Exchange(
                body,
                started_at,
                seconds,
                status=error.status_code,
                payload=payload,
                problem=problem_of_status(self._model, error.status_code, payload),
                retry_after=retry_after(error.response.headers, now=datetime.now(UTC)),
            )
        cause = error.__cause__
        if isinstance(cause, httpx2.ConnectError):
            problem = nobody_answers(self._model, error)
        elif isinstance(error, _ResponseTooLong):
            problem = Problem(str(error), Consequence.QUESTION_LOST)
        elif isinstance(error, openai.APITimeoutError):
            problem = Problem("the server did not answer in time", Consequence.MAY_PASS)
        elif isinstance(error, openai.APIConnectionError):
            why = one_line(str(cause or error)) or type(cause).__name__
            problem = Problem(f"the connection was lost ({why})", Consequence.MAY_PASS)
        else:
            problem = Problem(
                f"the client could not send the question ({one_line(str(error))})",
                Consequence.QUESTION_LOST,
            )
        return Exchange(body, started_at, seconds, problem=problem)


def _client_errors() -> tuple[type[Exception], ...]:
    from openai import OpenAIError  # noqa: PLC0415

    # Reading the body of a response that came in pieces may fail outside the client's own frame.
    return (OpenAIError, httpx2.HTTPError, _ResponseTooLong)


class _ResponseTooLong(Exception):
    """A response that goes on and on."""


async def _bound_response(response: httpx2.Response) -> None:
    """Let a response end with a failure where it is longer than any answer."""
    if not isinstance(response.stream, httpx2.AsyncByteStream):
        raise TypeError("a response of the asynchronous client has an asynchronous stream")
    whole: httpx2.AsyncByteStream = response.stream

    class Bounded(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncGenerator[bytes, None]:
            received = 0
            async for part in whole:
                received += len(part)
                if received > _LONGEST_RESPONSE:
                    raise _ResponseTooLong(
                        f"the server's response is longer than {_LONGEST_RESPONSE:,} bytes"
                    )
                yield part

        async def aclose(self) -> None:
            await whole.aclose()

    response.stream = Bounded()


def _headers_for_another_server() -> list[str]:
    """Names of the headers that the client takes from the environment.

    They are meant for the one server that the variable's setter had in mind, and may hold secrets.
    """
    lines = os.environ.get("OPENAI_CUSTOM_HEADERS", "").splitlines()
    names = (line.partition(":")[0].strip() for line in lines if ":" in line)
    return [name for name in names if name]


def _payload(response: httpx2.Response) -> Any:
    try:
        return well_formed(response.json())
    except (ValueError, RecursionError):
        pass
    return response.content.decode("utf-8", errors="replace")


def retry_after(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Seconds that a server asks to wait before the next request.

    `Retry-After` holds seconds or a date (RFC 9110, section 10.2.3); `retry-after-ms` is some
    servers' finer one.

    Args:
        headers: The response's headers.
        now: The time, with zone.

    Returns:
        Seconds, at least 0; None where the server does not say, or says nonsense.
    """
    fine, coarse = headers.get("retry-after-ms"), headers.get("retry-after")
    for text, scale in ((fine, 0.001), (coarse, 1.0)):
        try:
            seconds = float(text) * scale if text else None
        except ValueError:
            continue
        if seconds is not None and 0 <= seconds < float("inf"):
            return seconds
    try:
        at = parsedate_to_datetime(coarse) if coarse else None
    except ValueError:
        return None
    if at is None:
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds())
