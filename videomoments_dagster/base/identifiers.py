"""The rule for identifiers of partitions."""

from __future__ import annotations

import re

from videomoments_dagster.base.failures import IdentifierRejected

MAX_IDENTIFIER_LENGTH = 255


_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


IDENTIFIER_RULE = (
    "An identifier begins with an ASCII letter or digit, goes on with letters, digits, '_' "
    f"or '-', and has at most {MAX_IDENTIFIER_LENGTH} characters"
)


def is_identifier(text: str) -> bool:
    """Whether a text keeps the rule."""
    return bool(_IDENTIFIER.fullmatch(text)) and len(text) <= MAX_IDENTIFIER_LENGTH


def checked_identifier(identifier: str, *, noun: str = "video") -> str:
    """Return `identifier` if it keeps the rule.

    The rule is what keeps object keys inside their prefix: no slash, no dot, no empty name.

    Raises:
        IdentifierRejected: If it does not, with the rule.
    """
    if not is_identifier(identifier):
        shown = identifier if len(identifier) <= 60 else f"{identifier[:57]}..."  # noqa: PLR2004
        raise IdentifierRejected(f"{shown!r} is no {noun} identifier", remedy=IDENTIFIER_RULE)
    return identifier
