"""What has to happen to a text from outside so that a column of PostgreSQL takes it."""

from __future__ import annotations

import hashlib
import re
from typing import Any

TITLE_CHARACTERS = 500
CODEC_CHARACTERS = 50
SOURCE_URL_BYTES = 2000
"""`videos.source_url` has a B-tree index, whose entries end at about 2,700 bytes."""

_ELLIPSIS = "…"
_NOT_STORABLE = re.compile("[\0\ud800-\udfff]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def storable(text: str) -> str:
    """The text with U+FFFD for what PostgreSQL cannot keep: NUL and lone surrogates."""
    return _NOT_STORABLE.sub(_REPLACEMENT, text)


def storable_json(value: Any) -> Any:
    """A JSON value with every text in it storable, names of fields included."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list):
        return [storable_json(item) for item in value]
    if isinstance(value, dict):
        return {storable(str(key)): storable_json(item) for key, item in value.items()}
    return value


def fitted(text: str, characters: int) -> str:
    """The text, storable and cut to a column's length; a cut one ends with an ellipsis."""
    text = storable(text)
    return text if len(text) <= characters else text[: characters - 1] + _ELLIPSIS


def indexable_source_url(location: str) -> str:
    """A location as `videos.source_url` keeps it.

    One of more than 2,000 bytes, such as a signed URL, is cut there and marked with
    `…sha256:<64 hexadecimal characters>` of the whole, so that different ones stay different.
    `pipeline.sources` keeps it whole.
    """
    location = storable(location)
    encoded = location.encode()
    if len(encoded) <= SOURCE_URL_BYTES:
        return location
    beginning = encoded[:SOURCE_URL_BYTES].decode(errors="ignore")
    return f"{beginning}{_ELLIPSIS}sha256:{hashlib.sha256(encoded).hexdigest()}"
