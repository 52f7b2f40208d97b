"""What is known of the inbox's contents.

Belongs here: reading and writing `pipeline.inbox_entries`, and finding stored videos that a new
file may be the same as. Does not belong here: the files.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from db.models.moments.video import Video
from db.models.pipeline.inbox_entry import InboxEntry
from db.models.pipeline.video_file import VideoFile

Outcome = Literal["registered", "duplicate", "rejected"]


@dataclass(frozen=True, slots=True)
class LikelySame:
    """A known video that may have the same bytes as a new file.

    Attributes:
        identifier: The video.
        size_bytes: Its size.
        checksum: As a listing gave it; None where none did.
        location: Where it came from; None where that is not known.
        cloud_url: Where it is stored; None if it is not yet.
        content_hash: SHA-256 of its bytes; None if it is not stored yet.
    """

    identifier: str
    size_bytes: int
    checksum: str | None = None
    location: str | None = None
    cloud_url: str | None = None
    content_hash: str | None = None


def known_states(session: Session) -> dict[str, str]:
    """The state in which each entry was last met, by key."""
    found = session.execute(select(InboxEntry.key, InboxEntry.state))
    return {row.key: row.state for row in found}


def known_of_sizes(session: Session, sizes: Collection[int]) -> list[LikelySame]:
    """Videos of one of these sizes, in bytes: of the inbox, and stored ones."""
    if not sizes:
        return []
    entries = session.execute(
        select(
            InboxEntry.identifier, InboxEntry.size_bytes, InboxEntry.checksum, InboxEntry.location
        ).where(InboxEntry.outcome == "registered", InboxEntry.size_bytes.in_(sizes))
    )
    size = VideoFile.facts["size_bytes"].as_integer()
    stored = session.execute(
        select(
            Video.identifier,
            size.label("size_bytes"),
            Video.source_url.label("location"),
            Video.cloud_url,
            VideoFile.content_hash,
        )
        .join(VideoFile, VideoFile.video_id == Video.id)
        .where(size.in_(sizes))
    )
    rows: list[Any] = [*entries, *stored]
    return [LikelySame(**row._mapping) for row in rows]  # noqa: SLF001 - the documented way


def note_entry(
    session: Session,
    *,
    key: str,
    location: str,
    state: str,
    size_bytes: int | None,
    checksum: str | None,
    outcome: Outcome,
    identifier: str | None,
    reason: str | None = None,
) -> None:
    """Write what became of an entry, in place of what became of it in an earlier state."""
    values = {
        "location": location,
        "state": state,
        "size_bytes": size_bytes,
        "checksum": checksum,
        "outcome": outcome,
        "identifier": identifier,
        "reason": reason,
        "requested_at": None,
    }
    session.execute(
        insert(InboxEntry)
        .values(key=key, **values)
        .on_conflict_do_update(index_elements=[InboxEntry.key], set_=values)
    )


def waiting_entries(session: Session, *, limit: int) -> Sequence[InboxEntry]:
    """Registered entries whose run has not been seen in Dagster yet, oldest first."""
    return session.scalars(
        select(InboxEntry)
        .where(InboxEntry.outcome == "registered", InboxEntry.requested_at.is_(None))
        .order_by(InboxEntry.created_at, InboxEntry.key)
        .limit(limit)
    ).all()


def note_requested(session: Session, keys: Collection[str]) -> None:
    """Note that Dagster has a run for each of these entries."""
    if keys:
        session.execute(
            update(InboxEntry).where(InboxEntry.key.in_(keys)).values(requested_at=func.now())
        )
