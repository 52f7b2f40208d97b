"""Whether a model's server is there, before any work.

Belongs here: one cheap request with a short limit. Does not belong here: asking a model.
"""

from __future__ import annotations

import requests

from videomoments_dagster.failures import LanguageModelRefused
from videomoments_dagster.language_models.model_registry import LanguageModel
from videomoments_dagster.language_models.server_problems import nobody_answers, problem_of_status

_CONNECT_SECONDS = 5.0
_READ_SECONDS = 10.0
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
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        with requests.get(
            f"{model.base_url}/models",
            headers=headers,
            timeout=(_CONNECT_SECONDS, _READ_SECONDS),
            allow_redirects=False,
            stream=True,
        ) as response:
            status = response.status_code
    except requests.RequestException as error:
        problem = nobody_answers(model, error)
        raise LanguageModelRefused(problem.sentence, remedy=problem.remedy) from None
    if status in _REFUSALS:
        problem = problem_of_status(model, status, None)
        raise LanguageModelRefused(problem.sentence, remedy=problem.remedy)
