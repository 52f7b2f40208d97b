"""Answers that come in pieces, as server-sent events, put together to what they are as a whole.

The form of events is the HTML standard's, section 9.2; their content is that of the chat protocol.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_LINE_END = re.compile(r"\r\n|\n|\r")
"""Not `splitlines`: it also ends lines at characters that JSON leaves as they are in texts."""

_PIECE = re.compile(rb"[\r\n]data:")
_DONE = "[DONE]"
_TEXTS = ("content", "refusal", "reasoning_content", "reasoning")


class EventCounter:
    """Counts events while their bytes arrive, in whatever portions; mostly, one is a token."""

    def __init__(self) -> None:
        self._end = b"\n"

    def count(self, part: bytes) -> int:
        """How many events have begun with these bytes."""
        seen = self._end + part
        # One short of what is looked for, so that nothing is counted twice.
        self._end = seen[-5:]
        return len(_PIECE.findall(seen))


def completion_of(text: str) -> dict[str, Any] | None:
    """The chat completion, or error, that a stream of events comes to.

    Returns:
        As the server would have sent it whole; None where the stream broke off.
    """
    head: dict[str, Any] = {}
    texts: dict[str, list[str]] = {"content": []}
    reason: Any = None
    for data in _data_of(text):
        if data == _DONE:
            return _whole(head, texts, reason)
        try:
            chunk = json.loads(data)
        except (ValueError, RecursionError):
            return None
        if not isinstance(chunk, dict):
            return None
        choices = chunk.pop("choices", None)
        choice = choices[0] if isinstance(choices, list) and choices else None
        if choice is None and ("usage" not in chunk or chunk.get("error")):
            return chunk
        head |= {name: value for name, value in chunk.items() if value is not None}
        if not isinstance(choice, dict):
            continue
        if isinstance(choice.get("message"), dict):
            return {**chunk, "choices": choices}
        reason = choice.get("finish_reason") or reason
        _collect(choice.get("delta"), texts)
    return _whole(head, texts, reason) if reason else None


def _whole(head: dict[str, Any], texts: dict[str, list[str]], reason: Any) -> dict[str, Any]:
    message = {"role": "assistant", **{name: "".join(parts) for name, parts in texts.items()}}
    choice = {"index": 0, "finish_reason": reason, "message": message}
    return {**head, "object": "chat.completion", "choices": [choice]}


def _collect(delta: Any, texts: dict[str, list[str]]) -> None:
    if not isinstance(delta, dict):
        return
    for name in _TEXTS:
        value = delta.get(name)
        parts = value if isinstance(value, list) else [{"text": value}]
        said = [part.get("text") for part in parts if isinstance(part, dict)]
        if found := [text for text in said if isinstance(text, str)]:
            texts.setdefault(name, []).extend(found)


def _data_of(text: str) -> Iterator[str]:
    """What each event holds. Older servers of llama.cpp send errors under a name of their own."""
    data: list[str] = []
    for line in [*_LINE_END.split(text), ""]:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name == "error" and value:
            yield f'{{"error": {value}}}'
        elif not line and data:
            yield "\n".join(data)
            data = []
