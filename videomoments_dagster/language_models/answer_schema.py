"""The JSON schema of an answer, as servers take it.

Belongs here: turning pydantic's schema into the strict subset that structured output allows. Does
not belong here: any answer's shape.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

_FOR_PEOPLE_OR_LENIENT = frozenset({"title", "default", "examples"})


def answer_schema(answer_type: type[BaseModel]) -> dict[str, Any]:
    """The schema of an answer: every field required, no other allowed, nothing decorative.

    The rules are those of OpenAI's structured outputs in strict mode, which other servers'
    grammars take as well.
    """
    schema = _strict(answer_type.model_json_schema())
    if not isinstance(schema, dict):
        raise TypeError(f"{answer_type.__name__} has no schema of its own")
    return schema


def _strict(value: Any) -> Any:
    if isinstance(value, list):
        return [_strict(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("type") == "object" and isinstance(value.get("properties"), dict):
        properties = {name: _strict(body) for name, body in value["properties"].items()}
        rest = {key: _strict(body) for key, body in value.items() if key != "properties"}
        return {
            **{key: body for key, body in rest.items() if key not in _FOR_PEOPLE_OR_LENIENT},
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    return {key: _strict(body) for key, body in value.items() if key not in _FOR_PEOPLE_OR_LENIENT}
