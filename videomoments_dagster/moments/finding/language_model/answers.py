"""The shape of what a model answers when it is asked for moments.

Belongs here: the schema, and what of a sloppy answer can still be read. Does not belong here:
whether a moment exists (`grounding`).
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, model_validator
from pydantic.json_schema import SkipJsonSchema

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_LONGEST_TEXT = 20_000
_MOST_MOMENTS = 500
_HIGHEST_RATING = 10.0


def read_id(value: Any) -> Any:
    """An id as models write it: 12, 12.0, "12", "L12", "[12]"."""
    if isinstance(value, bool):
        raise ValueError("a line id is a number")  # noqa: TRY004 - pydantic wants this one
    if isinstance(value, float) and math.isfinite(value):
        return int(value)
    if isinstance(value, str):
        found = _NUMBER.search(value[:100])
        return int(float(found.group())) if found else value
    return value


def read_rating(value: Any) -> float:
    """A rating from 0 to 10; what is no number counts for nothing."""
    if isinstance(value, str):
        found = _NUMBER.search(value[:100])
        value = float(found.group()) if found else 0.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    # Beyond a float's range, an integer cannot even be compared with its infinity.
    bounded = min(max(value, 0), _HIGHEST_RATING)
    return 0.0 if math.isnan(bounded) else float(bounded)


def read_text(value: Any) -> str:
    """A text; of what is none, its text form."""
    if value is None:
        return ""
    return (value if isinstance(value, str) else str(value))[:_LONGEST_TEXT]


_LineId = Annotated[int, BeforeValidator(read_id)]
_Text = Annotated[str, BeforeValidator(read_text)]


class NamedMoment(BaseModel):
    """A moment as a model names it."""

    first_line: _LineId = Field(description="Id of the line in which the moment begins")
    last_line: _LineId = Field(description="Id of the line in which it ends")
    first_words: _Text = Field(default="", description="Its first words, exactly as in the line")
    last_words: _Text = Field(default="", description="Its last words, exactly as in the line")
    title: _Text = Field(default="", description="One line that says what is in it")
    rating: Annotated[float, BeforeValidator(read_rating)] = Field(
        default=0.0, description="How good it is, 0 to 10"
    )


class FindingAnswer(BaseModel):
    """What a model answers about one window."""

    moments: list[NamedMoment]
    malformed: SkipJsonSchema[int] = 0
    beyond: SkipJsonSchema[int] = 0

    @model_validator(mode="before")
    @classmethod
    def _read_what_can_be_read(cls, value: Any) -> Any:
        """Take a bare list, count items that are no moments, and pass over those beyond 500."""
        if isinstance(value, list):
            value = {"moments": value}
        if not isinstance(value, dict) or not isinstance(value.get("moments"), list):
            return value
        items = value["moments"]
        moments: list[NamedMoment] = []
        malformed = _count(value.get("malformed"))
        wrong: ValidationError | None = None
        for item in items[:_MOST_MOMENTS]:
            try:
                moments.append(NamedMoment.model_validate(item))
            except ValidationError as error:
                wrong = error
                malformed += 1
        if wrong is not None and not moments:
            first = wrong.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ValueError(
                f"none of the moments has the shape asked for ({where}: {first['msg']})"
            )
        return {
            "moments": moments,
            "malformed": malformed,
            "beyond": max(_count(value.get("beyond")), len(items) - _MOST_MOMENTS, 0),
        }


def _count(value: Any) -> int:
    """A count from an answer that was kept; whatever else stands there counts for nothing."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
