"""Digests: SHA-256 (FIPS 180-4) over one canonical serialisation.

That is JSON with sorted keys, no spaces, and non-ASCII characters as UTF-8. JSON quotes and
separates its items, so that `["ab", "c"]` and `["a", "bc"]` cannot meet.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping


def canonical_json(value: object) -> str:
    """Serialise `value` so that equal values give equal text and different values different text.

    Raises:
        ValueError: For NaN and infinities, which JSON has no text for.
        TypeError: For anything that JSON has no form for.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest(value: object) -> str:
    """SHA-256 over the canonical JSON of `value`: 64 hexadecimal characters."""
    text = canonical_json(value)
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()


def fingerprint(
    *,
    code_version: str,
    inputs: Mapping[str, object],
    settings: Mapping[str, object],
) -> str:
    """Everything that determines a result, as one digest of 64 hexadecimal characters.

    Args:
        code_version: The asset's code version.
        inputs: Data versions of what the result is made from, by name.
        settings: Settings that the result depends on, by name.
    """
    return digest([code_version, inputs, settings])
