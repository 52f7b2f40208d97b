"""JSON from outside, made safe to send on, to keep and to print.

Belongs here: what JSON may hold that nothing after it can take. Does not belong here: any shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DEEPEST = 100
"""Levels of lists and objects; writing JSON takes more stack than reading it."""


def well_formed(value: Any, *, levels_left: int = _DEEPEST) -> Any:
    r"""A JSON value without the halves of characters that escapes such as `\ud800` make.

    No encoding can write those, so that they would fail far from where they came in.

    Args:
        value: What a JSON parser gave.
        levels_left: How deep it may still be nested.

    Raises:
        ValueError: If it is nested too deeply.
    """
    if isinstance(value, str):
        if value.isascii():
            return value
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if not isinstance(value, Mapping | list):
        return value
    if not levels_left:
        raise ValueError("The JSON is nested too deeply.")
    inside = levels_left - 1
    if isinstance(value, Mapping):
        return {
            well_formed(key): well_formed(item, levels_left=inside) for key, item in value.items()
        }
    return [well_formed(item, levels_left=inside) for item in value]


def scrubbed(value: Any, key: str | None) -> Any:
    """A JSON value in which every occurrence of a key is blotted out of every text."""
    if not key:
        return value
    if isinstance(value, str):
        return value.replace(key, "[key]")
    if isinstance(value, Mapping):
        return {scrubbed(name, key): scrubbed(item, key) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [scrubbed(item, key) for item in value]
    return value
