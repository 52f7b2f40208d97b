"""Whether a model's server is there, before any work.

Belongs here: one cheap request with a short limit. Does not belong here: asking a model.
"""

from __future__ import annotations

import asyncio

import anyio.from_thread
import httpx2

from videomoments_dagster.base.failures import LanguageModelRefused
from videomoments_dagster.language_models.model_registry import LanguageModel
from videomoments_dagster.language_models.server_problems import nobody_answers, problem_of_status

_CONNECT_SECONDS = 5.0
_SECONDS = 10.0
_REFUSALS = (401, 403)


def check_reachable(model: LanguageModel, *, key: str | None) -> None:
    """Make sure that somebody answers at the model's address and takes the key.

    The list of models is asked for, which every server has that speaks the protocol, and which
    costs nothing. What it says about models is left aside: servers know aliases.

    Args:
        model: The model.
        key: Its key, or None.

    Raises:
        LanguageModelRefused: If no connection can be made, nothing comes within ten seconds, or
            the key is refused.
    """
    # The questions' own HTTP library, which has its own idea of certificates and proxies.
    try:
        with anyio.from_thread.start_blocking_portal() as portal:
            status = portal.call(_status, model, key)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        problem = nobody_answers(model, error)
        raise LanguageModelRefused(problem.sentence, remedy=problem.remedy) from None
    if status in _REFUSALS:
        problem = problem_of_status(model, status, None)
        raise LanguageModelRefused(problem.sentence, remedy=problem.remedy)


async def _status(model: LanguageModel, key: str | None) -> int:
    """The status of the server's answer; its body is not waited for."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        # The library's limits are for each read: a server that drips would never reach them.
        async with (
            asyncio.timeout(_SECONDS),
            httpx2.AsyncClient(
                follow_redirects=False, timeout=httpx2.Timeout(_SECONDS, connect=_CONNECT_SECONDS)
            ) as client,
            client.stream("GET", f"{model.base_url}/models", headers=headers) as response,
        ):
            return response.status_code
    except (TimeoutError, httpx2.TimeoutException):
        raise TimeoutError(f"no answer within {_SECONDS:g} s") from None
