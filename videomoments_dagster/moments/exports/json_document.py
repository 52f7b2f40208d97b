"""Everything that is stored of a video, as one JSON document. `docs/exports.md` has its fields."""

from __future__ import annotations

import json
import re
from typing import Any

from videomoments_dagster.moments.exports.material import Document, Material

VERSION = 1
"""Raised when a field goes or changes its meaning; new fields may come at any time."""

# json escapes C0 controls only. A terminal obeys C1 controls too, and characters that turn the
# direction of text can make a line read as another one.
_STEERING = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def json_document(material: Material) -> str:
    """Write all that is stored, whatever of it there is."""
    document: Document = {"videomoments_export": VERSION, **material.document}
    return json_text(document) + "\n"


def json_text(document: Any) -> str:
    """Write a document as JSON that a terminal may show; equal documents give equal text."""
    written = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", written)
