"""Requests to a model's server, and what came of each."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import anyio.from_thread
import httpx2

from videomoments_dagster.base.failures import LanguageModelRefused
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

_CHECK_SECONDS = 10.0


class ChatClient:
    """Sends chat requests to one model's server; has to be closed.

    Args:
        model: The model.
        key: Its key, or None.
    """

    def __init__(self, model: LanguageModel, *, key: str | None) -> None:
        self._model = model
        self._client = httpx2.AsyncClient(
            # A compressed response says nothing of how long it is.
            headers={"Accept-Encoding": "identity", **_authorization(key)},
            timeout=httpx2.Timeout(model.request_seconds, connect=model.connect_seconds),
            limits=httpx2.Limits(max_connections=model.concurrency),
            follow_redirects=False,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

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
        status, headers, content = response
        try:
            payload = well_formed(json.loads(content))
        except (ValueError, RecursionError):
            payload = content.decode("utf-8", errors="replace")
        problem = problem_of_response(self._model, status, payload)
        wait = retry_after(headers, now=datetime.now(UTC))
        return Exchange(body, started_at, seconds, status, payload, problem, wait)

    async def _post(
        self, body: Mapping[str, Any]
    ) -> tuple[int, Mapping[str, str], bytearray] | Problem:
        url, limit = f"{self._model.base_url}/chat/completions", self._model.request_seconds
        content = bytearray()
        try:
            # The library's own limit is for each read: a server that drips would never reach it.
            async with (
                asyncio.timeout(limit),
                self._client.stream("POST", url, json=body) as response,
            ):
                async for part in response.aiter_bytes():
                    content += part
                    if len(content) > _LONGEST_RESPONSE:
                        said = f"the server's response is longer than {_LONGEST_RESPONSE:,} bytes"
                        return Problem(said, Consequence.LOSE_QUESTION)
                return response.status_code, response.headers, content
        except httpx2.ConnectError as error:
            return nobody_answers(self._model, error)
        except TimeoutError:
            late = f"the server did not answer within {limit:g} s"
            return Problem(late, Consequence.TRY_AGAIN)
        except httpx2.TimeoutException:
            return Problem("the server did not answer in time", Consequence.TRY_AGAIN)
        except (httpx2.HTTPError, OSError) as error:
            why = one_line(error) or type(error).__name__
            return Problem(f"the connection was lost ({why})", Consequence.TRY_AGAIN)


def _authorization(key: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


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
    timeout = httpx2.Timeout(_CHECK_SECONDS, connect=_CHECK_SECONDS / 2)
    try:
        # The library's limits are for each read: a server that drips would never reach them.
        async with (
            asyncio.timeout(_CHECK_SECONDS),
            httpx2.AsyncClient(follow_redirects=False, timeout=timeout) as client,
            client.stream(
                "GET", f"{model.base_url}/models", headers=_authorization(key)
            ) as response,
        ):
            return response.status_code
    except (TimeoutError, httpx2.TimeoutException):
        raise TimeoutError(f"no answer within {_CHECK_SECONDS:g} s") from None
