"""The documents that `list`, `show`, `search` and `export` are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from sqlalchemy.orm import Session

from db.session import Database
from videomoments_dagster.base.failures import ResultMissing
from videomoments_dagster.base.identifiers import checked_identifier
from videomoments_dagster.moments.exports.json_document import json_text
from videomoments_dagster.moments.search import search_transcripts
from videomoments_dagster.moments.video_documents import video_document, video_list
from videomoments_dagster.moments.whole_documents import whole_video_document
from videomoments_dagster.sources.locations import redact

__all__ = [
    "Document",
    "export_document",
    "json_text",
    "list_document",
    "search_document",
    "show_document",
]

Document = dict[str, Any]


def list_document(database: Database, *, limit: int | None = None) -> list[Document]:
    """Give a line for each video, the newest first; registered ones included.

    Raises:
        DatabaseProblem: The database was lost or refused.
    """
    with database.read() as session:
        return video_list(session, limit=limit)


def show_document(database: Database, identifier: str) -> Document:
    """Give all that is stored of one video; locations without credentials and tokens.

    Raises:
        IdentifierRejected: That is no identifier.
        ResultMissing: No video of that identifier is registered or stored.
        DatabaseProblem: The database was lost or refused.
    """
    return _document(database, identifier, video_document)


def export_document(database: Database, identifier: str) -> Document:
    """Give the same with the whole transcript, and whether moments were made.

    Raises:
        IdentifierRejected: That is no identifier.
        ResultMissing: No video of that identifier is registered or stored.
        DatabaseProblem: The database was lost or refused.
    """
    return _document(database, identifier, whole_video_document)


def _document(
    database: Database, identifier: str, query: Callable[[Session, str], Document | None]
) -> Document:
    checked_identifier(identifier)
    with database.read() as session:
        document = query(session, identifier)
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
        DatabaseProblem: The database was lost or refused.
    """
    # PostgreSQL takes neither a NUL nor what the shell handed over as broken UTF-8.
    asked = text.replace("\0", " ").encode("utf-8", "replace").decode()
    with database.read() as session:
        return [asdict(match) for match in search_transcripts(session, asked, limit=limit)]
