"""What all questions to a model share: shown speech, the room for it, and how answers are read."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import BeforeValidator

from videomoments_dagster.base.failures import SettingsRejected
from videomoments_dagster.base.text import folded
from videomoments_dagster.language_models.questions import Interviewer, Sampling, estimated_tokens
from videomoments_dagster.moments.records import GenerationConfig, ScoringConfig

HIGHEST_RATING = 10.0

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_LONGEST_TEXT = 20_000
_IMAGE_TOKENS = 800


def shown_text(text: str) -> str:
    """What is said, as a model sees it: one line.

    Angle brackets are replaced by others, so that speech cannot end the part of the question that
    it stands in.
    """
    printable = "".join(character if character.isprintable() else " " for character in text)
    return folded(printable).replace("<", "\u2039").replace(">", "\u203a")


def system_message(config: GenerationConfig | ScoringConfig, protocol: str) -> str:
    """The profile's system prompt and what every answer has to keep to."""
    return f"{config.prompt.system_prompt.strip()}\n\n{protocol}".strip()


def sampling_of(config: GenerationConfig | ScoringConfig) -> Sampling:
    """How the profile wants the model to choose tokens."""
    return Sampling(temperature=config.temperature, top_p=config.top_p, top_k=config.top_k)


def room_for_speech(
    interviewer: Interviewer, prompts: str, *texts: str, at_least: int = 200, images: int = 0
) -> int:
    """How many tokens of a question are left for what is said.

    Args:
        interviewer: Knows how many there are.
        prompts: Name of what else is in the question, in the plural.
        *texts: What that is.
        at_least: Fewest tokens that make sense.
        images: How many pictures go with it.

    Raises:
        SettingsRejected: If fewer are left.
    """
    taken = sum(map(estimated_tokens, texts)) + _IMAGE_TOKENS * images
    room = interviewer.prompt_tokens_at_most - taken
    if room < at_least:
        raise SettingsRejected(
            f"the profile's {prompts} take some {taken} tokens of the "
            f"{interviewer.prompt_tokens_at_most} that a question to '{interviewer.model_name}' "
            "may have",
            remedy="Shorten them, or raise `context_window` and `window_tokens` of the model",
        )
    return room


def _number(text: str) -> float | None:
    found = _NUMBER.search(text[:100])
    return float(found.group()) if found else None


def _read_id(value: Any) -> Any:
    """An id as models write it: 12, 12.0, "12", "L12", "[12]"."""
    if isinstance(value, bool):
        raise ValueError("a line id is a number")  # noqa: TRY004 - pydantic wants this one
    number = _number(value) if isinstance(value, str) else value
    return int(number) if isinstance(number, float) and math.isfinite(number) else value


def _read_rating(value: Any) -> float:
    """A rating from 0 to 10; what is no number counts for nothing."""
    number = _number(value) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int | float):
        return 0.0
    # Beyond a float's range, an integer cannot even be compared with its infinity.
    bounded = min(max(number, 0), HIGHEST_RATING)
    return 0.0 if math.isnan(bounded) else float(bounded)


def _read_text(value: Any) -> str:
    """A text; of what is none, its text form."""
    return "" if value is None else str(value)[:_LONGEST_TEXT]


Id = Annotated[int, BeforeValidator(_read_id)]
Rating = Annotated[float, BeforeValidator(_read_rating)]
Text = Annotated[str, BeforeValidator(_read_text)]
