"""The documents that `list`, `show` and `search` are made of, and their JSON.

Belongs here: reading them, and turning them into text for a program. Does not belong here: the
queries (`db.queries`), or how a person sees them (`printing`).
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import Any

from db.queries.search import search_transcripts
from db.queries.video_documents import video_document, video_list
from db.session import Database
from videomoments_dagster.failures import ResultMissing
from videomoments_dagster.identity import checked_identifier
from videomoments_dagster.sources.locations import redact

Document = dict[str, Any]

# json escapes C0 controls only. A terminal obeys C1 controls too, and characters that turn the
# direction of text can make a line read as another one.
_STEERING = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def list_document(database: Database, *, limit: int | None = None) -> list[Document]:
    """Give a line for each video, the newest first; registered ones included.

    Raises:
        db.errors.DatabaseProblem: The database was lost or refused.
    """
    with database.read() as session:
        return video_list(session, limit=limit)


def show_document(database: Database, identifier: str) -> Document:
    """Give all that is stored of one video; locations without credentials and tokens.

    Raises:
        IdentifierRejected: That is no identifier.
        ResultMissing: No video of that identifier is registered or stored.
        db.errors.DatabaseProblem: The database was lost or refused.
    """
    checked_identifier(identifier)
    with database.read() as session:
        document = video_document(session, identifier)
    if document is None:
        raise ResultMissing(
            f"there is no video '{identifier}'",
            remedy="See `videomoments list` for those there are",
        )
    _redact(document, "source_url")
    _redact(document["source"] or {}, "location", "captions")
    return document


def _redact(document: Document, *names: str) -> None:
    for name in names:
        if document.get(name):
            document[name] = redact(document[name])


def search_document(database: Database, text: str, *, limit: int = 20) -> list[Document]:
    """Give the segments in which something is said, the best first.

    Raises:
        db.errors.DatabaseProblem: The database was lost or refused.
    """
    # PostgreSQL takes neither a NUL nor what the shell handed over as broken UTF-8.
    asked = text.replace("\0", " ").encode("utf-8", "replace").decode()
    with database.read() as session:
        return [asdict(match) for match in search_transcripts(session, asked, limit=limit)]


def json_text(document: Any) -> str:
    """Write a document as JSON that a terminal may show; equal documents give equal text."""
    written = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", written)
