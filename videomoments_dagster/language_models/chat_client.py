"""Requests to a model's server, and what came of each.

Importing it takes half a second, for the `openai` package: only what asks a model should.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, cast

import anyio.from_thread
import httpx2
import openai

from videomoments_dagster.base.failures import LanguageModelRefused
from videomoments_dagster.language_models.answer_stream import EventCounter, completion_of
from videomoments_dagster.language_models.answers import well_formed
from videomoments_dagster.language_models.chat_protocol import (
    Consequence,
    Exchange,
    Problem,
    nobody_answers,
    one_line,
    problem_of_response,
)
from videomoments_dagster.language_models.model_registry import LanguageModel

_LONGEST_RESPONSE = 8 * 1024 * 1024
"""Bytes; the longest answer with all of its thoughts is a fraction of it."""

_LONGEST_STREAM = 256 * 1024 * 1024
"""Bytes; each token of an answer comes in some 250 of them."""

_CHECK_SECONDS = 10.0


class ChatClient:
    """Sends chat requests to one model's server; has to be closed.

    Args:
        model: The model.
        key: Its key, or None.
        heard: Takes the number of tokens of an answer that is under way, as more of them arrive.
    """

    def __init__(
        self, model: LanguageModel, *, key: str | None, heard: Callable[[int], None]
    ) -> None:
        self._model = model
        # Servers that want no key get one too: the client insists, and must not look for another.
        key = key or "none"
        timeout = httpx2.Timeout(model.request_seconds, connect=model.connect_seconds)
        # The client takes headers from the environment that are meant for another server, and may
        # hold secrets. Its own type of headers knows no `Omit`, its documentation does.
        lines = os.environ.get("OPENAI_CUSTOM_HEADERS", "").splitlines()
        names = [line.partition(":")[0].strip() for line in lines if ":" in line]
        unsent = cast("dict[str, str]", {name: openai.Omit() for name in names if name})
        self._client = openai.AsyncOpenAI(
            api_key=key,
            base_url=model.base_url,
            max_retries=0,
            timeout=timeout,
            default_headers={
                **unsent,
                "Content-Type": "application/json",
                # A compressed response says nothing of how long it is.
                "Accept-Encoding": "identity",
                "Authorization": f"Bearer {key}",
            },
            http_client=httpx2.AsyncClient(
                follow_redirects=False,
                timeout=timeout,
                limits=httpx2.Limits(max_connections=model.concurrency),
                event_hooks={"response": [partial(_watch_response, heard=heard)]},
            ),
        )
        # From the environment likewise.
        self._client.organization = self._client.project = None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def send(self, body: Mapping[str, Any]) -> Exchange:
        """Send one chat request; whatever happens within its time limit is in what comes back.

        Args:
            body: The request as the protocol has it.
        """
        started_at, began = datetime.now(UTC), time.monotonic()
        response = await self._post(body)
        seconds = time.monotonic() - began
        if isinstance(response, Problem):
            return Exchange(body, started_at, seconds, problem=response)
        payload = _payload_of(response)
        problem = problem_of_response(self._model, response.status_code, payload)
        if problem is None and payload is None and _is_stream(response):
            problem = Problem("the answer broke off before its end", Consequence.TRY_AGAIN)
        return Exchange(
            body,
            started_at,
            seconds,
            status=response.status_code,
            payload=payload,
            problem=problem,
            retry_after=retry_after(response.headers, now=datetime.now(UTC)),
        )

    async def _post(self, body: Mapping[str, Any]) -> httpx2.Response | Problem:
        limit = self._model.request_seconds
        try:
            # The client's own limit is for each read: a server that drips would never reach it.
            async with asyncio.timeout(limit):
                return await self._client.post(
                    "/chat/completions", body=dict(body), cast_to=httpx2.Response
                )
        except TimeoutError:
            late = f"the server did not answer within {limit:g} s"
            return Problem(late, Consequence.TRY_AGAIN)
        except openai.APIStatusError as error:
            return error.response
        # Reading the body of a response that came in pieces may fail outside the client's frame.
        except (openai.OpenAIError, httpx2.HTTPError, _ResponseTooLong) as error:
            return self._problem_of(error)

    def _problem_of(self, error: Exception) -> Problem:
        cause = error.__cause__
        if isinstance(cause, httpx2.ConnectError):
            return nobody_answers(self._model, error)
        if isinstance(error, _ResponseTooLong):
            return Problem(str(error), Consequence.LOSE_QUESTION)
        if isinstance(error, openai.APITimeoutError):
            return Problem("the server did not answer in time", Consequence.TRY_AGAIN)
        if isinstance(error, openai.APIConnectionError):
            why = one_line(cause or error) or type(cause).__name__
            return Problem(f"the connection was lost ({why})", Consequence.TRY_AGAIN)
        unsent = f"the client could not send the question ({one_line(error)})"
        return Problem(unsent, Consequence.LOSE_QUESTION)


class _ResponseTooLong(Exception):
    """A response that goes on and on."""


class _WatchedStream(httpx2.AsyncByteStream):
    """A response's body that ends with a failure where it is longer than any answer."""

    def __init__(
        self, whole: httpx2.AsyncByteStream, *, longest: int, heard: Callable[[int], None]
    ) -> None:
        self._whole, self._longest, self._heard = whole, longest, heard

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        received, events = 0, EventCounter()
        async for part in self._whole:
            received += len(part)
            if received > self._longest:
                raise _ResponseTooLong(
                    f"the server's response is longer than {self._longest:,} bytes"
                )
            if tokens := events.count(part):
                self._heard(tokens)
            yield part

    async def aclose(self) -> None:
        await self._whole.aclose()


async def _watch_response(response: httpx2.Response, *, heard: Callable[[int], None]) -> None:
    response.stream = _WatchedStream(
        cast("httpx2.AsyncByteStream", response.stream),
        longest=_LONGEST_STREAM if _is_stream(response) else _LONGEST_RESPONSE,
        heard=heard if _is_stream(response) else lambda _: None,
    )


def _is_stream(response: httpx2.Response) -> bool:
    content_type: str = response.headers.get("content-type", "")
    return content_type.startswith("text/event-stream")


def _payload_of(response: httpx2.Response) -> Any:
    """A response's body as JSON, else as text; None for pieces without an end."""
    try:
        if _is_stream(response):
            return well_formed(completion_of(response.content.decode("utf-8", errors="replace")))
        return well_formed(response.json())
    except (ValueError, RecursionError):
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
    coarse = headers.get("retry-after", "")
    for text, scale in ((headers.get("retry-after-ms", ""), 0.001), (coarse, 1.0)):
        with suppress(ValueError):
            seconds = float(text) * scale
            if 0 <= seconds < float("inf"):
                return seconds
    with suppress(ValueError):
        at = parsedate_to_datetime(coarse)
        return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds())
    return None


def check_reachable(model: LanguageModel, *, key: str | None) -> None:
    """Make sure, before any work, that somebody answers at the model's address and takes the key.

    The list of models is asked for, which every server has that speaks the protocol, and which
    costs nothing. What it says about models is left aside: servers know aliases.

    Args:
        model: The model.
        key: Its key, or None.

    Raises:
        LanguageModelRefused: If no connection can be made, nothing comes within ten seconds, or
            the key is refused.
    """
    problem: Problem | None
    try:
        with anyio.from_thread.start_blocking_portal() as portal:
            status = portal.call(_status, model, key)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        problem = nobody_answers(model, error)
    else:
        problem = problem_of_response(model, status, None) if status in (401, 403) else None
    if problem is not None:
        raise LanguageModelRefused(problem.sentence, remedy=problem.remedy)


async def _status(model: LanguageModel, key: str | None) -> int:
    """The status of the server's answer; its body is not waited for."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    timeout = httpx2.Timeout(_CHECK_SECONDS, connect=_CHECK_SECONDS / 2)
    try:
        # The library's limits are for each read: a server that drips would never reach them.
        async with (
            asyncio.timeout(_CHECK_SECONDS),
            httpx2.AsyncClient(follow_redirects=False, timeout=timeout) as client,
            client.stream("GET", f"{model.base_url}/models", headers=headers) as response,
        ):
            return response.status_code
    except (TimeoutError, httpx2.TimeoutException):
        raise TimeoutError(f"no answer within {_CHECK_SECONDS:g} s") from None
