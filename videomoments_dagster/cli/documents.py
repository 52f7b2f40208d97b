"""What `list`, `show`, `search` and `export` read, as documents and values."""

from __future__ import annotations

from dataclasses import asdict

from db.session import Database
from videomoments_dagster.base.failures import ResultMissing
from videomoments_dagster.base.identifiers import checked_identifier
from videomoments_dagster.moments.exports.json_document import (
    Document,
    listed_document,
    video_document,
)
from videomoments_dagster.moments.reading import read_video, read_videos
from videomoments_dagster.moments.search import search_transcripts
from videomoments_dagster.moments.stored_videos import RegisteredVideo, StoredVideo


def list_document(database: Database, *, limit: int | None = None) -> list[Document]:
    """Give a line for each video, the newest first; registered ones included.

    Raises:
        DatabaseProblem: The database was lost or refused.
    """
    with database.read() as session:
        return [listed_document(video) for video in read_videos(session, limit=limit)]


def show_document(database: Database, identifier: str) -> Document:
    """Give all that is stored of one video; locations without credentials and tokens.

    Raises:
        IdentifierRejected: That is no identifier.
        ResultMissing: No video of that identifier is registered or stored.
        DatabaseProblem: The database was lost or refused.
    """
    return video_document(known_video(database, identifier))


def known_video(database: Database, identifier: str) -> StoredVideo | RegisteredVideo:
    """Read all that is stored of one video.

    Raises:
        IdentifierRejected: That is no identifier.
        ResultMissing: No video of that identifier is registered or stored.
        DatabaseProblem: The database was lost or refused.
    """
    checked_identifier(identifier)
    with database.read() as session:
        known = read_video(session, identifier)
    if known is None:
        raise ResultMissing(
            f"there is no video '{identifier}'",
            remedy="See `videomoments list` for those there are",
        )
    return known


def search_document(database: Database, text: str, *, limit: int = 20) -> list[Document]:
    """Give the segments in which something is said, the best first.

    Raises:
        DatabaseProblem: The database was lost or refused.
    """
    # PostgreSQL takes neither a NUL nor what the shell handed over as broken UTF-8.
    asked = text.replace("\0", " ").encode("utf-8", "replace").decode()
    with database.read() as session:
        return [asdict(match) for match in search_transcripts(session, asked, limit=limit)]
